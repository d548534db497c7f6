"""The few facts that the dashboard needs of a run's recipe, read from its text: the definition costs too much there."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path


def stage(recipe_file: Path) -> str:
    """The stage of the run; `sft` where the recipe cannot be read."""
    return str(_table(recipe_file, "method").get("stage", "sft"))


def trains(recipe_file: Path) -> bool:
    """Whether the run trains: with `do_train = false` it evaluates or predicts only."""
    return _table(recipe_file, "train").get("do_train", True) is not False


def evaluates(recipe_file: Path) -> bool:
    """Whether evaluations are scheduled."""
    return _table(recipe_file, "train").get("eval_strategy", "no") != "no"


def has_evaluation_rows(recipe_file: Path) -> bool:
    """Whether there is anything that an evaluation could be made on; true where the recipe cannot be read."""
    data = _table(recipe_file, "data")
    return not data or bool(data.get("val_size") or data.get("eval_dataset"))


def sample_prompts(recipe_file: Path) -> bool:
    """Whether the run has prompts of its own to sample from."""
    return bool(_table(recipe_file, "train").get("sample_prompts"))


def logging_steps(recipe_file: Path) -> int:
    """How many steps lie between two measurements."""
    value = _table(recipe_file, "train").get("logging_steps", 1)
    return max(1, int(value)) if isinstance(value, (int, float)) else 1


def learning_rate(recipe_file: Path) -> float | None:
    """The peak of the schedule of the learning rate."""
    value = _table(recipe_file, "train").get("learning_rate")
    return float(value) if isinstance(value, (int, float)) else None


def _table(recipe_file: Path, name: str) -> Mapping[str, object]:
    table = _tables(recipe_file).get(name, {})
    return table if isinstance(table, dict) else {}


@lru_cache(maxsize=8)
def _tables(recipe_file: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(recipe_file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}
