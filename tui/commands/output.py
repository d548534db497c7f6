"""How commands print: aligned tables, JSON, colours where the terminal has them. Not for the live progress view.

Widths are terminal cells, so that Chinese lines up. A pipe gets every character; only a terminal's lines are cut.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}
_GAP = "  "
# All but line break and tab.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Narrower than this, a table becomes one block of lines per row.
_NARROW = 40


def on_terminal() -> bool:
    """Whether a person watches standard output in a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def as_words(name: str, *, dataset_dir: str | None) -> str:
    """The words that name a data set in a command to be typed, quoted as the shell needs it."""
    return shlex.join([name, "--dir", dataset_dir] if dataset_dir else [name])


def terminal_width() -> int:
    """Columns of the terminal; 80 when standard output is none."""
    return max(shutil.get_terminal_size((80, 24)).columns, 10)


def cells(line: str) -> int:
    """How many terminal cells a line takes."""
    if line.isascii():
        return len(line)
    from rich.cells import cell_len

    return cell_len(line)


def cut(line: str, width: int) -> str:
    """The line, no wider than `width` cells; a cut is shown by "…"."""
    if cells(line) <= width:
        return line
    kept = ""
    for character in line:
        if cells(kept + character) > width - 1:
            break
        kept += character
    return kept + "…"


def wrap(line: str, width: int) -> list[str]:
    """The line in pieces of at most `width` cells, broken at spaces, and anywhere inside what is wider."""
    lines: list[str] = []
    current = ""
    for piece in _pieces(line):
        if current and cells(current + piece.rstrip()) > width:
            lines.append(current.rstrip())
            current = ""
        current += piece if current else piece.lstrip()
        while cells(current.rstrip()) > max(width, 2):
            head = cut(current, max(width, 2) + 1)[:-1]
            lines.append(head)
            current = current[len(head) :]
    return [*lines, current.rstrip()] if current.strip() else lines


def _pieces(line: str) -> list[str]:
    """Words with the space after them; each wide character is a piece, as Chinese breaks between any two."""
    pieces: list[str] = []
    word = ""
    for character in " ".join(line.split()):
        word += character
        if character == " " or cells(character) > 1:
            pieces.append(word)
            word = ""
    return [*pieces, word] if word else pieces


def harmless(text: str) -> str:
    """The text with control characters made visible, so that the data of a file cannot steer the terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)


def paint(line: str, colour: str) -> str:
    """The line in a colour, where standard output is a terminal and NO_COLOR is not set."""
    if not on_terminal() or os.environ.get("NO_COLOR"):
        return line
    return f"\x1b[{_COLOURS[colour]}m{line}\x1b[0m"


def print_json(value: object) -> None:
    """Print one JSON document in plain ASCII; numbers that JSON lacks are the texts "nan", "inf", "-inf"."""
    print(json.dumps(finite(value), indent=2, default=str))


def finite(value: object) -> object:
    """The value with the numbers that JSON lacks as texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


@dataclass
class Table:
    """Rows under headings; the last column takes what is left of the line."""

    headings: Sequence[str]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, *values: str) -> None:
        """Add a row with one text per heading."""
        self.rows.append(tuple(map(harmless, values)))

    def lines(self) -> list[str]:
        """The table as lines: cut at the terminal's edge, whole in a pipe, blocks where the terminal is narrow."""
        width = terminal_width() if sys.stdout.isatty() else None
        if width is not None and width < _NARROW:
            return self._blocks(width)
        columns = list(zip(self.headings, *self.rows, strict=True))
        widths = [max(cells(value) for value in column) for column in columns]
        lines = [
            _GAP.join(value + " " * (size - cells(value)) for value, size in zip(row, widths, strict=True)).rstrip()
            for row in [tuple(self.headings), *self.rows]
        ]
        return lines if width is None else [cut(line, width) for line in lines]

    def _blocks(self, width: int) -> list[str]:
        lines: list[str] = []
        for first, *rest in self.rows:
            lines += wrap(first, width)
            lines += [" " + line for value in rest if value for line in wrap(value, width - 1)]
        return lines

    def print(self) -> None:
        """Print all lines."""
        for line in self.lines():
            print(line)


class Facts:
    """Labels with the lines that belong to them; lines are broken at the terminal's edge, never cut."""

    def __init__(self) -> None:
        self._facts: list[tuple[str, tuple[str, ...]]] = []

    def add(self, label: str, *lines: str) -> None:
        """Add a label and its lines."""
        self._facts.append((label, tuple(map(harmless, lines))))

    def lines(self) -> list[str]:
        """All labels in one column, their lines in another; below each other where the terminal is narrow."""
        width = terminal_width() if sys.stdout.isatty() else 120
        column = max((cells(label) for label, _ in self._facts), default=0) + len(_GAP)
        if width < _NARROW:
            return [
                line
                for label, lines in self._facts
                for line in (*wrap(label, width), *(f" {part}" for one in lines for part in wrap(one, width - 1)))
            ]
        found: list[str] = []
        for label, lines in self._facts:
            parts = [
                part for one in lines for part in ([one] if cells(one) <= width - column else wrap(one, width - column))
            ]
            found += [
                (label + " " * (column - cells(label)) if number == 0 else " " * column) + part
                for number, part in enumerate(parts)
            ]
        return found

    def print(self) -> None:
        """Print all lines."""
        for line in self.lines():
            print(line)


def can_open_cockpit() -> bool:
    """Whether a person sits at a terminal on which the cockpit can be drawn."""
    from tui.cockpit import terminal_obstacle

    return on_terminal() and terminal_obstacle() is None
