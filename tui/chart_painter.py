"""Builds the pictures of the dashboard's charts from a run's reader, in the thread that follows the run.

Holds one plotext figure a chart and the last picture of each; builds again only when the data or the wish changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.widgets.chart_picture import ChartContent, ChartMark, ChartRequest, Picture, build_picture
from tui.widgets.plot_figure import PlotFigure

if TYPE_CHECKING:
    from trainer.run import RunReader, Series

_LETTERS = {"checkpoint": "C", "resume": "R", "finding": "F", "nan": "!", "end": "#"}
# Commands carry their verb, or `name = value`, as text.
_COMMAND_LETTERS = {"pause": "P", "resume": "P", "stop": "X", "save": "S", "evaluate": "E", "sample": "T"}


@dataclass(frozen=True)
class PaintedChart:
    """A picture and the newest values of its chart."""

    picture: Picture
    last: float | None
    evaluation: float | None


class ChartPainter:
    """One for each run that is shown. Use it from one thread."""

    def __init__(self) -> None:
        self._figures: dict[str, PlotFigure] = {}
        self._painted: dict[str, tuple[int, PaintedChart]] = {}

    def paint(
        self, requests: Mapping[str, ChartRequest], reader: RunReader, version: int, total_steps: int | None
    ) -> dict[str, PaintedChart]:
        """The pictures that were asked for. `version` counts the changes of the reader's data."""
        marks = chart_marks(reader)
        result: dict[str, PaintedChart] = {}
        for metric, request in requests.items():
            before = self._painted.get(metric)
            if before is not None and before[0] == version and before[1].picture.request == request:
                result[metric] = before[1]
                continue
            # What evaluations alone measure is a curve of its own.
            series = reader.series.get(metric) or reader.evaluations.get(metric)
            evaluation = reader.evaluations.get(metric if metric.startswith("eval_") else f"eval_{metric}")
            content = ChartContent(series, evaluation, marks, newest_step(reader), total_steps)
            figure = self._figures.setdefault(metric, PlotFigure())
            picture = build_picture(request, content, figure, before[1].picture if before is not None else None)
            painted = PaintedChart(picture, _last(series), None if series is evaluation else _last(evaluation))
            self._painted[metric] = (version, painted)
            result[metric] = painted
        return result


def _last(series: Series | None) -> float | None:
    return None if series is None else series.last


def newest_step(reader: RunReader) -> int:
    """The newest step of any metric."""
    return max((series.last_step or 0 for series in reader.series.values()), default=0)


def chart_marks(reader: RunReader) -> tuple[ChartMark, ...]:
    """The marks of a run as letters for the ruler; what is only said by the way has none."""
    asides = {(finding.step, finding.text) for finding in reader.findings if finding.severity == "info"}
    return tuple(
        ChartMark(mark.step, mark_letter(mark.kind, mark.text), mark.text, mark.kind == "nan")
        for mark in reader.marks
        if mark.kind != "finding" or (mark.step, mark.text) not in asides
    )


def mark_letter(kind: str, line: str) -> str:
    """The letter that stands for a mark: `line` is its text, a command's verb or setting."""
    if kind == "command":
        return "L" if line.startswith("learning_rate") else _COMMAND_LETTERS.get(line, "N")
    return _LETTERS.get(kind, kind[:1].upper() or "?")
