"""Compares `trimtab estimate` with the memory that training really takes.

    python benchmarks/memory_estimate.py            on the CPU: PyTorch's own record of every allocation
    python benchmarks/memory_estimate.py --gpu      on a GPU: torch.cuda.max_memory_allocated

Models have random weights; every row has exactly `cutoff_len` tokens, all of them labelled.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 2**20
SHAPES: dict[str, dict[str, int]] = {
    "25M": {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 6},
    "110M": {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 12},
    "0.5B": {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14},
    "1.5B": {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12},
    "7B": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32},
}
VOCABULARY = {"25M": 8192, "110M": 32000, "0.5B": 151936, "1.5B": 151936, "7B": 32000}


@dataclass(frozen=True)
class Case:
    """One training that is estimated and measured."""

    shape: str
    method: str
    checkpointing: bool
    batch: int
    length: int
    architecture: str = "llama"
    accumulation: int = 1

    def overrides(self, model: Path) -> list[str]:
        """The recipe's settings."""
        return [
            f"model_name_or_path={model}",
            "dataset=none",
            f"finetuning_type={self.method}",
            f"per_device_train_batch_size={self.batch}",
            f"gradient_accumulation_steps={self.accumulation}",
            f"cutoff_len={self.length}",
            f"train.gradient_checkpointing={str(self.checkpointing).lower()}",
        ]


CPU_CASES = [
    Case(shape, method, checkpointing, batch, length)
    for shape, batch, length in (("25M", 2, 128), ("25M", 8, 512), ("110M", 2, 256))
    for method in ("lora", "full", "freeze")
    for checkpointing in (False, True)
] + [
    Case("25M", "lora", False, 4, 256, "qwen3"),
    Case("25M", "full", False, 4, 256, "gemma3_text"),
    Case("25M", "full", False, 4, 256, accumulation=2),
]
GPU_CASES = [
    Case("0.5B", "lora", True, 4, 1024),
    Case("0.5B", "full", True, 4, 1024),
    Case("1.5B", "lora", True, 4, 1024),
    Case("1.5B", "lora", False, 2, 1024),
    Case("7B", "lora", True, 1, 2048),
    Case("7B", "lora", True, 4, 2048),
    Case("7B", "freeze", True, 1, 2048),
]


def write_model(case: Case, folder: Path) -> None:
    """A configuration; the weights are made when they are needed."""
    from transformers import AutoConfig

    heads = SHAPES[case.shape]["num_attention_heads"]
    config = AutoConfig.for_model(
        case.architecture, **SHAPES[case.shape], num_key_value_heads=heads, vocab_size=VOCABULARY[case.shape]
    )
    config.architectures = []
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)


def recipe_of(case: Case, model: Path) -> Any:
    """The resolved recipe, as a run directory would hold it."""
    from trainer.config import Hardware, load_preset, resolve

    return resolve(load_preset("base", overrides=case.overrides(model)).recipe, Hardware.detect()).recipe


def estimated(case: Case, model: Path, *, gpu: bool) -> tuple[int, float]:
    """The estimate in bytes, and how long it took in seconds."""
    import time

    from trainer.model.memory import estimate_memory

    started = time.monotonic()
    estimate = estimate_memory(recipe_of(case, model), is_gpu=gpu)
    return estimate.tensors, time.monotonic() - started


