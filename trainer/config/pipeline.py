"""Several recipes that follow each other, as `[[pipeline]]` entries of one file. Not for running them (`trainer.run`).

Each step starts from what the last one that made a writing model has trained, and a stage that learns from rewards is
judged by the reward model that was trained before it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config.form import ADAPTER_METHODS, IN_ANSWERING
from trainer.config.presets import load_preset
from trainer.config.recipe import Recipe
from trainer.errors import UserError

_GOOD_NAME = re.compile(r"[\w+=-]+")
_KEYS = ("name", "extends", "starts_from")
BASE = "base"
"""`starts_from` of a step that starts from its own model, whatever was trained before."""


@dataclass(frozen=True)
class Step:
    """One part of a pipeline."""

    name: str
    recipe: Recipe
    """As it is written; where it starts from is filled in by `chained`."""
    starts_from: str | None = None
    """The step whose result it starts from. Unset: the last one before it that is no reward model."""


def is_pipeline(file: Path) -> bool:
    """Whether a file holds `[[pipeline]]` entries."""
    if file.suffix != ".toml" or not file.is_file():
        return False
    try:
        return "pipeline" in tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def read_pipeline(file: Path) -> tuple[Step, ...]:
    """The steps of a file: each a preset (`extends`, by name or by path from the file) with tables laid over it.

    Raises:
        UserError: when a step has no good name, or names what is not there.
        PresetErrors: when a value of a step is wrong.
    """
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    entries = document["pipeline"]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError("write the steps as [[pipeline]] entries", file=file)
    if more := sorted(set(document) - {"pipeline", "description"}):
        hint = "Tables of a step stand below it, as [pipeline.train]"
        raise UserError(f"[{more[0]}] stands beside the pipeline", file=file, field=more[0], hint=hint)
    steps: list[Step] = []
    for entry in entries:
        steps.append(_step(file, entry, [step.name for step in steps]))
    return tuple(steps)


def _step(file: Path, entry: Mapping[str, Any], before: Sequence[str]) -> Step:
    name, start = str(entry.get("name", "")), entry.get("starts_from")
    if not _GOOD_NAME.fullmatch(name) or name in (*before, BASE):
        hint = "Use letters, digits, '-' and '_'"
        raise UserError("every step needs a name of its own", file=file, field="name", value=name, hint=hint)
    if "extends" not in entry:
        raise UserError(f"step {name} says on which preset it builds", file=file, field="extends")
    if start is not None and start not in (*before, BASE):
        hint = f"Name one of {', '.join(before)}" if before else "The first step starts from its own model"
        raise UserError(
            f"step {name} starts from no earlier step", file=file, field="starts_from", value=start, hint=hint
        )
    own = file.parent / str(entry["extends"])
    overrides = []
    for table, values in entry.items():
        if table in _KEYS:
            continue
        if not isinstance(values, dict):
            hint = f"Write it below the step, as [pipeline.train]; of a step itself there are {', '.join(_KEYS)}"
            raise UserError(f"step {name} has no such key", file=file, field=table, hint=hint)
        overrides += [f"{table}.{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    preset = load_preset(own if own.is_file() else str(entry["extends"]), overrides)
    return Step(name, preset.recipe, start)


def chained(steps: Sequence[Step], number: int, results: Mapping[str, str]) -> Recipe:
    """The recipe of a step, started from the results of those before it; `results` are folders by step.

    Raises:
        UserError: when the step cannot go on with what it gets.
    """
    step = steps[number]
    start, judge = _start(steps, number), _judge(steps, number)
    changes: dict[str, object] = {}
    shares_base = False
    if judge is not None:
        own, judges = step.recipe.method.finetuning_type, judge.recipe.method.finetuning_type
        shares_base = own == judges == "lora" and _start(steps, steps.index(judge)) == start
        changes["ppo.reward_model"] = results[judge.name]
        changes["ppo.reward_model_type"] = "lora" if shares_base else "full"
    if start is not None:
        before = chained(steps, steps.index(start), results)
        changes |= _started_from(step, before, results[start.name], new_adapter=shares_base)
    return step.recipe.with_values(changes)


def _start(steps: Sequence[Step], number: int) -> Step | None:
    """The step whose result a step starts from."""
    step = steps[number]
    if step.starts_from is not None:
        return next((each for each in steps if each.name == step.starts_from), None)
    return next((each for each in reversed(steps[:number]) if each.recipe.method.stage != "rm"), None)


def _judge(steps: Sequence[Step], number: int) -> Step | None:
    """The step whose reward model judges a step that does not name one itself."""
    recipe = steps[number].recipe
    if recipe.method.stage not in IN_ANSWERING.values or recipe.ppo.reward_model:
        return None
    return next((each for each in reversed(steps[:number]) if each.recipe.method.stage == "rm"), None)


def _started_from(step: Step, before: Recipe, result: str, *, new_adapter: bool) -> dict[str, object]:
    method = step.recipe.method.finetuning_type
    if before.method.finetuning_type not in ADAPTER_METHODS:
        return {
            "model.model_name_or_path": result,
            "model.model_hub": None,
            "model.model_revision": "main",
            "model.adapter_name_or_path": [],
        }
    if method not in ADAPTER_METHODS:
        raise UserError(
            f"step {step.name} trains whole weights ({method}), but the step before it made an adapter",
            field="finetuning_type",
            value=method,
            hint="Train adapters in both, or whole weights in both.",
        )
    # A reward model needs an adapter with a head, and shares a base with a policy whose adapter is new as well.
    new = new_adapter or step.recipe.method.stage == "rm" or method != before.method.finetuning_type
    return {
        "model.model_name_or_path": before.model.model_name_or_path,
        "model.model_hub": before.model.model_hub,
        "model.model_revision": before.model.model_revision,
        "model.adapter_name_or_path": [result],
        f"{method}.create_new_adapter": new or step.recipe.value(f"{method}.create_new_adapter"),
    }
