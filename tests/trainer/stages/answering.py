"""Runs of the stages that write answers themselves, on a tiny model."""

from __future__ import annotations

from typing import Any

from tests.trainer.stages.conftest import MakeRun
from trainer.run import RunDirectory

SMALL: dict[str, dict[str, Any]] = {
    "data": {"val_size": 0.0, "cutoff_len": 96},
    "lora": {"lora_dropout": 0.0},
    "generation": {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": 8},
    "reward": {"reward_funcs": ["regex"], "reward_regex": "[a-m]"},
    "train": {"eval_strategy": "no", "eval_steps": None, "learning_rate": 1e-3, "save_steps": 3},
}


def answering(
    stage_run: MakeRun, stage: str, method: str = "lora", /, *, name: str = "run", **tables: Any
) -> RunDirectory:
    """A run of six steps over buffers of two; of grpo and rloo with groups of four."""
    values = {table: dict(entries) for table, entries in SMALL.items()}
    if stage == "ppo":
        values["ppo"] = {"ppo_epochs": 2}
    else:
        values["grpo"] = {"num_generations": 4, "num_iterations": 2, "beta": 0.1}
    for table, entries in tables.items():
        values.setdefault(table, {}).update(entries)
    rows = [{"instruction": f"What is {i} plus 1?", "output": str(i + 1)} for i in range(7)]
    return stage_run(stage, method, name=name, rows=rows, **values)


def log_of(run: RunDirectory) -> str:
    return run.log_file.read_text()[-2500:]
