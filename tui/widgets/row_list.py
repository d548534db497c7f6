"""A list drawn as rows of (text, role), with a cursor over those that can be chosen. Not for tables to sort.

A widget of its own beside Textual's OptionList: it repaints only the two rows between which the cursor moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from tui.widgets.component_style import component_style
from tui.widgets.glyphs import ascii_only
from tui.widgets.pane import Row, piece_style
from tui.widgets.rows import RowsWidget


@dataclass(frozen=True)
class ListRow:
    """One row; one with an empty `key` cannot be chosen."""

    key: str
    row: Row


class RowList(RowsWidget, can_focus=True):
    """Rows below each other; up and down move over those with a key, or scroll where there are none."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"row-list--cursor", "row-list--cursor-away"}
    DEFAULT_CSS = "RowList { width: 1fr; height: 1fr; min-height: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "common.key_up", show=False, id="list.up"),
        Binding("down,j", "move(1)", "common.key_down", show=False, id="list.down"),
        Binding("pageup", "page(-1)", "common.key_page_up", show=False, id="list.page_up"),
        Binding("pagedown", "page(1)", "common.key_page_down", show=False, id="list.page_down"),
        Binding("home", "edge(False)", "common.key_first", show=False, id="list.first"),
        Binding("end", "edge(True)", "common.key_last", show=False, id="list.last"),
    ]

    @dataclass
    class Moved(Message):
        """The cursor stands on another row."""

        sender: RowList
        key: str

        @property
        def control(self) -> RowList:
            """The list, for handlers that are for one list."""
            return self.sender

    @dataclass
    class Chosen(Message):
        """A row was clicked twice, or Enter pressed on it."""

        sender: RowList
        key: str

        @property
        def control(self) -> RowList:
            """The list, for handlers that are for one list."""
            return self.sender

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._list: tuple[ListRow, ...] = ()
        self._cursor = -1
        self._top = 0

    @property
    def key(self) -> str:
        """The key of the row under the cursor; empty when there is none."""
        return self._list[self._cursor].key if 0 <= self._cursor < len(self._list) else ""

    @property
    def plain(self) -> str:
        """All rows as text."""
        return "\n".join("".join(words for words, _ in one.row) for one in self._list)

    def show(self, rows: Sequence[ListRow], *, select: str | None = None) -> None:
        """Show other rows; the cursor goes to `select`, else stays on its key, else goes to the first that has one."""
        wanted = select if select is not None else self.key
        before = self._cursor
        self._list = tuple(rows)
        keys = [one.key for one in self._list]
        if wanted and wanted in keys:
            self._cursor = keys.index(wanted)
        elif not any(keys):
            self._cursor = -1
        else:
            self._cursor = next((at for at in range(max(0, before), len(keys)) if keys[at]), keys.index(_first(keys)))
        self._top = min(self._top, self._most)
        if self._cursor >= 0:
            self._into_view()
        self._draw()

    def move_to(self, key: str) -> None:
        """Put the cursor on a row."""
        at = next((at for at, one in enumerate(self._list) if one.key == key), None)
        if at is not None:
            self._go(at)

    # keys

    def action_move(self, by: int) -> None:
        """To the next row in this direction that can be chosen; scrolls where there is none."""
        at = self._cursor + by
        while 0 <= at < len(self._list) and not self._list[at].key:
            at += by
        if self._cursor >= 0 and 0 <= at < len(self._list) and abs(at - self._cursor) <= max(1, self.size.height - 1):
            self._go(at)
        else:
            self._scroll(by)

    def action_page(self, direction: int) -> None:
        """A screenful up or down."""
        by = direction * max(1, self.size.height - 1)
        if self._cursor < 0:
            self._scroll(by)
            return
        at = max(0, min(len(self._list) - 1, self._cursor + by))
        inward = [*range(at, len(self._list)), *range(at - 1, -1, -1)]
        self._go(next(place for place in inward if self._list[place].key))
        self._top = max(0, min(self._most, self._top if self._visible(self._cursor) else self._top + by))
        self._draw()

    def action_edge(self, last: bool) -> None:
        """To the first or the last."""
        self._scroll(len(self._list) if last else -len(self._list))
        keyed = [at for at, one in enumerate(self._list) if one.key]
        if keyed:
            self._cursor = keyed[-1 if last else 0]
            self._draw()
            self.post_message(self.Moved(self, self.key))

    def choose(self) -> None:
        """As if Enter was pressed."""
        if self.key:
            self.post_message(self.Chosen(self, self.key))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; a second one chooses."""
        at = self._top + event.y
        if 0 <= at < len(self._list) and self._list[at].key:
            again = at == self._cursor and event.chain > 1
            self._go(at)
            if again:
                self.choose()

    def on_mouse_scroll_up(self, _event: events.MouseScrollUp) -> None:
        """Wheel."""
        self._scroll(-3)

    def on_mouse_scroll_down(self, _event: events.MouseScrollDown) -> None:
        """Wheel."""
        self._scroll(3)

    def on_resize(self, _event: events.Resize) -> None:
        """The cursor stays in view."""
        self._top = min(self._top, self._most)
        if self._cursor >= 0:
            self._into_view()
        self._draw()

    def watch_has_focus(self, has_focus: bool) -> None:
        """The cursor is bright while the list has the keys, else dim."""
        super().watch_has_focus(has_focus)
        self._draw()

    # places

    @property
    def _height(self) -> int:
        return max(1, self.size.height)

    @property
    def _most(self) -> int:
        return max(0, len(self._list) - self._height)

    def _visible(self, at: int) -> bool:
        return self._top <= at < self._top + self._height

    def _scroll(self, by: int) -> None:
        self._top = max(0, min(self._most, self._top + by))
        self._draw()

    def _go(self, at: int) -> None:
        moved = at != self._cursor
        self._cursor = at
        self._into_view()
        self._draw()
        if moved:
            self.post_message(self.Moved(self, self.key))

    def _into_view(self) -> None:
        # Headings above the first row that can be chosen come into view with it.
        first = self._cursor if any(one.key for one in self._list[: self._cursor]) else 0
        if first < self._top and self._cursor - first < self._height:
            self._top = first
        elif self._cursor >= self._top + self._height or self._cursor < self._top:
            self._top = max(
                0, min(self._most, self._cursor - self._height + 1 if self._cursor > self._top else self._cursor)
            )

    def _draw(self) -> None:
        bar = ">" if ascii_only() else "▌"
        rows: list[Row] = []
        for at in range(self._top, min(len(self._list), self._top + self._height)):
            one = self._list[at]
            if at == self._cursor:
                ground = "^" if self.has_focus else "~"
                mark = (bar if self.has_focus else " ", f"{ground}accent")
                pieces = ((words, f"{ground}{role}") for words, role in (*one.row, (self._rest(one.row), "muted")))
                rows.append((mark, *pieces))
            else:
                rows.append(((" ", "muted"), *one.row))
        rows += [()] * (self._height - len(rows))
        self.set_rows(rows)

    def render_line(self, y: int) -> Strip:
        """One row; `^` and `~` before a role are the cursor's background, with and without the focus."""
        base, width = self.rich_style, self.size.width
        if y >= len(self._rows):
            return Strip.blank(width, base)
        grounds = {"^": "row-list--cursor", "~": "row-list--cursor-away"}
        segments = []
        for words, role in self._rows[y]:
            ground = component_style(self, grounds[role[0]], background=True) if role[:1] in grounds else base
            segments.append(Segment(words, ground + piece_style(self, role.lstrip("^~"))))
        return Strip(segments).adjust_cell_length(width, base)

    def _rest(self, row: Row) -> str:
        """Blanks up to the right edge, so that the cursor is one bar."""
        return " " * max(0, self.size.width - 1 - sum(cell_len(words) for words, _ in row))


def _first(keys: Sequence[str]) -> str:
    return next(key for key in keys if key)
