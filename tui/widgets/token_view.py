"""The tokens of a row, one box each: what is learned is coloured, underlined and fenced; the ids stand below on demand.

A `ScrolledLines` over tokens. Not for how a row becomes tokens: that is the data worker's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.data_answers import Token
from tui.widgets.component_style import component_style
from tui.widgets.glyphs import ascii_only
from tui.widgets.pane import Piece, Row
from tui.widgets.scrolled_lines import ScrolledLines
from tui.widgets.wrapping import cut, printable

_PARTS = ("even", "odd", "learned-even", "learned-odd", "fence", "id", "learned-id")


def fences() -> tuple[str, str]:
    """The signs before and behind a run of learned tokens."""
    return ("[", "]") if ascii_only() else ("▐", "▌")


class TokenView(ScrolledLines[Token]):
    """Tokens as they follow each other; a line ends where the text has a line end."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"token-view--{part}" for part in _PARTS}

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._with_ids = False
        self._count_done = 0
        self._learned = False
        """Whether the last token was learned: its fence is still open."""
        self._ids: list[Piece] = []
        self._cells = 0
        self._styles: dict[str, Style] = {}

    @property
    def with_ids(self) -> bool:
        """Whether the ids are shown."""
        return self._with_ids

    def show_ids(self, shown: bool) -> None:
        """Show or hide the ids below the tokens; the view stays about where it was."""
        share = self._top / max(1, self._count)
        self._with_ids = shown
        self._lay_out()
        self._top = min(self._most, round(share * self._count))
        self._moved()

    # laying out

    def _forget_lines(self) -> None:
        super()._forget_lines()
        self._ids, self._cells = [], 0
        self._count_done, self._learned = 0, False

    def _wrap(self, items: Iterable[Token]) -> None:
        before, behind = fences()
        for words, number, learned in items:
            if learned != self._learned:
                self._put(before if learned else behind, "", "fence", glued=not learned)
                self._learned = learned
            parity = "odd" if self._count_done % 2 else "even"
            self._count_done += 1
            role = f"learned-{parity}" if learned else parity
            shown = _shown(words)
            # A token of many line ends is one box; the line ends after it.
            self._put(shown, str(number), role)
            if words.endswith("\n"):
                self._end_line()
        if self._complete and self._learned:
            self._put(behind, "", "fence", glued=True)
            self._learned = False

    def _put(self, words: str, number: str, role: str, *, glued: bool = False) -> None:
        """One box; `glued` ones do not begin a line."""
        if glued and not self._open and self._lines:
            last = -2 if self._with_ids else -1
            self._lines[last] = (*self._lines[last], (words, role))
            return
        room = self.room
        if self._with_ids and number:
            width = max(cell_len(words), len(number)) + 1
            words += " " * (width - 1 - cell_len(words))
        cells = cell_len(words) + (1 if self._with_ids and number else 0)
        if self._cells + cells > room and self._open and not glued:
            self._end_line()
        if cells > room and not self._with_ids:
            *whole, words = cut(words, room)
            self._lines.extend(((part, role),) for part in whole)
            cells = cell_len(words)
        self._open.append((words, role))
        self._cells += cells
        if self._with_ids:
            learned = role.startswith("learned")
            if number:
                self._open.append((" ", "id"))
                self._ids.append((number.ljust(cells), "learned-id" if learned else "id"))
            else:
                self._ids.append((" " * cells, "id"))

    def _end_line(self) -> None:
        self._lines.append(tuple(self._open))
        if self._with_ids:
            self._lines.append(tuple(self._ids))
        self._open, self._ids, self._cells = [], [], 0

    @property
    def _count(self) -> int:
        return len(self._lines) + bool(self._open) * (2 if self._with_ids else 1)

    def _all_lines(self) -> list[Row]:
        if not self._open:
            return self._lines
        return [*self._lines, tuple(self._open), *([tuple(self._ids)] if self._with_ids else [])]

    # drawing

    def render_line(self, y: int) -> Strip:
        """One row, each box in the style of its part."""
        base = self.rich_style
        width = self.size.width
        if y >= len(self._rows):
            return Strip.blank(width, base)
        segments = [Segment(words, base + self._style(role)) for words, role in self._rows[y]]
        return Strip(segments).adjust_cell_length(width, base)

    def notify_style_update(self) -> None:
        """The theme changed."""
        self._styles.clear()
        super().notify_style_update()

    def _style(self, role: str) -> Style:
        found = self._styles.get(role)
        if found is None:
            name = role.lstrip("!*")
            if name in _PARTS:
                found = component_style(
                    self, f"token-view--{name}", background=name not in ("fence", "id", "learned-id")
                )
            else:
                found = component_style(self, "token-view--id")
            if role.startswith("!"):
                found += Style(reverse=True)
            self._styles[role] = found
        return found


def _shown(words: str) -> str:
    """A token on one line: line ends and tabs as signs, blanks alone as dots."""
    ascii_signs = ascii_only()
    if words and not words.strip(" "):
        return ("." if ascii_signs else "·") * len(words)
    end, tab = ("\\n", "\\t") if ascii_signs else ("⏎", "→")
    return printable(words).replace("\n", end).replace("\t", tab) or ("''" if ascii_signs else "∅")
