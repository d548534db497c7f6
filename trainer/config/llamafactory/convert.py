"""A LLaMA-Factory file becomes values by table and name: each key mapped, translated, or told with the reason.

Nothing is dropped in silence. Not for reading the file (`source`), not for writing a preset (`writing`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.config.finding import Finding
from trainer.config.llamafactory.board import board_entries, is_board
from trainer.config.llamafactory.defaults import kept_defaults
from trainer.config.llamafactory.messages import import_finding, shown
from trainer.config.llamafactory.names import FIXED, FOREIGN, GONE, RENAMED
from trainer.config.llamafactory.source import Entry, Source, is_secret_name, read_source
from trainer.config.llamafactory.values import UNSET, fitted
from trainer.config.parameter import Parameter, find_parameter, near_hint, parameter
from trainer.config.passthrough import OURS_ALONE, trainer_argument_names, trainer_argument_problem
from trainer.config.spellings import SECRETS, today
from trainer.config.validation import Origin, validated_in_part
from trainer.errors import UserError

# `key=value` words that LLaMA-Factory's benchmarks share with training.
_BENCHMARK_NAMES = ("seed", "batch_size")
_OFT_NAMES = ("additional_target", "create_new_adapter")
_RUN_KEYS = ("do_train", "do_eval", "do_predict")
_INTERPOLATION = re.compile(r"\$\{[^}]*\}")


@dataclass
class Imported:
    """What was made of a file."""

    source: Source
    values: dict[str, dict[str, object]] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    """Where each dotted key comes from."""
    defaults: dict[str, object] = field(default_factory=dict)
    """LLaMA-Factory's defaults among the values, by dotted key."""
    findings: list[Finding] = field(default_factory=list)
    problems: list[UserError] = field(default_factory=list)
    """Keys and values that cannot be taken: a run may not start with them."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.source.path

    @property
    def lines(self) -> dict[str, int]:
        """The line of each dotted key."""
        return {key: entry.line for key, entry in self.entries.items()}


def import_file(path: Path) -> Imported:
    """Read a LLaMA-Factory file and say what its keys mean here.

    Raises:
        UserError: the file cannot be read or is broken (with the line).
    """
    source = read_source(path)
    made = Imported(source)
    entries: list[Entry] = list(source.entries)
    if is_board(source):
        entries, told = board_entries(source)
        made.findings += told
    given = {entry.key: entry.value for entry in entries}
    for entry in entries:
        _take(made, entry, given)
    _translate_together(made)
    _keep_defaults(made)
    return made


def readable_import(path: Path) -> tuple[Imported, list[UserError]]:
    """The same without the values that do not fit, and everything that is wrong with the file.

    Raises:
        UserError: as `import_file`.
    """
    made = import_file(path)
    origins = {key: Origin(path, line) for key, line in made.lines.items()}
    _, wrong = validated_in_part(made.values, origins)
    for problem in wrong:
        table, _, name = str(problem.field).partition(".")
        made.values.get(table, {}).pop(name, None)
    return made, [*made.problems, *wrong]


def _take(made: Imported, entry: Entry, given: Mapping[str, object]) -> None:
    """One key: to its place, or to the findings or problems."""
    if _secret(made, entry) or _without_meaning(made, entry):
        return
    key = _dotted(entry.key, given)
    if key is None:
        _take_unknown(made, entry)
        return
    found = parameter(key)
    if entry.key not in (found.name, found.key):
        made.findings.append(
            import_finding("import_renamed", "info", key, place=_place(made, entry), name=entry.key, key=found.name)
        )
    value = _without_inner_secrets(made, entry, found)
    if isinstance(value, str) and _INTERPOLATION.search(value):
        told = {"place": _place(made, entry), "name": entry.key, "value": value}
        made.findings.append(import_finding("import_not_filled", "warning", key, **told))
    result = fitted(found, _older_value(found, value))
    if result is UNSET:
        return
    if not isinstance(result, list | dict) and _differs(value, result):
        _became(made, entry, key, value, result)
    _set(made, entry, key, result)


def _set(made: Imported, entry: Entry, key: str, value: object) -> None:
    table, _, name = key.partition(".")
    if key in made.entries:
        first = made.entries[key]
        message = f"is set twice: {first.key} in line {first.line} means the same"
        made.problems.append(UserError(message, file=made.path, line=entry.line, field=entry.key))
        return
    made.values.setdefault(table, {})[name] = value
    made.entries[key] = entry


def _dotted(name: str, given: Mapping[str, object]) -> str | None:
    """The dotted key that a name of LLaMA-Factory means, given the other keys of the file."""
    if name in _BENCHMARK_NAMES and "task" in given:
        return f"evaluation.{name}"
    if name in _OFT_NAMES and given.get("finetuning_type") == "oft":
        return f"oft.{name}"
    found = None if "." in name else find_parameter(name)
    return found.key if found is not None else RENAMED.get(name) or today(name)


def _take_unknown(made: Imported, entry: Entry) -> None:
    """A key without a parameter of ours: one of transformers', or one that nobody knows."""
    if entry.key in trainer_argument_names() and trainer_argument_problem(entry.key) is None:
        if entry.value is not None:
            _set(made, entry, f"trainer.{entry.key}", entry.value)
        return
    problem = UserError(
        "LLaMA-Factory and trimtab know no such setting",
        file=made.path,
        line=entry.line,
        field=entry.key,
        hint=near_hint(entry.key),
    )
    made.problems.append(problem)


