"""Several recipes that follow each other, as `[[pipeline]]` entries of one file. Not for running them (`trainer.run`).

Each part starts from what the last one that made a writing model has trained, and a stage that learns from rewards is
judged by the reward model that was trained before it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainer.config.form import ADAPTER_METHODS, IN_ANSWERING
from trainer.config.overrides import apply_overrides
from trainer.config.preset_text import key_lines
from trainer.config.presets import Preset, find_preset, load_preset
from trainer.config.problems import PresetErrors
from trainer.config.recipe import Recipe
from trainer.config.spellings import translate_values
from trainer.config.toml_text import toml_text
from trainer.config.validation import validated
from trainer.errors import UserError

_GOOD_NAME = re.compile(r"[\w+=-]+")
_ENTRY = re.compile(r"\s*\[\[\s*pipeline\s*\]\]")
_KEYS = ("name", "extends", "starts_from")
BASE = "base"
"""`starts_from` of a part that starts from its own model, whatever was trained before."""


@dataclass(frozen=True)
class Part:
    """One part of a pipeline."""

    name: str
    recipe: Recipe
    """As it is written; where it starts from is filled in by `chained`."""
    starts_from: str | None = None
    """The part whose result it starts from. Unset: the last one before it that trains and is no reward model."""
    preset: str = ""
    """The file of the preset that it builds on."""

    @property
    def makes_a_model(self) -> bool:
        """Whether it ends with weights: a part that only evaluates or predicts has none."""
        return self.recipe.train.do_train


def is_pipeline(file: Path) -> bool:
    """Whether a file holds `[[pipeline]]` entries."""
    if file.suffix != ".toml" or not file.is_file():
        return False
    try:
        return "pipeline" in tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False


def pipeline_file(name_or_path: str) -> Path | None:
    """The file of a pipeline, by its name among the presets or by its path; None when that is something else."""
    try:
        found = find_preset(name_or_path)
    except UserError:
        return None
    return found if is_pipeline(found) else None


def pipeline_description(file: Path) -> str:
    """What a pipeline's file says of itself. Raises: UserError when it cannot be read."""
    return str(_document(file)[1].get("description", ""))


def read_pipeline(file: Path, overrides: Sequence[str] = ()) -> tuple[Part, ...]:
    """The parts of a file: each a preset (`extends`, by name or by path from the file) with tables laid over it, and
    over these the overrides: `2.learning_rate=1e-5` or `rm.learning_rate=1e-5`, by number or name of the part.

    Raises:
        UserError: when the file cannot be read; a part has no good name, or names what is not there; an override names
            no part.
        PresetErrors: when a value of a part is wrong.
    """
    source, document = _document(file)
    entries = document.get("pipeline")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise UserError("write the parts as [[pipeline]] entries", file=file)
    if more := sorted(set(document) - {"pipeline", "description"}):
        hint = "Tables of a part stand below it, as [pipeline.train]"
        raise UserError(f"[{more[0]}] stands beside the pipeline", file=file, field=more[0], hint=hint)
    own = overrides_of_parts([str(entry.get("name", "")) for entry in entries], overrides)
    parts: list[Part] = []
    for entry, words, lines in zip(entries, own, _lines_of_parts(source, len(entries)), strict=True):
        parts.append(_part(file, entry, parts, words, lines))
    return tuple(parts)


def _document(file: Path) -> tuple[str, dict[str, Any]]:
    """The text of a file and what it says. Raises: UserError when it is gone, or no TOML any more."""
    try:
        source = file.read_text(encoding="utf-8-sig")
        return source, tomllib.loads(source)
    except OSError as error:
        raise UserError(f"the pipeline cannot be read: {error.strerror}", file=file) from error
    except ValueError as error:
        raise UserError(f"this is no TOML: {error}", file=file) from error


