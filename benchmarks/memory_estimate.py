"""Compares `trimtab estimate` with the memory that training really takes.

    python benchmarks/memory_estimate.py            on the CPU: PyTorch's own record of every allocation
    python benchmarks/memory_estimate.py --gpu      on a GPU: torch.cuda.max_memory_allocated

Models have random weights; rows have `cutoff_len` tokens or one less, all of them labelled.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

from benchmarks.memory_cases import CPU_CASES, GPU_CASES, MOE, SHAPES, VOCABULARY, Case

MIB = 2**20


def write_model(case: Case, folder: Path) -> None:
    """A configuration; the weights are made when they are needed."""
    from transformers import AutoConfig

    heads = SHAPES[case.shape]["num_attention_heads"]
    values: dict[str, Any] = {**SHAPES[case.shape], "vocab_size": VOCABULARY[case.shape], "pad_token_id": 0}
    if case.architecture == "qwen3_moe":
        values |= MOE
    if case.architecture == "mixtral":
        values |= {"num_local_experts": 8, "num_experts_per_tok": 2, "intermediate_size": 512}
    config = AutoConfig.for_model(case.architecture, num_key_value_heads=heads, **values)
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
    from transformers import AutoConfig

    from trainer.model.load import attention_name, compute_dtype, load_model
    from trainer.model.prepare import prepare_model
    from trainer.model.reward_head import model_kind
    from trainer.run.messages import silent

    recipe = recipe_of(case, model)
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(model)
    config._attn_implementation = attention_name(recipe)
    gpu = torch.cuda.is_available()
    with torch.device("cuda" if gpu else "cpu"):
        weights = model_kind(recipe, config).from_config(config, dtype=compute_dtype(recipe))
    if recipe.quantization.quantization_bit:
        # Quantized while they are loaded.
        weights.save_pretrained(model)
        del weights
        weights = load_model(recipe, silent)
    trainer = make_trainer(prepare_model(weights, recipe, silent), recipe, case)
    del weights
    return peak_on_gpu(trainer) if gpu else peak_on_cpu(trainer)


def make_trainer(model: Any, recipe: Any, case: Case) -> Any:
    """The trainer that a run would have, without its events and checkpoints, for two optimizer steps."""
    from types import SimpleNamespace

    from transformers.trainer_utils import SaveStrategy

    from trainer.engine.run_trainer import RunTrainer
    from trainer.run.messages import silent

    make = make_sequence_trainer if recipe.method.stage == "sft" else make_answer_trainer
    trainer = make(model, recipe, case)
    trainer.args.max_steps, trainer.args.save_strategy = 2, SaveStrategy.NO
    trainer.recipe, trainer.session = recipe, SimpleNamespace(finding=silent)
    for name in ("training_step", "get_batch_samples", "_get_grad_norm", "_maybe_log_save_evaluate", "log"):
        setattr(trainer, name, getattr(super(RunTrainer, trainer), name))
    return trainer


def row_count(recipe: Any, case: Case) -> int:
    """No fewer rows than two optimizer steps take."""
    return int(2 * case.batch * recipe.train.gradient_accumulation_steps)


def make_sequence_trainer(model: Any, recipe: Any, case: Case) -> Any:
    """Stage sft; every other row is a token shorter, so that some padding is there."""
    import datasets
    import torch
    from transformers import AutoTokenizer
    from trl import SFTConfig

    from trainer.engine.arguments import training_arguments
    from trainer.model.precision import trained_precision_kept
    from trainer.paths import shipped_folder
    from trainer.run.messages import silent
    from trainer.stages.sft import SftTrainer, sequence_collator
    from trainer.stages.sft_losses import token_loss

    tokenizer = AutoTokenizer.from_pretrained(shipped_folder("data") / "demo_model")
    sizes = [case.length - number % 2 for number in range(row_count(recipe, case))]
    ids = [[(5 + place) % 1000 for place in range(size)] for size in sizes]
    rows = datasets.Dataset.from_list([{"input_ids": one, "labels": one, "starts": [0]} for one in ids])
    arguments = training_arguments(
        SFTConfig,
        recipe,
        Path(tempfile.mkdtemp()),
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        save_strategy="no",
        remove_unused_columns=False,
    )
    collator = sequence_collator(model, 0, recipe, on_gpu=torch.cuda.is_available())
    with trained_precision_kept(model):
        trainer = SftTrainer(
            model=model, args=arguments, data_collator=collator, train_dataset=rows, processing_class=tokenizer
        )
    trainer.token_loss = token_loss(trainer.model, recipe, silent)
    return trainer


class Answers:
    """Rows of a prompt of one token and two answers."""

    def __init__(self, count: int, length: int) -> None:
        from array import array

        self._count = count
        self._answer = memoryview(array("i", [(5 + place) % 1000 for place in range(length - 1)]))
        self._prompt = memoryview(array("i", [5]))

    def __len__(self) -> int:
        return self._count

    def values(self, name: str, index: int) -> memoryview:
        """The tokens of one row in a column."""
        return self._prompt if name == "prompt_ids" else self._answer

    def kto_tag(self, index: int) -> bool:
        """Every other answer is good."""
        return index % 2 == 0


def make_answer_trainer(model: Any, recipe: Any, case: Case) -> Any:
    """Stages dpo, kto and rm."""
    from types import SimpleNamespace

    from transformers import AutoTokenizer

    from trainer.paths import shipped_folder
    from trainer.run.messages import silent
    from trainer.stages.dpo import build_dpo_trainer
    from trainer.stages.kto import build_kto_trainer
    from trainer.stages.rm import build_rm_trainer

    tokenizer = AutoTokenizer.from_pretrained(shipped_folder("data") / "demo_model")
    rows = Answers(row_count(recipe, case), case.length)
    data: Any = SimpleNamespace(train=rows, evaluation=None, evaluation_sets={})
    folder = Path(tempfile.mkdtemp())
    if recipe.method.stage == "rm":
        return build_rm_trainer(model, tokenizer, data, recipe, folder)
    build: Any = build_dpo_trainer if recipe.method.stage == "dpo" else build_kto_trainer
    return build(model, tokenizer, data, recipe, folder, silent)


def peak_on_gpu(trainer: Any) -> int:
    """What PyTorch's allocator held at most."""
    import torch

    torch.cuda.reset_peak_memory_stats()
    trainer.train()
    return int(torch.cuda.max_memory_allocated())


