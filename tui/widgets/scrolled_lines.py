"""Lines of any number, made of items that are fetched while they are scrolled; drawn a screenful at a time.

Knows no file and no worker: it says when it wants more (`Wanted`), and is given the next items. Subclasses say how
items become lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from tui.widgets.glyphs import ascii_only
from tui.widgets.pane import Piece, Row
from tui.widgets.rows import RowsWidget
from tui.widgets.wrapping import wrapped

Item = TypeVar("Item")

MARGIN = 1
"""Cells at both sides of the lines."""
_AHEAD = 3
"""Screenfuls below the last visible line that are fetched before they are looked at."""


class ScrolledLines(RowsWidget, Generic[Item], can_focus=True):
    """Lines with a scroll position of their own; `append` adds to the end."""

    DEFAULT_CSS = "ScrolledLines { width: 1fr; height: 1fr; min-height: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_lines(-1)", "common.key_scroll_up", show=False, id="text.up"),
        Binding("down,j", "scroll_lines(1)", "common.key_scroll_down", show=False, id="text.down"),
        Binding("pageup", "scroll_pages(-1)", "common.key_page_up", show=False, id="text.page_up"),
        Binding("pagedown,space", "scroll_pages(1)", "common.key_page_down", show=False, id="text.page_down"),
        Binding("home", "scroll_first", "common.key_first", show=False, id="text.first"),
        Binding("end", "scroll_last", "common.key_last", show=False, id="text.last"),
    ]

    @dataclass
    class Wanted(Message):
        """The text is needed further than it is known; `whole` when its end was asked for."""

        sender: ScrolledLines[Any]
        whole: bool

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._items: list[Item] = []
        self._lines: list[Row] = []
        self._open: list[Piece] = []
        """The last line, which more text may make longer."""
        self._top = 0
        self._to_end = False
        self._complete = True
        self._asked = False
        self._words = ""
        self._to_match = False
        self._looked = 0
        """Lines in which the marked words were looked for."""
        self._end_of_looked = ""
        self._empty = ""

    # what is shown

    def clear(self, empty: str = "") -> None:
        """Show nothing, or one line that says why."""
        self._items, self._empty = [], empty
        self._top, self._complete, self._asked = 0, True, False
        self._to_end = self._to_match = False
        self._lay_out()

    def start(self, items: Sequence[Item], *, complete: bool) -> None:
        """Show another text from its beginning; more of it may follow."""
        self._items, self._empty = list(items), ""
        self._top, self._complete, self._asked = 0, complete, False
        self._to_end, self._to_match = False, bool(self._words)
        self._lay_out()

    def append(self, items: Sequence[Item], *, complete: bool) -> None:
        """The next stretch of the same text."""
        self._items.extend(items)
        self._complete, self._asked = complete, False
        self._wrap(items)
        self._moved()

    def mark(self, words: str, *, go: bool = True) -> None:
        """Mark these words wherever they stand, and go to the first place; without `go` in the next text only."""
        if words != self._words:
            self._words = words
            self._to_match = bool(words) and go
            self._looked, self._end_of_looked = 0, ""
            self._moved()

    @property
    def plain(self) -> str:
        """All lines that are known, as text."""
        return "\n".join("".join(words for words, _ in line) for line in self._all_lines())

    @property
    def top(self) -> int:
        """The number of the first visible line."""
        return self._top

    @property
    def has_more(self) -> bool:
        """Whether lines stand below the visible ones."""
        return not self._complete or self._top + self.size.height < self._count

    def on_resize(self, _event: events.Resize) -> None:
        """Wrap for the new width, and stay about where one was."""
        share = self._top / max(1, self._count)
        self._lay_out()
        self._top = min(self._most, round(share * self._count))
        self._moved()

    # scrolling

    def action_scroll_lines(self, by: int) -> None:
        """Arrow keys."""
        self._to_end = self._to_match = False
        self._top = max(0, min(self._most, self._top + by))
        self._moved()

    def action_scroll_pages(self, by: int) -> None:
        """Page keys."""
        self.action_scroll_lines(by * max(1, self.size.height - 1))

    def action_scroll_first(self) -> None:
        """Home."""
        self.action_scroll_lines(-self._count)

    def action_scroll_last(self) -> None:
        """End: what is not known yet is fetched first."""
        self._to_end = True
        self._moved()

    def on_mouse_scroll_up(self, _event: events.MouseScrollUp) -> None:
        """Wheel."""
        self.action_scroll_lines(-3)

    def on_mouse_scroll_down(self, _event: events.MouseScrollDown) -> None:
        """Wheel."""
        self.action_scroll_lines(3)

    # laying out

    @property
    def room(self) -> int:
        """Cells of a line."""
        return max(4, self.size.width - 2 * MARGIN)

    @property
    def _count(self) -> int:
        return len(self._lines) + bool(self._open)

    @property
    def _most(self) -> int:
        return max(0, self._count - max(1, self.size.height))

    def _all_lines(self) -> list[Row]:
        return [*self._lines, tuple(self._open)] if self._open else self._lines

    def _lay_out(self) -> None:
        self._forget_lines()
        self._wrap(self._items)
        self._moved()

    def _wrap(self, items: Iterable[Item]) -> None:
        """Add items to `_lines`; what more items may make longer stays in `_open`."""
        raise NotImplementedError

    def _forget_lines(self) -> None:
        """Before everything is laid out again."""
        self._lines, self._open = [], []
        self._looked, self._end_of_looked = 0, ""

    def _moved(self) -> None:
        if self._to_match:
            self._seek_match()
        if self._to_end:
            self._top = self._most
            self._to_end = not self._complete
        self._top = max(0, min(self._top, self._most))
        wanted_to = self._top + max(1, self.size.height) * _AHEAD
        if not self._complete and not self._asked and (self._to_end or self._to_match or self._count < wanted_to):
            self._asked = True
            self.post_message(self.Wanted(self, self._to_end or self._to_match))
        self._draw()

    def _seek_match(self) -> None:
        """Go to the first line with the marked words, or with their end; asks for more while none is known."""
        low = self._words.casefold()
        for number in range(self._looked, len(self._lines) + bool(self._open)):
            line = self._lines[number] if number < len(self._lines) else self._open
            # Words may begin on the lines before.
            text = self._end_of_looked + "".join(words for words, _ in line).casefold()
            if low in text:
                self._top = max(0, number - max(1, self.size.height) // 3)
                self._to_match = False
                return
            if number < len(self._lines):
                self._looked, self._end_of_looked = number + 1, text[len(text) - len(low) + 1 :] if low[1:] else ""
        self._to_match = not self._complete

    def _draw(self) -> None:
        height = max(1, self.size.height)
        if not self._items and self._empty:
            visible = wrapped(self._empty, "muted", self.room)[:height]
        else:
            last = self._top + height
            visible = self._lines[self._top : last]
            if self._open and len(visible) < height and len(self._lines) < last:
                visible.append(tuple(self._open))
        below = self._top + height < self._count or not self._complete
        rows = [((" " * MARGIN, "muted"), *self._marked(line)) for line in visible]
        rows += [()] * (height - len(rows))
        if below and rows:
            rows[-1] = self._with_arrow(rows[-1])
        self.set_rows(rows)

    def _with_arrow(self, row: Row) -> Row:
        """The last line with a sign at the right edge that more stands below."""
        used = sum(cell_len(words) for words, _ in row)
        gap = max(0, self.size.width - 1 - used)
        return (*row, (" " * gap, "muted"), ("v" if ascii_only() else "↓", "*primary"))

    def _marked(self, row: Row) -> Row:
        """The row with the words that were searched for standing out."""
        if not self._words:
            return row
        low = self._words.casefold()
        if low not in "".join(words for words, _ in row).casefold():
            return row
        found: list[Piece] = []
        for words, role in row:
            found.extend(_split_at(words, role, low))
        return tuple(found)


def _split_at(words: str, role: str, low: str) -> list[Piece]:
    folded = words.casefold()
    if len(folded) != len(words) or low not in folded:
        return [(words, role)]
    found: list[Piece] = []
    at = 0
    while (hit := folded.find(low, at)) >= 0:
        if hit > at:
            found.append((words[at:hit], role))
        found.append((words[hit : hit + len(low)], f"!{role}"))
        at = hit + len(low)
    return [*found, (words[at:], role)] if at < len(words) else found