def overrides_of_parts(names: Sequence[str], overrides: Sequence[str]) -> list[list[str]]:
    """The `key=value` words of each part, without the part's number or name before the first dot.

    Raises:
        UserError: a word says of no part what it means.
    """
    found: list[list[str]] = [[] for _ in names]
    for override in overrides:
        part, dot, word = override.partition(".")
        if "=" in part or not dot:
            hint = f"Say of which part it is: 1.{override}" + (f", or {names[0]}.{override}" if names[0] else "")
            raise UserError("a setting of a pipeline begins with a part", field=override, hint=hint)
        if part in names:
            found[names.index(part)].append(word)
        elif part.isdecimal() and 1 <= int(part) <= len(names):
            found[int(part) - 1].append(word)
        else:
            parts = ", ".join(f"{number} ({name})" for number, name in enumerate(names, start=1))
            raise UserError("there is no such part", field=override, value=part, hint=f"The parts are {parts}.")
    return found


def overridden(part: Part, words: Sequence[str]) -> Part:
    """The part with `key=value` words over its recipe.

    Raises:
        UserError: a word names no parameter, or a value is wrong.
    """
    values = apply_overrides(part.recipe.tables(), words)
    translate_values(values)
    recipe = validated(values, {})
    _check_place(part.name, recipe)
    return replace(part, recipe=recipe)


def _lines_of_parts(source: str, count: int) -> list[dict[str, int]]:
    """The line of each key of each part, by table and name with a dot; those of the part itself by name alone."""
    starts = [number for number, line in enumerate(source.splitlines()) if _ENTRY.match(line)]
    if len(starts) != count:
        return [{} for _ in range(count)]  # not written as [[pipeline]] entries
    lines = source.splitlines()
    found: list[dict[str, int]] = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        own = key_lines("\n".join(lines[start + 1 : end]))
        found.append({key.removeprefix("pipeline."): line + start + 1 for key, line in own.items()})
    return found


def _part(
    file: Path, entry: Mapping[str, Any], parts: Sequence[Part], words: Sequence[str], lines: Mapping[str, int]
) -> Part:
    before = [part.name for part in parts]
    name, start = str(entry.get("name", "")), entry.get("starts_from")
    if not _GOOD_NAME.fullmatch(name) or name in (*before, BASE):
        hint = "Use letters, digits, '-' and '_'"
        raise UserError("every part needs a name of its own", file=file, field="name", value=name, hint=hint)
    if "extends" not in entry:
        raise UserError(f"part {name} says on which preset it builds", file=file, field="extends")
    if start is not None and start not in (*before, BASE):
        hint = f"Name one of {', '.join(before)}" if before else "The first part starts from its own model"
        raise UserError(
            f"part {name} starts from no earlier part", file=file, field="starts_from", value=start, hint=hint
        )
    if any(part.name == start and not part.makes_a_model for part in parts):
        hint = "It has do_train = false and ends without weights"
        raise UserError(f"part {name} cannot start from it", file=file, field="starts_from", value=start, hint=hint)
    own = file.parent / str(entry["extends"])
    overrides = []
    for table, values in entry.items():
        if table in _KEYS:
            continue
        if not isinstance(values, dict):
            hint = f"Write it below the part, as [pipeline.train]; of a part itself there are {', '.join(_KEYS)}"
            raise UserError(f"part {name} has no such key", file=file, field=table, hint=hint)
        overrides += [f"{table}.{key}={toml_text(value)}" for key, value in values.items()]
    # What is written on the command line stands in no line of the file.
    given = {word.partition("=")[0].strip() for word in words}
    in_file = {key: line for key, line in lines.items() if not {key, key.partition(".")[2]} & given}
    preset = _loaded(file, name, own if own.is_file() else str(entry["extends"]), [*overrides, *words], in_file)
    _check_place(name, preset.recipe, file)
    return Part(name, preset.recipe, start, str(preset.path))


def _check_place(part: str, recipe: Recipe, file: Path | None = None) -> None:
    """Raises: UserError when a part says where its run shall lie, or how it is called."""
    for key in ("train.output_dir", "train.run_name"):
        if recipe.value(key):
            hint = "Its run is called after pipeline and part. Take it out."
            raise UserError(f"part {part} cannot choose it", file=file, field=key, hint=hint)


