"""Reads `dataset_info.json` as text of entries, so that damage in one entry does not cost the others."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.data.registry.names import shortened
from trainer.errors import UserError

INFO_FILE = "dataset_info.json"

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_ENTRY_NAME = r'"(?!(?:columns|tags)")(?:[^"\\\n]|\\.)*"[ \t]*:[ \t]*\{'


@dataclass(frozen=True)
class InfoEntry:
    """One entry: its value, and where in the text its name begins and its value ends."""

    name: str
    value: Any
    start: int
    end: int


@dataclass(frozen=True)
class DatasetInfo:
    """What could be read of a `dataset_info.json`, and what is wrong with it."""

    file: Path
    text: str = field(repr=False)
    entries: tuple[InfoEntry, ...]
    """In the order of the file; of two entries of one name the last one counts, as in JSON."""
    problems: tuple[UserError, ...] = ()
    """Each with line and column of its place, in the order of the file."""
    is_whole: bool = True
    """Whether the file is valid JSON. Entries that stand twice are problems of a valid file."""

    @property
    def values(self) -> dict[str, Any]:
        """The raw entries by name."""
        return {entry.name: entry.value for entry in self.entries}


def read_info(info_file: Path) -> dict[str, Any]:
    """The raw entries of a `dataset_info.json`, those that can be read.

    Raises: UserError when none can be, with line and column.
    """
    info = scan_info(info_file)
    if info.problems and not info.entries:
        raise info.problems[0]
    return info.values


def scan_info(info_file: Path) -> DatasetInfo:
    """Everything that can be read of a `dataset_info.json`; after damage, the entries that begin on later lines.

    Raises: UserError when the file cannot be opened, is not UTF-8, or is no JSON object.
    """
    try:
        text = info_file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("not UTF-8 text", file=info_file, hint="Save the file as UTF-8") from error
    except OSError as error:
        raise UserError(error.strerror or str(error), file=info_file, hint="Check its permissions") from error
    start = _skip(text, 0)
    if not text.startswith("{", start):
        problem = "the file is empty" if start == len(text) else "must be an object of data set names"
        raise UserError(problem, file=info_file, hint='Write {"name": {"file_name": ...}}')
    return _Scan(info_file, text).run(start + 1)


class _Scan:
    """One pass over the text of the file."""

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self._text = text
        self._entries: list[InfoEntry] = []
        self._problems: list[UserError] = []
        self._is_whole = True

    def run(self, position: int) -> DatasetInfo:
        """The entries from `position` on, which is behind the first brace."""
        position = _skip(self._text, position)
        # Keys inside an entry stand deeper than names of entries, so damage in one does not make entries of its keys.
        indentation = self._text[:position].rpartition("\n")[2]
        indentation = "" if indentation.strip() else indentation
        next_name = re.compile(rf"\n{indentation}(?={_ENTRY_NAME})")
        while not self._text.startswith("}", position):
            try:
                position = self._entry(position)
                position = self._separator(position)
            except json.JSONDecodeError as error:
                self._is_whole = False
                damage = max(position, error.pos)
                self._problem(error.msg, damage)
                found = next_name.search(self._text, max(position, self._text.rfind("\n", 0, damage)))
                if found is None:
                    break
                position = found.end()
        else:
            self._end(_skip(self._text, position + 1))
        self._report_duplicates()
        return DatasetInfo(self._file, self._text, tuple(self._entries), self._worded(), self._is_whole)

    def _entry(self, start: int) -> int:
        """Read one entry; where it ends."""
        if not self._text.startswith('"', start):
            raise json.JSONDecodeError("Expecting a data set name in double quotes", self._text, start)
        name, position = _DECODER.raw_decode(self._text, start)
        position = _skip(self._text, position)
        if not self._text.startswith(":", position):
            raise json.JSONDecodeError("Expecting ':' after the name", self._text, position)
        value, end = _decode(self._text, _skip(self._text, position + 1))
        self._entries.append(InfoEntry(name, value, start, end))
        return end

    def _separator(self, position: int) -> int:
        """Where the next entry or the closing brace is."""
        position = _skip(self._text, position)
        if self._text.startswith("}", position):
            return position
        if not self._text.startswith(",", position):
            raise json.JSONDecodeError("Expecting ',' or '}' after an entry", self._text, position)
        after = _skip(self._text, position + 1)
        if self._text.startswith("}", after):
            raise json.JSONDecodeError("A comma stands after the last entry", self._text, position)
        return after

    def _end(self, position: int) -> None:
        if position < len(self._text):
            self._is_whole = False
            self._problem("More text after the end of the object", position)

    def _report_duplicates(self) -> None:
        seen: dict[str, int] = {}
        for entry in self._entries:
            line = self._text.count("\n", 0, entry.start) + 1
            if entry.name in seen:
                problem = f"the data set {entry.name} is registered twice (first in line {seen[entry.name]})"
                hint = "The second one is used: remove or rename one of them"
                self._problems.append(UserError(problem, file=self._file, line=line, hint=hint))
            seen[entry.name] = line

    def _problem(self, what: str, position: int) -> None:
        line = self._text.count("\n", 0, position) + 1
        column = position - self._text.rfind("\n", 0, position)
        self._problems.append(UserError(f"not valid JSON: {what} (column {column})", file=self._file, line=line))

    def _worded(self) -> tuple[UserError, ...]:
        """The problems, those without a hint with one that says what could be read in spite of them."""
        names = list(dict.fromkeys(entry.name for entry in self._entries))
        hint = f"Mend this place; the entries that could be read: {shortened(names)}" if names else "Mend this place"
        for problem in self._problems:
            problem.hint = problem.hint or hint
        return tuple(self._problems)


def _decode(text: str, position: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except RecursionError as error:
        raise json.JSONDecodeError("Nested too deeply", text, position) from error


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position