def _secret(made: Imported, entry: Entry) -> bool:
    variable = SECRETS.get(entry.key.rpartition(".")[2])
    if variable is None:
        return False
    if entry.value not in (None, ""):
        told = {"place": _place(made, entry), "name": entry.key, "variable": variable}
        made.findings.append(import_finding("import_secret", "warning", **told))
    return True


def _without_inner_secrets(made: Imported, entry: Entry, found: Parameter) -> object:
    """The value without secrets inside it, such as `env_vars` in `ray_init_kwargs`."""
    value = fitted(found, entry.value) if found.kind == "any" else entry.value
    return _clean(made, entry, value) if isinstance(value, dict) else entry.value


def _clean(made: Imported, entry: Entry, value: Any) -> Any:
    if isinstance(value, list):
        return [_clean(made, entry, item) for item in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        if is_secret_name(str(name)) and isinstance(inner, str):
            told = {"place": _place(made, entry), "inner": name, "name": entry.key}
            made.findings.append(import_finding("import_inner_secret", "warning", **told))
        elif inner is not None:  # TOML has no null
            kept[str(name)] = _clean(made, entry, inner)
    return kept


def _without_meaning(made: Imported, entry: Entry) -> bool:
    """Tell of a key that has no meaning here, whatever its value."""
    name, told = entry.key, {"place": _place(made, entry), "name": entry.key}
    if name == "overwrite_output_dir":
        if fitted(parameter("train.overwrite_output_dir"), entry.value) is True:
            made.findings.append(import_finding("import_overwrite", "warning", place=told["place"]))
        return True
    if name in FOREIGN:
        made.findings.append(import_finding("import_foreign", "warning", engine=FOREIGN[name], **told))
    elif name in FIXED or name in OURS_ALONE:
        made.findings.append(import_finding("import_fixed", "info", **told))
    elif name in GONE:
        made.findings.append(import_finding("import_gone", "warning", **told))
    else:
        return False
    return True


def _older_value(found: Parameter, value: object) -> object:
    """Values of older versions in today's words."""
    if found.key == "model.flash_attn" and isinstance(value, bool):
        return "fa2" if value else "auto"
    if found.key == "quantization.quantization_method" and value == "bitsandbytes":
        return "bnb"
    if found.key == "train.include_num_input_tokens_seen" and value in ("all", "non_padding"):
        return True
    if found.key == "train.fsdp":
        if isinstance(value, list):
            return " ".join(str(item) for item in value)
        return {True: "full_shard", False: None}.get(value, value) if isinstance(value, bool) else value
    if found.key == "data.template" and value == "vanilla":
        return "empty"
    if found.key == "train.resume_from_checkpoint" and value in (True, "true", "True"):
        return "latest"
    if found.key == "train.resume_from_checkpoint" and value in (False, "false", "False"):
        return None
    return value


def _translate_together(made: Imported) -> None:
    """What one key says with us in two tables, or in another key."""
    method, train = made.values.get("method", {}), made.values.get("train", {})
    if method.get("finetuning_type") == "qlora":
        entry = made.entries["method.finetuning_type"]
        method["finetuning_type"] = "lora"
        result = "finetuning_type = lora"
        if "quantization_bit" not in made.values.get("quantization", {}):
            _set(made, entry, "quantization.quantization_bit", 4)
            result += ", quantization_bit = 4"
        _became(made, entry, "method.finetuning_type", "qlora", result)
    if method.get("stage") == "orpo":
        entry = made.entries["method.stage"]
        method["stage"] = "dpo"
        _set(made, entry, "preference.pref_loss", "orpo")
        _became(made, entry, "method.stage", "orpo", "stage = dpo, pref_loss = orpo")
    entry_of_warmup = made.entries.get("train.warmup_steps")
    share = train.get("warmup_steps")
    if entry_of_warmup is not None and isinstance(share, float) and 0 < share < 1:
        # transformers 5 takes a number below 1 as a share of the run.
        del train["warmup_steps"], made.entries["train.warmup_steps"]
        _set(made, entry_of_warmup, "train.warmup_ratio", share)
        _became(made, entry_of_warmup, "train.warmup_ratio", share, f"warmup_ratio = {share}")


def _keep_defaults(made: Imported) -> None:
    """Write LLaMA-Factory's defaults where ours differ, and tell of them."""
    is_run = any(made.values.get("train", {}).get(name) is True for name in _RUN_KEYS)
    made.defaults = kept_defaults(made.values, is_run=is_run)
    for key, value in made.defaults.items():
        table, _, name = key.partition(".")
        made.values.setdefault(table, {})[name] = value
    told = {key: value for key, value in made.defaults.items() if key != "train.do_train"}
    if "train.do_train" in made.defaults:
        made.findings.append(import_finding("import_no_training", "info", "train.do_train", place=made.path.name))
    if told:
        settings = ", ".join(f"{key.partition('.')[2]} = {shown(value)}" for key, value in told.items())
        made.findings.append(import_finding("import_defaults", "info", *told, settings=settings))


def _became(made: Imported, entry: Entry, key: str, before: object, after: object) -> None:
    told = {"place": _place(made, entry), "name": entry.key, "value": shown(before), "result": shown(after)}
    made.findings.append(import_finding("import_became", "info", key, **told))


def _differs(before: object, after: object) -> bool:
    """Whether a value means something else than was written, beyond its type."""
    if isinstance(before, int | float) and isinstance(after, int | float) and not isinstance(before, bool):
        return before != after
    return shown(before).lower() != shown(after).lower() and not isinstance(after, int | float)


def _place(made: Imported, entry: Entry) -> str:
    return f"{made.path.name}:{entry.line}"