def _loaded(file: Path, part: str, preset: str | Path, overrides: Sequence[str], lines: Mapping[str, int]) -> Preset:
    """The preset of a part, whose mistakes name the part and its line; `lines` are those of the keys of the file."""
    try:
        find_preset(str(preset))
    except UserError as error:
        raise UserError(
            f"part {part}: {error.message}", file=file, line=lines.get("extends"), field="extends", hint=error.hint
        ) from error
    try:
        return load_preset(preset, overrides)
    except PresetErrors as error:
        problems = []
        for each in error.problems:
            line = each.line if each.file else lines.get(each.field or "")
            here = each.file or (file if line else None)
            message = f"part {part}: {each.message}"
            problems.append(
                UserError(message, file=here, line=line, field=each.field, value=each.value, hint=each.hint)
            )
        raise PresetErrors(problems, None) from error


def needed_by(parts: Sequence[Part], number: int) -> tuple[Part, ...]:
    """The parts whose results a part needs before it can begin, in their order."""
    judge, start = _judge(parts, number), _start(parts, number)
    found = set() if judge is None else {judge.name}
    while start is not None:
        found.add(start.name)
        start = _start(parts, parts.index(start))
    return tuple(part for part in parts if part.name in found)


def chained(parts: Sequence[Part], number: int, results: Mapping[str, str]) -> Recipe:
    """The recipe of a part, started from the results of those before it; `results` are folders by part.

    Where a result is not there yet, what the part before starts from itself stands in for it: the same base model, so
    that data and memory can be judged.

    Raises:
        UserError: when the part cannot go on with what it gets.
    """
    part = parts[number]
    start, judge = _start(parts, number), _judge(parts, number)
    changes: dict[str, object] = {}
    shares_base = False
    if judge is not None:
        own, judges = part.recipe.method.finetuning_type, judge.recipe.method.finetuning_type
        shares_base = own == judges == "lora" and _start(parts, parts.index(judge)) == start
        changes["ppo.reward_model"] = results.get(judge.name, judge.name)
        changes["ppo.reward_model_type"] = "lora" if shares_base else "full"
    if start is not None:
        before = chained(parts, parts.index(start), results)
        changes |= _started_from(part, before, results.get(start.name), new_adapter=shares_base)
    return part.recipe.with_values(changes)


def _start(parts: Sequence[Part], number: int) -> Part | None:
    """The part whose result a part starts from."""
    part = parts[number]
    if part.starts_from is not None:
        return next((each for each in parts if each.name == part.starts_from), None)
    before = (each for each in reversed(parts[:number]) if each.makes_a_model)
    return next((each for each in before if each.recipe.method.stage != "rm"), None)


def _judge(parts: Sequence[Part], number: int) -> Part | None:
    """The part whose reward model judges a part that does not name one itself."""
    recipe = parts[number].recipe
    if recipe.method.stage not in IN_ANSWERING.values or recipe.ppo.reward_model:
        return None
    before = (each for each in reversed(parts[:number]) if each.makes_a_model)
    return next((each for each in before if each.recipe.method.stage == "rm"), None)


def _started_from(part: Part, before: Recipe, result: str | None, *, new_adapter: bool) -> dict[str, object]:
    method = part.recipe.method.finetuning_type
    base: dict[str, object] = {
        f"model.{name}": before.value(f"model.{name}")
        for name in ("model_name_or_path", "model_hub", "model_revision", "adapter_name_or_path")
    }
    if before.method.finetuning_type not in ADAPTER_METHODS:
        return (
            base
            if result is None
            else {
                "model.model_name_or_path": result,
                "model.model_hub": None,
                "model.model_revision": "main",
                "model.adapter_name_or_path": [],
            }
        )
    if method not in ADAPTER_METHODS:
        raise UserError(
            f"part {part.name} trains whole weights ({method}), but the part before it made an adapter",
            field="finetuning_type",
            value=method,
            hint="Train adapters in both, or whole weights in both.",
        )
    if result is None:
        return base
    # A reward model needs an adapter with a head, and shares a base with a policy whose adapter is new as well.
    new = new_adapter or part.recipe.method.stage == "rm" or method != before.method.finetuning_type
    return base | {
        "model.adapter_name_or_path": [result],
        f"{method}.create_new_adapter": new or part.recipe.value(f"{method}.create_new_adapter"),
    }
