"""A pane of text lines with a head line: events, log tail, samples. Follows the newest line until it is scrolled.

Draws only the rows that are visible, so that a log of any length costs the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from textual import events
from textual.binding import Binding, BindingType

from tui.locale import text
from tui.widgets.glyphs import ascii_only
from tui.widgets.pane import Row, header_row
from tui.widgets.rows import RowsWidget

_CLOSING = frozenset("。，、！？；：）》」』”’")


class LinesPane(RowsWidget, can_focus=True):
    """Lines of (text, role) pieces. `newest_last` follows the end; otherwise the top is where the news are."""

    DEFAULT_CSS = "LinesPane { width: 1fr; height: 1fr; min-height: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_lines(-1)", "common.key_scroll_up", show=False, id="lines.up"),
        Binding("down,j", "scroll_lines(1)", "common.key_scroll_down", show=False, id="lines.down"),
        Binding("pageup", "scroll_pages(-1)", "common.key_page_up", show=False, id="lines.page_up"),
        Binding("pagedown", "scroll_pages(1)", "common.key_page_down", show=False, id="lines.page_down"),
        Binding("home", "scroll_to_first", "common.key_first", show=False, id="lines.first"),
        Binding("end", "scroll_to_last", "common.key_last", show=False, id="lines.last"),
    ]

    def __init__(self, title_key: str, *, newest_last: bool = True, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._title_key = title_key
        self._newest_last = newest_last
        self._lines: tuple[Row, ...] = ()
        self._wrapped: list[Row] = []
        self._scrolled = 0
        self._empty_text = ""

    def set_title(self, key: str) -> None:
        """Another kind of lines is shown now."""
        if key != self._title_key:
            self._title_key = key
            self._scrolled = 0
            self._show()

    def set_lines(self, lines: Sequence[Row], *, empty: str = "") -> None:
        """Show these lines; while somebody has scrolled away from the news, the view stays where it is."""
        if tuple(lines) == self._lines and empty == self._empty_text:
            return
        before = len(self._wrapped)
        self._lines, self._empty_text = tuple(lines), empty
        self._wrap()
        if self._scrolled and self._newest_last:
            self._scrolled = min(self._most(), self._scrolled + max(0, len(self._wrapped) - before))
        self._show()

    def relabel(self) -> None:
        """The language changed."""
        self._show()

    def on_resize(self, _event: events.Resize) -> None:
        """Wrap for the new width."""
        self._wrap()
        self._show()

    def on_focus(self) -> None:
        """The head line shows the focus."""
        self._show()

    def on_blur(self) -> None:
        """The head line shows the focus."""
        self._show()

    # Scrolling: `_scrolled` counts rows away from the news

    def action_scroll_lines(self, by: int) -> None:
        """Arrow keys."""
        away = -by if self._newest_last else by
        self._scrolled = max(0, min(self._most(), self._scrolled + away))
        self._show()

    def action_scroll_pages(self, by: int) -> None:
        """Page keys."""
        self.action_scroll_lines(by * max(1, self._height() - 1))

    def action_scroll_to_first(self) -> None:
        """Home."""
        self.action_scroll_lines(-len(self._wrapped))

    def action_scroll_to_last(self) -> None:
        """End."""
        self.action_scroll_lines(len(self._wrapped))

    def on_mouse_scroll_up(self, _event: events.MouseScrollUp) -> None:
        """Wheel."""
        self.action_scroll_lines(-3)

    def on_mouse_scroll_down(self, _event: events.MouseScrollDown) -> None:
        """Wheel."""
        self.action_scroll_lines(3)

    def _has_header(self) -> bool:
        return self.size.height > 1

    def _height(self) -> int:
        return self.size.height - self._has_header()

    def _most(self) -> int:
        return max(0, len(self._wrapped) - self._height())

    def _wrap(self) -> None:
        width = max(8, self.size.width - 2)
        one_row = not self._has_header()
        self._wrapped = [row for line in self._lines for row in ([line] if one_row else wrap_row(line, width))]
        self._scrolled = min(self._scrolled, self._most())

    def _show(self) -> None:
        height = max(0, self._height())
        if self._newest_last:
            end = len(self._wrapped) - self._scrolled
            visible = self._wrapped[max(0, end - height) : end]
        else:
            visible = self._wrapped[self._scrolled : self._scrolled + height]
        if not self._wrapped and self._empty_text:
            visible = [((self._empty_text, "muted"),)]
        rows: list[Row] = [((" ", "muted"), *row) for row in visible]
        rows += [()] * (height - len(rows))
        self.set_rows([self._head(), *rows] if self._has_header() else rows)

    def _head(self) -> Row:
        arrow = "^" if ascii_only() else "↑"
        more = [(f"{arrow} {self._scrolled}", "muted")] if self._scrolled else []
        return header_row(self, text(self._title_key), more, self.size.width)


def wrap_row(row: Row, width: int) -> list[Row]:
    """A line cut into rows of at most `width` cells, at spaces where there are any."""
    rows: list[Row] = []
    current: list[tuple[str, str]] = []
    used = 0
    for piece, role in row:
        for part in _words(piece, width):
            cells = cell_len(part)
            if used + cells > width and current:
                rows.append(tuple(current))
                current, used = [], 0
                part = part.lstrip(" ")
                cells = cell_len(part)
            if part:
                current.append((part, role))
                used += cells
    rows.append(tuple(current))
    return rows


def _words(piece: str, width: int) -> list[str]:
    """Words with the spaces before them; what is wider than a row, and wide characters, may be cut anywhere."""
    found: list[str] = []
    word = ""
    for char in piece.replace("\t", "    "):
        if char == " " and word.strip(" "):
            found.append(word)
            word = char
        elif char in _CLOSING and (found or word):
            # A row does not begin with a full stop.
            if word:
                word += char
            else:
                found[-1] += char
        elif cell_len(char) == 2:
            if word:
                found.append(word)
            found.append(char)
            word = ""
        else:
            word += char
    if word:
        found.append(word)
    return [part for long in found for part in (chop_cells(long, width) if cell_len(long) > width else [long])]
