"""The list of fields, drawn as one widget: hundreds of fields cost no more than one screenful. Not for editing them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.forms.lines import Line
from tui.widgets.component_style import component_style
from tui.widgets.ordered_keys import OrderedKeys

OpenField = Callable[[str], Awaitable[None]]
"""Switches a yes-or-no field, or opens the editor of another; done when the editor has the keys."""

MARK_WIDTH = 3
"""Cells before the name: the cursor bar, the mark, a blank."""


class ParameterList(OrderedKeys, ScrollView, can_focus=True):
    """Fields one below the other: mark, name, value in a fixed column, dim words at the right edge."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "parameter-list--cursor",
        "parameter-list--cursor-away",
        "parameter-list--heading",
        "parameter-list--name",
        "parameter-list--default",
        "parameter-list--preset",
        "parameter-list--automatic",
        "parameter-list--changed",
        "parameter-list--closed",
        "parameter-list--tail",
        "parameter-list--error",
        "parameter-list--warning",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "setup.key_up", show=False, id="fields.up"),
        Binding("down,j", "move(1)", "setup.key_down", show=False, id="fields.down"),
        Binding("pageup", "page(-1)", "setup.key_page_up", show=False, id="fields.page_up"),
        Binding("pagedown", "page(1)", "setup.key_page_down", show=False, id="fields.page_down"),
        Binding("home,g", "edge(False)", "setup.key_first", show=False, id="fields.first"),
        Binding("end,G", "edge(True)", "setup.key_last", show=False, id="fields.last"),
        Binding("enter,space", "open", "setup.key_edit", id="fields.edit"),
    ]

    @dataclass
    class Highlighted(Message):
        """The cursor stands on another field; an empty key when there is none."""

        key: str

    def __init__(self, open_field: OpenField, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._open_field = open_field
        self._lines: tuple[Line, ...] = ()
        self._cursor = 0
        self.empty_text = ""

    # what is shown

    def show_lines(self, lines: Sequence[Line], *, select: str | None = None) -> None:
        """Show other lines; the cursor goes to the field `select`, else stays on its own where that is still there."""
        wanted = select if select is not None else self.key
        self._lines = tuple(lines)
        keys = [line.key for line in self._lines]
        if wanted and wanted in keys:
            self._cursor = keys.index(wanted)
        else:
            self._cursor = next((number for number, key in enumerate(keys) if key), 0)
        self._measure()
        self._to_cursor()
        self.refresh()
        self.post_message(self.Highlighted(self.key))

    @property
    def key(self) -> str:
        """The field under the cursor; empty when there is none."""
        return self._lines[self._cursor].key if self._cursor < len(self._lines) else ""

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is shown now."""
        return self._lines

    @property
    def name_width(self) -> int:
        """Cells of the name column; the same in every section, so that values never jump."""
        width = self.scrollable_content_region.width
        return max(8, min(31, width // 2 - MARK_WIDTH))

    def value_region(self, key: str) -> Region:
        """Where the value of a field stands on the screen: the place for its editor."""
        number = next((number for number, line in enumerate(self._lines) if line.key == key), 0)
        inner = self.scrollable_content_region
        left = MARK_WIDTH + self.name_width + 1
        content = self.content_region
        return Region(content.x + left, content.y + number - self.scroll_offset.y, max(4, inner.width - left), 1)

    # moving

    def action_move(self, step: int) -> None:
        """To the next field in this direction, over headings; stops at the ends."""
        number = self._cursor + step
        while 0 <= number < len(self._lines) and not self._lines[number].key:
            number += step
        if 0 <= number < len(self._lines):
            self._go(number)
        elif step < 0:
            self.scroll_to(y=0, animate=False)  # a heading above the first field comes into view

    def action_page(self, direction: int) -> None:
        """A screenful up or down."""
        number = self._cursor + direction * max(1, self.scrollable_content_region.height - 1)
        number = max(0, min(len(self._lines) - 1, number))
        if self._lines and not self._lines[number].key:
            number += 1 if number + 1 < len(self._lines) else -1
        self._go(number)

    def action_edge(self, last: bool) -> None:
        """To the first or the last field."""
        numbers = [number for number, line in enumerate(self._lines) if line.key]
        if numbers:
            self._go(numbers[-1] if last else numbers[0])

    async def action_open(self) -> None:
        """Open the field under the cursor, and wait for its editor: the next key belongs to that."""
        if self.key:
            await self._open_field(self.key)

    async def on_click(self, event: events.Click) -> None:
        """A click selects; a click on the selected field opens it."""
        number = event.get_content_offset_capture(self).y + self.scroll_offset.y
        if 0 <= number < len(self._lines) and self._lines[number].key:
            if number == self._cursor and event.chain > 1:
                await self.action_open()
            else:
                self._go(number)

    def on_resize(self) -> None:
        """The columns follow the width."""
        self._measure()
        self._to_cursor()

    def _go(self, number: int) -> None:
        if not 0 <= number < len(self._lines) or number == self._cursor:
            return
        self._cursor = number
        self._to_cursor()
        self.refresh()
        self.post_message(self.Highlighted(self.key))

    def _measure(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._lines))

    def _to_cursor(self) -> None:
        self.scroll_to_region(Region(0, self._cursor, 1, 1), animate=False, force=True)

    # drawing

    def render_line(self, y: int) -> Strip:
        """One line of the list."""
        width = self.scrollable_content_region.width
        number = y + self.scroll_offset.y
        plain = self.rich_style
        if number >= len(self._lines):
            words = self.empty_text if not self._lines and y == 0 else ""
            return Strip([Segment(set_cell_size(f"   {words}", width), plain + self._part("closed"))], width)
        line = self._lines[number]
        if not line.key:
            title = set_cell_size(f"   {line.name} ", min(width, cell_len(line.name) + 4))
            rule = "─" * max(0, width - cell_len(title) - 1) + " "
            parts = [Segment(title, plain + self._part("heading")), Segment(rule, plain + self._part("tail"))]
            return Strip(parts).adjust_cell_length(width, plain).crop(0, width)
        return self._field(line, width, selected=number == self._cursor)

    def _field(self, line: Line, width: int, *, selected: bool) -> Strip:
        base = self.rich_style
        if selected:
            base += self._part("cursor" if self.has_focus else "cursor-away")
        marked = {"!": "error", "?": "warning", "*": "changed"}.get(line.mark, "name")
        name_width = self.name_width
        room = max(1, width - MARK_WIDTH - name_width - 1)
        value, tail = _share(line.value, line.tail, room)
        closed = line.mood == "closed"
        segments = [
            Segment("▌" if selected and self.has_focus else " ", base + self._part("changed")),
            Segment(f"{line.mark} ", base + self._part(marked)),
            Segment(_fit(line.name, name_width) + " ", base + self._part("closed" if closed else "name")),
            Segment(value, base + self._part("error" if line.mark == "!" else line.mood)),
            Segment(tail, base + self._part("tail")),
        ]
        return Strip(segments).adjust_cell_length(width, base).crop(0, width)

    def _part(self, name: str) -> Style:
        return component_style(self, f"parameter-list--{name}", background=name.startswith("cursor"))


def _fit(words: str, width: int) -> str:
    """`words` in exactly `width` cells, with an ellipsis where they are longer."""
    return set_cell_size(words, width) if cell_len(words) <= width else set_cell_size(words, max(0, width - 1)) + "…"


def _share(value: str, tail: str, room: int) -> tuple[str, str]:
    """The value at the left, the tail at the right edge of `room` cells, two blanks or more between them.

    The tail goes when both do not fit.
    """
    space = room - cell_len(value) - 3
    if not tail or space < 6:
        return _fit(value, room), ""
    tail = tail if cell_len(tail) <= space else _fit(tail, space)
    return set_cell_size(value, room - cell_len(tail) - 1), f"{tail} "
