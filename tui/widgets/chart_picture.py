"""Composes one picture of a chart: axes, curves, evaluation points, ruler of marks. Runs in a thread, knows no widget.

A picture is rows of (text, role) runs; the widget turns roles into the colours of the theme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tui.widgets import axes, curves
from tui.widgets.axes import Limits
from tui.widgets.curves import Points, Source
from tui.widgets.plot_figure import Curve, PlotFigure

Cell = tuple[str, str]
"""One cell: a character and its role: raw, smooth, evaluation, axis, label, mark, error or blank."""

GUTTER = 8
"""Cells left of the curves: the labels of the value axis and its line."""


@dataclass(frozen=True)
class Window:
    """The stretch of steps that is shown; `last` None follows the newest step."""

    span: int
    last: int | None = None


@dataclass(frozen=True)
class ChartRequest:
    """What the picture shall look like. `smoothing` 0 draws the raw curve alone."""

    width: int
    height: int
    window: Window | None = None
    smoothing: float = 0.0
    log: bool = False
    ascii_only: bool = False
    ruler: bool = False


@dataclass(frozen=True)
class ChartMark:
    """Something that happened at a step; `letter` stands in the ruler, errors in the colour of errors."""

    step: int
    letter: str
    text: str
    is_error: bool = False


@dataclass(frozen=True)
class ChartContent:
    """What there is to show."""

    series: Source | None = None
    evaluation: Source | None = None
    marks: tuple[ChartMark, ...] = ()
    last_step: int = 0
    total_steps: int | None = None


@dataclass(frozen=True)
class Picture:
    """A finished picture, and what a cursor needs to know about it."""

    request: ChartRequest
    rows: tuple[tuple[Cell, ...], ...]
    across: Limits
    upwards: Limits | None = None
    raw: Points = field(default_factory=Points)
    smooth: Points = field(default_factory=Points)
    evaluation: Points = field(default_factory=Points)
    marks: tuple[ChartMark, ...] = ()

    @property
    def is_empty(self) -> bool:
        """There is no point to show."""
        return not self.raw.steps and not self.evaluation.steps

    def column(self, step: float) -> int:
        """The cell, counted from the left edge of the picture, that shows a step."""
        inner = self.request.width - GUTTER
        return GUTTER + round((step - self.across.low) / self.across.span * (inner - 1))


def window_limits(window: Window | None, content: ChartContent) -> Limits:
    """The two ends of the step axis. A following window moves on by quarters of itself: it mostly stands still."""
    if window is None:
        return Limits(0, axes.step_limit(content.last_step, content.total_steps))
    span = max(4, window.span)
    if window.last is not None:
        return Limits(max(0, window.last - span), max(span, window.last))
    quarter = max(1, span // 4)
    end = max(span, math.ceil((content.last_step + 1) / quarter) * quarter)
    return Limits(end - span, end)


def build_picture(
    request: ChartRequest, content: ChartContent, figure: PlotFigure, previous: Picture | None = None
) -> Picture:
    """Draw. `previous` is the last picture of this chart: its value axis is kept while it fits."""
    across = window_limits(request.window, content)
    first, last = int(across.low), int(across.high)
    inner = request.width - GUTTER
    plot_height = request.height - 1 - request.ruler
    if content.series is None or inner < 8 or plot_height < 2:
        return Picture(request, _blank(request), across)
    raw = curves.raw_curve(content.series, first, last, inner * 2)
    smooth = Points()
    if request.smoothing:
        smooth = curves.smooth_curve(content.series, request.smoothing, first, last, inner * 2)
    evaluation = curves.all_points(content.evaluation, first, last)
    drawn = [curves.logarithm(part) if request.log else part for part in (raw, smooth, evaluation)]
    values = [value for part in drawn for value in part.values]
    marks = tuple(mark for mark in content.marks if first <= mark.step <= last)
    if not values:
        return Picture(request, _blank(request), across, marks=marks)
    kept = _kept_limits(request, previous)
    if request.log:
        upwards = axes.log_limits(min(values), max(values), kept)
    else:
        upwards = axes.value_limits(min(values), max(values), kept, max(3, plot_height // 3))
    lines = [Curve(part.steps, part.values) for part in drawn[:2]]
    body = figure.rows(inner, plot_height, across, upwards, lines, ascii_only=request.ascii_only)
    roles = ("raw" if smooth.steps else "smooth", "smooth")
    cells = [[(char, roles[i] if i is not None else "blank") for run, i in row for char in run] for row in body]
    _put_points(cells, drawn[2], across, upwards, "o" if request.ascii_only else "◆")
    gutter = _gutter(upwards, plot_height, request)
    rows = [tuple(left) + tuple(row) for left, row in zip(gutter, cells, strict=True)]
    rows.append(tuple(_step_axis(across, inner, request.ascii_only)))
    if request.ruler:
        rows.append(tuple(_ruler(marks, across, inner)))
    return Picture(request, tuple(rows), across, upwards, raw, smooth, evaluation, marks)


def _kept_limits(request: ChartRequest, previous: Picture | None) -> Limits | None:
    if previous is None or previous.request.log != request.log or previous.request.window != request.window:
        return None
    return previous.upwards


def _blank(request: ChartRequest) -> tuple[tuple[Cell, ...], ...]:
    return tuple(((" ", "blank"),) * request.width for _ in range(request.height))


def _put_points(cells: list[list[Cell]], points: Points, across: Limits, upwards: Limits, glyph: str) -> None:
    height, width = len(cells), len(cells[0])
    for step, value in zip(points.steps, points.values, strict=True):
        column = round((step - across.low) / across.span * (width - 1))
        row = round((upwards.high - value) / upwards.span * (height - 1))
        if 0 <= column < width and 0 <= row < height:
            cells[row][column] = (glyph, "evaluation")


def _gutter(upwards: Limits, height: int, request: ChartRequest) -> list[list[Cell]]:
    count = max(3, height // 3)
    places = axes.log_ticks(upwards, count) if request.log else axes.ticks(upwards, count)
    labels = axes.tick_labels([10**place for place in places] if request.log else places)
    if request.log:
        labels = [axes.short_number(float(f"{10**place:.2g}")) for place in places]
    line, tick = ("|", "+") if request.ascii_only else ("│", "┤")
    by_row: dict[int, str] = {}
    for place, label in zip(places, labels, strict=True):
        row = round((upwards.high - place) / upwards.span * (height - 1))
        if 0 <= row < height and row not in by_row:
            by_row[row] = label
    rows: list[list[Cell]] = []
    for row in range(height):
        label = by_row.get(row, "")[: GUTTER - 2].rjust(GUTTER - 2)
        rows.append([(char, "label") for char in label + " "] + [(tick if row in by_row else line, "axis")])
    return rows


def _step_axis(across: Limits, inner: int, ascii_only: bool) -> list[Cell]:
    """Labels of steps below the curves; the line itself would only cost a row."""
    row: list[Cell] = [(" ", "blank")] * (GUTTER - 1) + [("+" if ascii_only else "╰", "axis")]
    row += [("-" if ascii_only else "─", "axis")] * inner
    places = axes.ticks(across, max(2, min(8, inner // 12)))
    used = -1
    for place, label in zip(places, _step_labels(places), strict=True):
        column = GUTTER + round((place - across.low) / across.span * (inner - 1))
        start = min(max(GUTTER, column - len(label) // 2), GUTTER + inner - len(label))
        if start <= used:
            continue
        for offset, char in enumerate(label):
            row[start + offset] = (char, "label")
        if start > GUTTER and start - 1 > used:
            row[start - 1] = (" ", "blank")
        if start + len(label) < GUTTER + inner:
            row[start + len(label)] = (" ", "blank")
        used = start + len(label)
    return row


def _step_labels(places: Sequence[float]) -> list[str]:
    if places and max(places) >= 100_000:
        return axes.tick_labels(places)
    return [f"{place:g}" for place in places]


def _ruler(marks: Sequence[ChartMark], across: Limits, inner: int) -> list[Cell]:
    row: list[Cell] = [(" ", "blank")] * (GUTTER + inner)
    for mark in marks:
        column = GUTTER + round((mark.step - across.low) / across.span * (inner - 1))
        if 0 <= column < len(row) and row[column][1] != "error":
            row[column] = (mark.letter, "error" if mark.is_error else "mark")
    return row
