"""A text of any length as wrapped lines, fetched while it is scrolled (`ScrolledLines`). Not for tokens."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len

from tui.widgets.pane import Piece
from tui.widgets.scrolled_lines import ScrolledLines
from tui.widgets.wrapping import TAB, cut, printable, words_of


class LongText(ScrolledLines[Piece]):
    """Runs of (text, role)."""

    _open_cells = 0

    def _forget_lines(self) -> None:
        super()._forget_lines()
        self._open_cells = 0

    def _wrap(self, items: Iterable[Piece]) -> None:
        room = self.room
        for words, role in items:
            for line in printable(words).replace("\t", TAB).splitlines(keepends=True):
                for word in words_of(line.removesuffix("\n")):
                    self._add(word, role, room)
                if line.endswith("\n"):
                    self._end_line()

    def _add(self, word: str, role: str, room: int) -> None:
        cells = cell_len(word)
        if self._open_cells + cells > room and self._open_cells + cell_len(word.rstrip(" ")) > room:
            if self._open:
                self._end_line()
            if cells > room:
                *whole, word = cut(word, room)
                self._lines.extend(((part, role),) for part in whole)
                cells = cell_len(word)
        if word:
            if self._open and self._open[-1][1] == role:
                self._open[-1] = (self._open[-1][0] + word, role)
            else:
                self._open.append((word, role))
            self._open_cells += cells

    def _end_line(self) -> None:
        self._lines.append(tuple(self._open))
        self._open, self._open_cells = [], 0
