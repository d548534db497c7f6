"""The only place that knows plotext 6: curves in, rows of coloured text out. Not for axes, labels or downsampling.

plotext 6 aborts the process on a NaN in a connected line and raises on infinities, so whatever is not finite is
dropped here, before the call. One figure is kept for each chart: a new one each time leaks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tui.widgets.axes import Limits

# Each curve is drawn in a colour number of its own; the widget maps numbers back to roles and roles to the theme.
_FIRST_COLOR = 100
_PIECE = re.compile(r"\x1b\[([0-9;]*)m")

Run = tuple[str, int | None]
"""A piece of a row: text and the index of the curve it belongs to (None: background)."""


@dataclass(frozen=True)
class Curve:
    """Points to draw; `connected` curves are lines, the others single points."""

    steps: Sequence[float]
    values: Sequence[float]
    connected: bool = True


class PlotFigure:
    """One canvas without axes. Use it from one thread at a time."""

    def __init__(self) -> None:
        # A fifth of a second: paid in the thread that paints, after the first frame.
        import plotext

        self._marker = plotext.marker
        plotext.terminal.limit(False, False)
        self._figure = type(plotext.figure)(plotext.terminal)
        self._figure.theme("simple")
        self._figure.canvas("default")
        self._figure.axes(False)
        self._figure.legend(False)
        for axis in ("x", "y"):
            self._figure.ruler(axis).frequency(0)

    def rows(
        self,
        width: int,
        height: int,
        across: Limits,
        upwards: Limits,
        curves: Sequence[Curve],
        *,
        ascii_only: bool = False,
    ) -> list[list[Run]]:
        """Draw the curves, later ones on top; exactly `height` rows of `width` cells.

        The centre of the first column is `across.low`, that of the last one `across.high`.
        """
        if width < 2 or height < 1:
            return [[(" " * max(0, width), None)] for _ in range(max(0, height))]
        figure = self._figure
        figure.plot_size(width, height)
        figure.clear.data()
        figure.ruler("x").lim(across.low, across.high)
        figure.ruler("y").lim(upwards.low, upwards.high)
        for index, curve in enumerate(curves):
            steps, values = finite(curve.steps, curve.values)
            if not steps:
                continue
            glyph = ("*", "+", "o")[index % 3] if ascii_only else "braille"
            signal = figure.signal(steps, values, marker=self._marker(glyph, _FIRST_COLOR + index))
            if curve.connected and len(steps) > 1:
                signal.lines(True)
            figure.draw(signal)
        return _parse(figure.build().string(), width, height)


def finite(steps: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The points whose value is a finite number."""
    kept = [(float(step), float(value)) for step, value in zip(steps, values, strict=False) if math.isfinite(value)]
    return [step for step, _ in kept], [value for _, value in kept]


def _parse(drawn: str, width: int, height: int) -> list[list[Run]]:
    """Split plotext's escape codes into runs."""
    rows: list[list[Run]] = []
    for line in drawn.split("\n")[:height]:
        runs: list[Run] = []
        curve: int | None = None
        at = used = 0
        for code in _PIECE.finditer(line):
            used += _append(runs, line[at : code.start()], curve)
            at = code.end()
            parts = code.group(1).split(";")
            curve = int(parts[2]) - _FIRST_COLOR if parts[:2] == ["38", "5"] else None
        used += _append(runs, line[at:], curve)
        if used < width:
            _append(runs, " " * (width - used), None)
        rows.append(runs)
    while len(rows) < height:
        rows.append([(" " * width, None)])
    return rows


def _append(runs: list[Run], piece: str, curve: int | None) -> int:
    if piece:
        # Blank cells of a curve's colour are background: they must not differ between two builds.
        runs.append((piece, None if piece.isspace() else curve))
    return len(piece)
