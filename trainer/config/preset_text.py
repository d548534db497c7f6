"""One TOML file as values by table and name, with the line of each key for messages. Inheritance is in `presets`."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from trainer.config.parameter import find_parameter, near_hint, tables
from trainer.config.passthrough import trainer_argument_problem
from trainer.config.spellings import secret_hint, today
from trainer.errors import UserError

Values = dict[str, dict[str, object]]
"""Values by table and name."""
UNSET = "unset"
"""TOML has no null: this text takes back what the preset below sets, where a parameter may be unset."""

_HEADER = re.compile(r"^\s*\[\s*([A-Za-z0-9_.\"'-]+)\s*\]")
_POSITION = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")
_TOP_LEVEL = ("extends", "description")


@dataclass(frozen=True)
class PresetText:
    """What stands in one preset file, older names already translated, values not yet checked."""

    path: Path
    extends: str | None
    description: str
    values: Values
    lines: dict[str, int]
    """Line of each dotted key."""
    problems: tuple[UserError, ...] = ()
    """Unknown tables and keys and the like, one error each; what they are about is left out of the values."""


def read_preset_text(path: Path) -> PresetText:
    """Read one file.

    Unknown tables and keys (line, near match) are its `problems`.

    Raises:
        UserError: it cannot be read or is no TOML (line and column).
    """
    try:
        source = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=path) from error
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path, hint="Save it as UTF-8.") from error
    try:
        document = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise _broken_toml(path, source, error) from error
    if "pipeline" in document:
        hint = f"`trimtab check` and `trimtab train` take it as a whole: trimtab train {path.stem}"
        raise UserError("is a pipeline of several presets, not one", file=path, hint=hint)
    return _checked(path, source, document)


def _broken_toml(path: Path, source: str, error: tomllib.TOMLDecodeError) -> UserError:
    text = str(error)
    found = _POSITION.search(text)
    # Otherwise the message ends with "(at end of document)", and the last line is where to look.
    line = int(found[1]) if found else source.count("\n") + 1
    column = f", column {found[2]}" if found else ""
    reason = _POSITION.sub("", text).replace(" (at end of document)", "")
    hint = 'TOML writes text in quotes: name = "value".' if "Invalid value" in reason else None
    return UserError(f"broken TOML{column}: {reason}", file=path, line=line, hint=hint)


def _checked(path: Path, source: str, document: dict[str, object]) -> PresetText:
    lines = key_lines(source)
    values: Values = {}
    places: dict[str, int] = {}
    problems: list[UserError] = []
    for table, content in document.items():
        if table in _TOP_LEVEL:
            continue
        line = lines.get(table)
        if not isinstance(content, dict):
            problems.append(UserError("stands outside a table", file=path, line=line, field=table, hint=_home(table)))
            continue
        if table != "trainer" and table not in tables():
            problems.append(_unknown_table(path, line, table))
            continue
        for name, value in content.items():
            line = lines.get(f"{table}.{name}", line)
            try:
                key = _checked_key(path, line, table, name)
            except UserError as error:
                problems.append(error)
                continue
            if key in places:
                twice = f"is set twice: {name} is an older name of it"
                problems.append(UserError(twice, file=path, line=line, field=key))
                continue
            home, _, new_name = key.partition(".")
            values.setdefault(home, {})[new_name] = value
            places[key] = line or 1
    head: dict[str, str | None] = {}
    for name in _TOP_LEVEL:
        value = document.get(name)
        if value is not None and not isinstance(value, str):
            problems.append(UserError("expected text", file=path, line=lines.get(name), field=name, value=value))
        head[name] = value if isinstance(value, str) else None
    return PresetText(path, head["extends"], head["description"] or "", values, places, tuple(problems))


def _checked_key(path: Path, line: int | None, table: str, name: str) -> str:
    """The dotted key that `name` in `[table]` means."""
    key = f"{table}.{name}"
    if hint := secret_hint(name):
        raise UserError("does not belong in a preset", file=path, line=line, field=key, hint=hint)
    if table == "trainer":
        if problem := trainer_argument_problem(name):
            raise UserError(problem, file=path, line=line, field=key)
        return key
    if find_parameter(key):
        return key
    if newer := today(key):
        return newer
    raise UserError("unknown parameter", file=path, line=line, field=key, hint=near_hint(name, table))


def _unknown_table(path: Path, line: int | None, table: str) -> UserError:
    near = difflib.get_close_matches(table, [*tables(), "trainer"], n=1)
    hint = f"Did you mean [{near[0]}]?" if near else f"The tables are {', '.join(tables())} and trainer."
    return UserError("unknown table", file=path, line=line, field=f"[{table}]", hint=hint)


def _home(name: str) -> str:
    if hint := secret_hint(name):
        return hint
    key = today(name)
    found = find_parameter(key or name)
    return f"It belongs in [{found.table}]." if found else near_hint(name) or ""


def key_lines(source: str) -> dict[str, int]:
    """Line of each table header and each key, by dotted name.

    tomllib tells no positions, so that lines are read once more; inside multi-line values a line may look like a key,
    but the first place of a name wins and unknown names are never asked for.
    """
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(source.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            table = header[1].strip("\"'")
            found.setdefault(table, number)
            continue
        name, equals, _ = line.partition("=")
        if equals:
            bare = name.strip().strip("\"'")
            found.setdefault(f"{table}.{bare}" if table else bare, number)
    return found
