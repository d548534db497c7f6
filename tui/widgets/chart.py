"""The chart widget: shows a picture that a thread has built, a header with the newest values, and a cursor.

It sends only what changed: pictures are compared cell by cell and the changed spans are drawn again. The screen
that holds it builds pictures elsewhere (`build_picture`) and hands them in through `show`.
"""

from __future__ import annotations

import math
from dataclasses import replace

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.locale import text
from tui.stage_curves import curve_title
from tui.themes import role_style
from tui.widgets.axes import value_text
from tui.widgets.chart_picture import GUTTER, Cell, ChartRequest, Picture, Window
from tui.widgets.glyphs import ascii_only
from tui.widgets.pane import Row, changed_cells, header_row, row_strip

SMOOTHINGS = (0.0, 0.6, 0.9, 0.97)
_ROLE_COLORS = {
    "axis": "faint",
    "label": "muted",
    "evaluation": "accent",
    "mark": "accent",
    "error": "error",
    "cursor": "foreground",
}


class Chart(Widget, can_focus=True):
    """One curve of a run over its steps. `color` names the theme variable of the line."""

    class Resized(Message):
        """The chart has another size: it needs another picture."""

        def can_replace(self, message: Message) -> bool:
            """Several charts change at once; one message is enough."""
            return isinstance(message, Chart.Resized)

    DEFAULT_CSS = "Chart { width: 1fr; height: 1fr; min-height: 3; }"

    def __init__(self, curve: str, *, color: str = "primary", ruler: bool = False, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._curve = curve
        self._color = color
        self._ruler = ruler
        self._picture: Picture | None = None
        self._empty_text = ""
        self._header: Row = ()
        self._latest: tuple[float | None, float | None] = (None, None)
        self.log_scale = False
        self.smoothing = SMOOTHINGS[2]
        self.window: Window | None = None
        self.cursor: float | None = None

    # What the screen asks and tells

    @property
    def curve(self) -> str:
        """The name of the measurement that is shown."""
        return self._curve

    def show_curve(self, curve: str) -> None:
        """Show another curve from now on; its picture is still to come."""
        if curve != self._curve:
            self._curve = curve
            self.log_scale = False
            self._picture = None
            self._latest = (None, None)
            self._refresh_header()
            self.refresh()

    def request(self) -> ChartRequest | None:
        """The picture that is wanted now; None while there is no room or nobody looks."""
        width, height = self.size
        if not self.is_on_screen or width < GUTTER + 8 or height < 4:
            return None
        return ChartRequest(
            width,
            height - 1,
            window=self.window,
            smoothing=self.smoothing,
            log=self.log_scale,
            ascii_only=ascii_only(),
            ruler=self._ruler and height >= 8,
        )

    @property
    def is_on_screen(self) -> bool:
        """It is mounted and shown."""
        return self.is_attached and self.display and self.size.area > 0

    @property
    def picture(self) -> Picture | None:
        """The picture that is shown."""
        return self._picture

    def show(self, picture: Picture | None, *, last: float | None = None, evaluation: float | None = None) -> None:
        """Show a picture and the newest values; draws the changed spans only."""
        old, self._picture = self._picture, picture
        self._latest = (last, evaluation)
        self._refresh_header()
        if picture is None:
            if old is not None:
                self.refresh()
            return
        regions = None if old is None or old.is_empty != picture.is_empty else _changed(old.rows, picture.rows)
        if regions is None or self.cursor is not None:
            self.refresh()
        elif regions:
            self.refresh(*regions)

    def set_empty_text(self, line: str) -> None:
        """What stands in the middle while there is no point."""
        if line != self._empty_text:
            self._empty_text = line
            self.refresh()

    def relabel(self) -> None:
        """The language changed."""
        self._refresh_header()
        self.refresh()

    def on_focus(self) -> None:
        """The head line shows the focus."""
        self._refresh_header()

    def on_blur(self) -> None:
        """The head line shows the focus."""
        self._refresh_header()

    def on_resize(self) -> None:
        """The head line has the width of the chart, and the picture its size."""
        self._refresh_header()
        self.post_message(self.Resized())

    # Cursor

    def cursor_steps(self) -> list[float]:
        """The steps that the cursor can stand on: the samples of the picture."""
        return [] if self._picture is None else sorted(set(self._picture.raw.steps))

    def move_cursor(self, step: float | None) -> None:
        """Put the cursor on a step; None takes it away."""
        if step != self.cursor:
            self.cursor = step
            self._refresh_header()
            self.refresh()

    # Drawing

    def notify_style_update(self) -> None:
        """The theme changed."""
        super().notify_style_update()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Row 0 is the header, the rest the picture."""
        width = self.size.width
        base = self.rich_style
        if y == 0:
            return row_strip(self, self._header, width)
        picture = self._picture
        if picture is None or picture.is_empty:
            return self._empty_line(y, width, base)
        row = self._picture_row(y - 1, picture)
        cells = picture.rows[row]
        if self.cursor is not None:
            cells = self._with_cursor(cells, picture, row)
        return Strip(self._segments(cells, base)).adjust_cell_length(width, base)

    def _picture_row(self, place: int, picture: Picture) -> int:
        """The row of the picture for a row of the widget.

        After a resize, until the new picture comes, the old one is squeezed or stretched and keeps its axis.
        """
        rows, room = len(picture.rows), max(1, self.size.height - 1)
        axis = min(1 + picture.request.ruler, rows, room)
        if room == rows or place >= room - axis:
            return max(0, min(rows - 1, rows - room + place))
        return max(0, min(rows - axis - 1, place * (rows - axis) // (room - axis)))

    def _with_cursor(self, cells: tuple[Cell, ...], picture: Picture, row: int) -> tuple[Cell, ...]:
        assert self.cursor is not None
        column = picture.column(self.cursor)
        if not GUTTER <= column < len(cells) or row >= picture.request.height - 1 - picture.request.ruler:
            return cells
        char = cells[column][0]
        line = "|" if ascii_only() else "│"
        return (*cells[:column], (line if char == " " else char, "cursor"), *cells[column + 1 :])

    def _segments(self, cells: tuple[Cell, ...], base: Style) -> list[Segment]:
        segments: list[Segment] = []
        start = 0
        for index in range(1, len(cells) + 1):
            if index == len(cells) or cells[index][1] != cells[start][1]:
                piece = "".join(char for char, _ in cells[start:index])
                segments.append(Segment(piece, base + self._style(cells[start][1])))
                start = index
        return segments

    def _style(self, role: str) -> Style:
        if role == "blank":
            return Style.null()
        if role in ("raw", "smooth"):
            return role_style(self.app, self._color, strength=0.45 if role == "raw" else 1.0)
        return role_style(self.app, _ROLE_COLORS.get(role, "foreground"))

    def _empty_line(self, y: int, width: int, base: Style) -> Strip:
        lines = self._empty_text.split("\n")
        place = y - max(1, (self.size.height - len(lines)) // 2)
        if not 0 <= place < len(lines):
            return Strip.blank(width, base)
        line = lines[place]
        left = max(0, (width - cell_len(line)) // 2)
        style = base + role_style(self.app, "muted")
        return Strip([Segment(" " * left, base), Segment(line, style)]).adjust_cell_length(width, base)

    def _refresh_header(self) -> None:
        width = self.size.width
        header = header_row(self, curve_title(self._curve), self._header_parts(), width)
        if header != self._header:
            dirty = min(width, changed_cells(self._header, header))
            self._header = header
            self.refresh(Region(0, 0, dirty, 1))

    def _header_parts(self) -> tuple[tuple[str, str], ...]:
        """Pairs of text and theme variable."""
        picture = self._picture
        if picture is None or picture.is_empty:
            return ()
        if self.cursor is not None:
            return self._cursor_parts(picture)
        last, evaluation = self._latest
        parts = [(value_text(last), "foreground")] if last is not None else []
        if picture.smooth.values and self.smoothing:
            label = text("common.chart_smoothed", weight=f"{self.smoothing:g}")
            parts.append((f"{label} {value_text(picture.smooth.values[-1])}", self._color))
        if evaluation is not None:
            glyph = "o" if ascii_only() else "◆"
            parts.append((f"{glyph} {text('common.chart_evaluation')} {value_text(evaluation)}", "accent"))
        if self.log_scale:
            parts.append((text("common.chart_log"), "muted"))
        if self.window is not None:
            parts.append((f"{picture.across.low:.0f}-{picture.across.high:.0f}", "muted"))
        return tuple(parts)

    def _cursor_parts(self, picture: Picture) -> tuple[tuple[str, str], ...]:
        assert self.cursor is not None
        here = [(s, v) for s, v in zip(picture.raw.steps, picture.raw.values, strict=True) if s == self.cursor]
        nearest = picture.raw.nearest(self.cursor)
        if not here and nearest is not None:
            here = [nearest]
        parts = [(text("common.chart_step", step=f"{here[0][0] if here else self.cursor:.0f}"), "foreground")]
        if here:
            values = sorted({value for _, value in here})
            # A column of a long run holds many samples: then their range is the truth.
            parts.append((" .. ".join(value_text(value) for value in values), "foreground"))
        smooth = picture.smooth.nearest(self.cursor)
        if smooth is not None:
            parts.append((f"~{value_text(smooth[1])}", self._color))
        at = picture.evaluation.nearest(self.cursor)
        if at is not None and abs(picture.column(at[0]) - picture.column(self.cursor)) <= 1:
            parts.append((f"{text('common.chart_evaluation')} {value_text(at[1])}", "accent"))
        for mark in picture.marks:
            if abs(picture.column(mark.step) - picture.column(self.cursor)) < 1:
                parts.append((mark.text, "accent"))
        return tuple(parts)


def zoomed(window: Window | None, factor: float, last_step: int, center: float | None) -> Window | None:
    """The window after zooming in (`factor` < 1) or out; None is the whole run."""
    span = last_step if window is None else window.span
    wanted = math.ceil(span * factor)
    if wanted >= last_step or last_step < 8:
        return None
    wanted = max(8, wanted)
    if center is None:
        return Window(wanted) if window is None else replace(window, span=wanted)
    return Window(wanted, min(last_step, max(wanted, round(center + wanted / 2))))


def moved(window: Window | None, share: float, last_step: int) -> Window | None:
    """The window moved by a share of its span; at the right end it follows the newest step again."""
    if window is None:
        return None
    last = (window.last if window.last is not None else last_step) + round(window.span * share)
    return Window(window.span) if last >= last_step else Window(window.span, max(window.span, last))


def _changed(old: tuple[tuple[Cell, ...], ...], new: tuple[tuple[Cell, ...], ...]) -> list[Region] | None:
    """The spans that differ, below the header row; None when everything must be drawn."""
    if len(old) != len(new) or any(len(a) != len(b) for a, b in zip(old, new, strict=True)):
        return None
    regions: list[Region] = []
    for y, (before, after) in enumerate(zip(old, new, strict=True), start=1):
        if before == after:
            continue
        different = [x for x, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
        regions.append(Region(different[0], y, different[-1] - different[0] + 1, 1))
    return regions