def peak_on_cpu(trainer: Any) -> int:
    """The static part by counting, the rest from the profiler's record of allocations during the second step."""
    from torch.profiler import ProfilerActivity, profile
    from transformers import TrainerCallback

    class SecondStep(TrainerCallback):  # type: ignore[misc]
        record: Any = None
        static = 0

        def on_step_begin(self, arguments: Any, state: Any, control: Any, **values: Any) -> None:
            if state.global_step == 1:
                model, optimizer = trainer.model, trainer.optimizer
                tensors = [*model.parameters(), *model.buffers(), *held_by(optimizer.optimizer)]
                tensors += [*quantization_tensors(model), *reference_tensors(trainer)]
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


def held_by(optimizer: Any) -> list[Any]:
    """Every tensor of an optimizer's state, those of optimizers in it, and copies of weights with their places."""
    import torch

    inner = [*getattr(optimizer, "_bases", {}).values(), *getattr(optimizer, "_parts", ())]
    inner += [optimizer._base] if hasattr(optimizer, "_base") else []
    values = [value for each in optimizer.state.values() for value in each.values()]
    values += [*getattr(optimizer, "_shares", {}).values(), *getattr(optimizer, "_places", {}).values()]
    found = [value for value in values if torch.is_tensor(value)]
    for one in inner:
        found += held_by(one)
    return found


def reference_tensors(trainer: Any) -> list[Any]:
    """The copy of the weights that training is held to, where there is one."""
    reference = getattr(trainer, "reference", None) or getattr(getattr(trainer, "token_loss", None), "reference", None)
    return list(getattr(reference, "_kept", ()))


def quantization_tensors(model: Any) -> list[Any]:
    """What bitsandbytes keeps beside the parameters: scale factors."""
    found = []
    for module in model.modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None:
            found += [state.absmax, *([state.state2.absmax] if state.nested else [])]
        eight_bit = getattr(module, "state", None)
        if eight_bit is not None and getattr(eight_bit, "CB", None) is not None:
            found += [eight_bit.CB, eight_bit.SCB]
    return found


def compared(case: Case, *, gpu: bool) -> dict[str, Any]:
    """Estimate and measurement of one case, or why there is none."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "model"
            write_model(case, model)
            guess, seconds = estimated(case, model, gpu=gpu)
            return {"estimate": guess, "seconds": seconds, "measured": measured(case, model)}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def in_process_of_its_own(case: Case, *, gpu: bool) -> dict[str, Any]:
    """The same in a forked process, so that nothing of one case is left in the next; what libraries print is lost."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.write(writing, json.dumps(compared(case, gpu=gpu)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"failed": "the process died"}


def main() -> None:
    """Print one line a case; each is measured in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--only", default="", help="cases whose name has this text")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    # Imported once: a forked process has it already.
    import trainer.building
    import trainer.model.memory  # noqa: F401

    print(f"{'case':<64} {'estimate':>10} {'measured':>10} {'error':>8} {'seconds':>8}")
    worst = 0.0
    for case in GPU_CASES if arguments.gpu else CPU_CASES:
        name = case.name
        if arguments.only not in name:
            continue
        values = in_process_of_its_own(case, gpu=arguments.gpu)
        if "failed" in values:
            print(f"{name:<64} failed: {values['failed']}", flush=True)
            continue
        error = values["estimate"] / values["measured"] - 1
        worst = max(worst, abs(error))
        guess, real = values["estimate"] / MIB, values["measured"] / MIB
        print(f"{name:<64} {guess:>6.0f} MiB {real:>6.0f} MiB {error:>+7.1%} {values['seconds']:>8.2f}", flush=True)
    print(f"largest error: {worst:.1%}")


if __name__ == "__main__":
    main()
