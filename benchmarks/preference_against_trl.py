"""The same dpo and kto jobs through trimtab and through TRL's DPOTrainer and KTOTrainer: how far their curves differ.

    python -m benchmarks.preference_against_trl [sigmoid ipo ... kto] [--steps 60]

Both continue the same new adapter of the bundled demo model on the bundled rows, in the order of the file, with the
same arguments, in float32. TRL tokenizes the rows itself, which is compared; then it is given our tokens, because it
also learns the line break after the end of a turn, and draws KTO's other answers differently (the neighbour in the
batch). Printed are the largest differences over all steps, and of the adapters at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any, get_args

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from benchmarks.stages_on_demo import train
from trainer.config import Hardware, Recipe, load_preset, resolve
from trainer.config.tables.preference import PairLoss
from trainer.data import prepare
from trainer.data.collate_answers import AnswerRows
from trainer.engine.arguments import training_arguments
from trainer.paths import shipped_folder
from trainer.run import latest_checkpoint, read_events

LOSSES = ("sigmoid", "ipo", "apo_zero", "kto")
FIGURES = ("loss", "grad_norm", "rewards/chosen", "rewards/rejected", "logps/chosen", "logps/rejected", "kl")
NEEDS_SMOOTHING = ("robust", "exo_pair")
MODEL = shipped_folder("data") / "demo_model"
Curves = dict[str, list[float]]


def new_adapter(folder: Path) -> Path:
    """An untrained adapter that both begin with."""
    torch.manual_seed(0)
    settings = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32), settings)
    model.save_pretrained(folder)
    return folder


def overrides(loss: str, steps: int, adapter: Path) -> list[str]:
    """The job: the demo preset of the stage, without evaluation and without what TRL has not."""
    wanted: dict[str, object] = {
        "adapter_name_or_path": [str(adapter)],
        "val_size": 0.0,
        "eval_strategy": "no",
        "max_steps": steps,
        "save_steps": steps,
        "disable_shuffling": True,
        "pref_ftx": 0.0,
        "sample_prompts": [],
    }
    if loss != "kto":
        wanted |= {"pref_loss": loss, "dpo_label_smoothing": 0.1 if loss in NEEDS_SMOOTHING else 0.0}
    return [f"{name}={json.dumps(value)}" for name, value in wanted.items()]


def ours(preset: str, changes: list[str], folder: Path) -> tuple[Curves, dict[str, torch.Tensor]]:
    """Figures of each step, and the adapter at the end."""
    run, _ = train(preset, folder, changes)
    found = [record.event.values for record in read_events(run) if record.event.kind == "metrics"]
    checkpoint = latest_checkpoint(run.checkpoints_folder)
    assert checkpoint is not None
    return _curves(found), load_file(checkpoint.path / "adapter_model.safetensors")


def theirs(recipe: Recipe, adapter: Path, folder: Path) -> tuple[Curves, dict[str, torch.Tensor]]:
    """The same through TRL."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    base = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, str(adapter), is_trainable=True)
    table, judged = recipe.preference, recipe.method.stage == "kto"
    more: dict[str, Any] = {"beta": table.pref_beta, "max_length": None, "disable_dropout": False}
    if judged:
        more |= {"desirable_weight": table.kto_chosen_weight, "undesirable_weight": table.kto_rejected_weight}
    else:
        more |= {"loss_type": [table.pref_loss], "label_smoothing": table.dpo_label_smoothing}
    kind: Any = KTOConfig if judged else DPOConfig
    arguments = training_arguments(kind, recipe, folder, **more)
    make: Any = KTOTrainer if judged else DPOTrainer
    rows = Dataset.from_list([_as_trl_takes_it(row) for row in _raw_rows(judged)])
    trainer = make(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)
    trainer.train_dataset = _with_our_tokens(trainer.train_dataset, recipe)
    trainer.train()
    folder.mkdir(exist_ok=True)
    model.save_pretrained(folder / "adapter", selected_adapters=["default"])
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    return _curves(history), load_file(folder / "adapter" / "adapter_model.safetensors")


def _raw_rows(judged: bool) -> list[dict[str, Any]]:
    name = "demo_kto.jsonl" if judged else "demo_preference.jsonl"
    lines = (shipped_folder("data") / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _as_trl_takes_it(row: dict[str, Any]) -> dict[str, Any]:
    def said(role: str, text: str) -> list[dict[str, str]]:
        return [{"role": role, "content": text}]

    prompt = said("user", row["instruction"])
    if "kto_tag" in row:
        return {"prompt": prompt, "completion": said("assistant", row["output"]), "label": row["kto_tag"]}
    return {"prompt": prompt, **{name: said("assistant", row[name]) for name in ("chosen", "rejected")}}


def _with_our_tokens(dataset: Any, recipe: Recipe) -> Any:
    """Our tokens in the place of TRL's, after comparing them."""
    judged = recipe.method.stage == "kto"
    rows = AnswerRows(prepare(recipe).train, judged=judged, seed=recipe.train.seed)
    first, second = ("completion_ids", "KL_completion_ids") if judged else ("chosen_ids", "rejected_ids")
    own = {"prompt_ids": "prompt", first: "first", second: "second"}
    columns = {theirs: [row[mine].tolist() for row in rows] for theirs, mine in own.items()}
    prompts = columns["prompt_ids"] == list(dataset["prompt_ids"])
    surplus = {tuple(more[len(ids) :]) for ids, more in zip(columns[first], dataset[first], strict=True)}
    same = all(more[: len(ids)] == ids for ids, more in zip(columns[first], dataset[first], strict=True))
    print(f"  {len(rows)} rows: prompts the same {prompts}, answers the same {same}, and after them TRL has {surplus}")
    kept = [name for name in dataset.column_names if name == "label"]
    return Dataset.from_dict({**columns, **{name: dataset[name] for name in kept}})


def _curves(steps: list[dict[str, float]]) -> Curves:
    return {name: [step[name] for step in steps if name in step] for name in FIGURES}


def main() -> None:
    """Run both and print how far they are apart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("losses", nargs="*", default=LOSSES, choices=(*get_args(PairLoss), "kto"))
    parser.add_argument("--steps", type=int, default=60)
    asked = parser.parse_args()
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        adapter = new_adapter(Path(temporary) / "adapter")
        for loss in asked.losses:
            folder = Path(temporary) / loss
            folder.mkdir()
            preset = "demo-kto" if loss == "kto" else "demo-dpo"
            changes = overrides(loss, asked.steps, adapter)
            print(f"{loss}, {asked.steps} steps", flush=True)
            mine, my_adapter = ours(preset, changes, folder)
            resolved = resolve(load_preset(preset, changes).recipe, Hardware.detect())
            other, other_adapter = theirs(resolved.recipe, adapter, folder / "trl")
            for name in FIGURES:
                if mine[name] and other[name]:
                    apart = max(abs(a - b) for a, b in zip(mine[name], other[name], strict=True))
                    print(f"  {name}: {other[name][0]:.4f} to {other[name][-1]:.4f}, at most {apart:.1e} apart")
            apart = max(float((my_adapter[name] - other_adapter[name]).abs().max()) for name in other_adapter)
            print(f"  adapter at the end: at most {apart:.1e} apart", flush=True)


if __name__ == "__main__":
    main()
