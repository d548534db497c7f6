"""The conversation as lines of plain text: who speaks stands in a column on the left. Draws; knows no worker.

A Line-API widget, so that a streamed answer repaints the lines that changed and not the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from tui.themes import role_style

Role = Literal["you", "tuned", "base", "best", "other", "note", "error"]

_COLOURS: dict[Role, str] = {
    "you": "accent",
    "tuned": "success",
    "base": "primary",
    "best": "success",
    "other": "primary",
    "note": "muted",
    "error": "error",
}
_NARROW = 40
_WIDEST_TEXT = 100
_LABEL_GAP = 2
# Escape sequences in what a model says must not reach the terminal; line ends and tabs are dealt with before.
_CONTROLS = {code: "\ufffd" for code in (*range(32), 127, *range(128, 160)) if code not in (9, 10)}


@dataclass(frozen=True)
class Block:
    """Something said, with who said it and a quiet line below (token counts, say)."""

    role: Role
    label: str
    text: str
    foot: str = ""
    close: bool = False
    """No empty line before it."""
    most_lines: int = 0
    """Its text is cut off after as many lines; 0: never."""


@dataclass(frozen=True)
class _Line:
    role: Role
    label: str
    text: str
    foot: bool = False


class ChatLog(ScrollView, can_focus=True):
    """All blocks of the conversation; stays at its end while it is there, or where `show` says."""

    def __init__(self, **widget_arguments: Any) -> None:
        super().__init__(**widget_arguments)
        self._blocks: tuple[Block, ...] = ()
        self._lines: list[_Line] = []
        self._wrapped: dict[tuple[Block, int, int], list[_Line]] = {}
        self._top: int | None = None
        self._followed = 0
        """The first line in view, while nobody has scrolled away from it."""

    @property
    def plain(self) -> str:
        """All that is shown, as text."""
        return "\n".join(self._plain_line(line) for line in self._lines)

    def show(self, blocks: Sequence[Block], top: int | None = None) -> None:
        """Show these blocks; only lines that differ are painted again. The end is in view, but rather the beginning of
        block number `top` where not all from there fits.
        """
        if (tuple(blocks), top) != (self._blocks, self._top):
            self._blocks, self._top = tuple(blocks), top
            self._lay_out()

    def follow(self) -> None:
        """Go back to where the newest blocks are in view, and stay with them."""
        self._followed = self.scroll_offset.y
        self._lay_out()

    def on_resize(self) -> None:
        """Wrap again for the new width."""
        self._lay_out()

    def _label_width(self) -> int:
        if self.size.width < _NARROW:
            return 0
        return max((cell_len(block.label) for block in self._blocks), default=0) + _LABEL_GAP

    def _lay_out(self) -> None:
        follows = self.is_vertical_scroll_end or self.scroll_offset.y == self._followed
        width = self.scrollable_content_region.width or self.size.width
        label_width = self._label_width()
        keep: dict[tuple[Block, int, int], list[_Line]] = {}
        lines: list[_Line] = []
        starts: list[int] = []
        for block in self._blocks:
            key = (block, width, label_width)
            keep[key] = self._wrapped.get(key) or self._wrap(block, width, label_width)
            if lines and not block.close:
                lines.append(_Line("note", "", ""))
            starts.append(len(lines))
            lines.extend(keep[key])
        self._wrapped = keep
        old, self._lines = self._lines, lines
        self.virtual_size = Size(width, len(lines))
        first = next((at for at, pair in enumerate(zip(old, lines, strict=False)) if pair[0] != pair[1]), None)
        first = min(len(old), len(lines)) if first is None else first
        top = self.scroll_offset.y
        if follows:
            end = self.max_scroll_y
            self._followed = end if self._top is None else min(end, starts[self._top])
            self.scroll_to(y=self._followed, animate=False, immediate=True)
        if self.scroll_offset.y != top:
            self.refresh()
        else:
            self.refresh(Region(0, max(0, first - top), self.size.width, self.size.height))

    def _wrap(self, block: Block, width: int, label_width: int) -> list[_Line]:
        room = max(1, min(width - label_width, _WIDEST_TEXT))
        lines = []
        label = block.label
        if label_width == 0 and label:
            lines.append(_Line(block.role, label, ""))
            label = ""
        for text in _cut_off(_wrapped_lines(block.text, room, self.app.console), block.most_lines, room):
            lines.append(_Line(block.role, label, text))
            label = ""
        if block.foot:
            foot = _wrapped_lines(block.foot, room, self.app.console)
            lines.extend(_Line(block.role, "", text, foot=True) for text in foot)
        return lines

    def _plain_line(self, line: _Line) -> str:
        width = self._label_width()
        if width == 0:
            return line.label or line.text
        return set_cell_size(line.label, width) + line.text

    def render_line(self, y: int) -> Strip:
        """One row of the widget."""
        width = self.size.width
        at = self.scroll_offset.y + y
        ground = self.rich_style
        if at >= len(self._lines):
            return Strip.blank(width, ground)
        line = self._lines[at]
        strip = Strip(self._segments(line, at, ground)).crop_extend(0, width, ground)
        return strip.apply_offsets(0, at)

    def _segments(self, line: _Line, at: int, ground: Style) -> list[Segment]:
        mark = ground + role_style(self.app, _COLOURS[line.role], bold=line.role not in ("note", "error"))
        label_width = self._label_width()
        words = mark if line.role in ("note", "error") else ground
        if line.foot:
            words = ground + role_style(self.app, "muted")
        shown = Text(end="", no_wrap=True)
        label = set_cell_size(line.label, label_width) if label_width else line.label
        shown.append(label, mark).append(line.text, words)
        selection = self.text_selection
        span = None if selection is None else selection.get_span(at)
        if span is not None:
            start, end = span
            shown.stylize(
                self.screen.get_component_rich_style("screen--selection"), start, len(shown) if end == -1 else end
            )
        return list(shown.render(self.app.console))

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, for copying with the mouse."""
        return selection.extract(self.plain), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Paint the selection."""
        self.refresh()


def _wrapped_lines(text: str, width: int, console: Any) -> list[str]:
    """Lines of at most `width` cells; line ends of the text are kept."""
    clean = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).translate(_CONTROLS)
    found: list[str] = []
    for line in clean.split("\n"):
        found.extend(part.plain.rstrip() for part in Text(line).wrap(console, width))
    return found or [""]


def _cut_off(lines: list[str], most: int, width: int) -> list[str]:
    """The first lines, with a sign at the end that there are more."""
    if not most or len(lines) <= most:
        return lines
    last = lines[most - 1]
    return [
        *lines[: most - 1],
        (set_cell_size(last, width - 2).rstrip() if cell_len(last) > width - 2 else last) + " …",
    ]