def measured(case: Case, model: Path) -> int:
    """Bytes at the peak of a real training step, the second one, without what the process itself takes."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from trainer.model.load import attention_name, compute_dtype
    from trainer.model.prepare import prepare_model
    from trainer.run.messages import silent

    recipe = recipe_of(case, model)
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(model)
    config._attn_implementation = attention_name(recipe)
    gpu = torch.cuda.is_available()
    with torch.device("cuda" if gpu else "cpu"):
        weights = AutoModelForCausalLM.from_config(config, dtype=compute_dtype(recipe))
    trainer = make_trainer(prepare_model(weights, recipe, silent), recipe, case)
    del weights
    return peak_on_gpu(trainer) if gpu else peak_on_cpu(trainer)


def make_trainer(model: Any, recipe: Any, case: Case) -> Any:
    """TRL's trainer with the arguments that a run would give it, for two optimizer steps."""
    import datasets
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from trainer.engine.arguments import training_arguments
    from trainer.paths import shipped_folder

    tokenizer = AutoTokenizer.from_pretrained(shipped_folder("data") / "demo_model")
    # No fewer rows than two optimizer steps take.
    row = {"input_ids": list(range(5, 5 + case.length)), "labels": list(range(5, 5 + case.length))}
    row = {name: [value % 1000 for value in values] for name, values in row.items()}
    rows = datasets.Dataset.from_list([row] * (2 * case.batch * case.accumulation))
    arguments = training_arguments(
        SFTConfig,
        recipe,
        Path(tempfile.mkdtemp()),
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        save_strategy="no",
    )
    arguments.max_steps = 2
    return SFTTrainer(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)


def peak_on_gpu(trainer: Any) -> int:
    """What PyTorch's allocator held at most."""
    import torch

    torch.cuda.reset_peak_memory_stats()
    trainer.train()
    return int(torch.cuda.max_memory_allocated())


def peak_on_cpu(trainer: Any) -> int:
    """The static part by counting, the rest from the profiler's record of allocations during the second step."""
    import torch
    from torch.profiler import ProfilerActivity, profile
    from transformers import TrainerCallback

    class SecondStep(TrainerCallback):  # type: ignore[misc]
        record: Any = None
        static = 0

        def on_step_begin(self, arguments: Any, state: Any, control: Any, **values: Any) -> None:
            if state.global_step == 1:
                model, optimizer = trainer.model, trainer.optimizer
                states = (value for each in optimizer.state.values() for value in each.values())
                tensors = [*model.parameters(), *model.buffers(), *(v for v in states if torch.is_tensor(v))]
                self.static = sum(
                    {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values()
                )
                self.record = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
                self.record.__enter__()

        def on_step_end(self, arguments: Any, state: Any, control: Any, **values: Any) -> None:
            if self.record is not None:
                self.record.__exit__(None, None, None)

    second = SecondStep()
    trainer.add_callback(second)
    trainer.train()
    current = peak = 0
    for event in second.record.profiler.kineto_results.events():
        if event.name() == "[memory]":
            current += event.nbytes()
            peak = max(peak, current)
    return second.static + peak


def main() -> None:
    """Print one line a case; each is measured in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--only", default="", help="cases whose name has this text")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    if arguments.one:
        case = Case(**json.loads(arguments.one))
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "model"
            write_model(case, model)
            guess, seconds = estimated(case, model, gpu=arguments.gpu)
            print(json.dumps({"estimate": guess, "seconds": seconds, "measured": measured(case, model)}))
        return
    print(f"{'case':<48} {'estimate':>10} {'measured':>10} {'error':>8} {'seconds':>8}")
    worst = 0.0
    for case in GPU_CASES if arguments.gpu else CPU_CASES:
        name = f"{case.architecture} {case.shape} {case.method} {case.batch}x{case.length}"
        name += (
            f"{' checkpointing' * case.checkpointing}{f' accumulation {case.accumulation}' * (case.accumulation > 1)}"
        )
        if arguments.only not in name:
            continue
        command = [sys.executable, __file__, "--one", json.dumps(vars(case)), *(["--gpu"] * arguments.gpu)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name:<48} failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        values = json.loads(done.stdout.splitlines()[-1])
        error = values["estimate"] / values["measured"] - 1
        worst = max(worst, abs(error))
        guess, real = values["estimate"] / MIB, values["measured"] / MIB
        print(f"{name:<48} {guess:>6.0f} MiB {real:>6.0f} MiB {error:>+7.1%} {values['seconds']:>8.2f}")
    print(f"largest error: {worst:.1%}")


if __name__ == "__main__":
    main()
