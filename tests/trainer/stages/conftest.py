"""Rows for each stage, and runs on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training_runs import TrainingRuns
from trainer.run import RunDirectory

MakeRun = Callable[..., RunDirectory]


def stage_rows(stage: str) -> list[dict[str, Any]]:
    """Thirty rows of different lengths, of which two in three are good where answers are judged."""
    if stage == "pt":
        return [{"text": f"Line {i} of a text that goes on and on. " * (1 + i % 4)} for i in range(30)]
    questions = [f"What is {i} plus 1?" for i in range(30)]
    right, wrong = ([f"It is {i + 1}." for i in range(30)], [f"No idea, {'really ' * (i % 3)}none." for i in range(30)])
    if stage == "kto":
        return [
            {"instruction": questions[i], "output": (right if i % 3 else wrong)[i], "kto_tag": bool(i % 3)}
            for i in range(30)
        ]
    return [{"instruction": questions[i], "chosen": right[i], "rejected": wrong[i]} for i in range(30)]


@pytest.fixture
def stage_run(runs: TrainingRuns, tmp_path: Path) -> MakeRun:
    """A run of a stage on its rows: six steps, evaluated and saved after three and at the end."""

    def make(
        stage: str, method: str = "lora", /, *, name: str = "run", rows: Any = None, **tables: Any
    ) -> RunDirectory:
        file = tmp_path / f"{name}-rows.json"
        file.write_text(json.dumps(stage_rows(stage) if rows is None else rows), encoding="utf-8")
        values: dict[str, dict[str, Any]] = {
            "method": {"stage": stage, "finetuning_type": method},
            "data": {"dataset": [str(file)], "val_size": 6},
            "train": {"max_steps": 6, "eval_strategy": "steps", "eval_steps": 3},
        }
        for table, entries in tables.items():
            values.setdefault(table, {}).update(entries)
        return runs.create(name, **values)

    return make
