"""Curves of a run as an SVG picture, drawn from its events. Written by hand, so that it needs no package.

Not for the dashboard: that draws its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from trainer.run.directory import RunDirectory
from trainer.run.files import write_whole
from trainer.run.reader import RunReader

_WIDTH, _HEIGHT = 960, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 50, 50
_MOST_POINTS = 2000
_TICKS = 6
# How much of the smoothed curve is the newest point, in a run of this many points: as LLaMA-Factory's picture, roughly.
_SMOOTHING = 60
_RAW, _SMOOTH, _EVALUATION = "#9db8d9", "#1f5fa8", "#d1661c"
_COLOURS = (_SMOOTH, _EVALUATION, "#2f8f4e", "#8a4fa8")

Points = list[tuple[float, float]]
"""Steps with values."""


@dataclass(frozen=True)
class Curve:
    """A line in the picture, named at its top."""

    name: str
    points: Points
    colour: str
    width: int = 2
    dotted: bool = False
    """Each point is marked, as where there are few."""


def write_loss_picture(run: RunDirectory) -> Path | None:
    """Draw `loss.svg` into the run directory; None when there are no losses to draw.

    Raises: OSError when the disk refuses.
    """
    reader = RunReader(run)
    while not reader.complete:
        reader.poll()
    training = _points(reader, "loss")
    # With a loss for each data set there may be no common one.
    evaluations = {name: _evaluated(reader, name) for name in reader.evaluations if name.endswith("loss")}
    if not training and not any(evaluations.values()):
        return None
    target = run.path / "loss.svg"
    write_whole(target, loss_svg(run.name, training, evaluations).encode("utf-8"))
    return target


def loss_svg(title: str, training: Points, evaluations: dict[str, Points]) -> str:
    """The picture: the loss as it was and smoothed, and each evaluation loss, over the steps."""
    curves = []
    if training:
        curves = [Curve("loss", training, _RAW, width=1), Curve("smoothed", _smoothed(training), _SMOOTH)]
    for number, (name, points) in enumerate(evaluations.items()):
        colour = _EVALUATION if number == 0 else f"hsl({(number * 77) % 360} 60% 40%)"
        curves.append(Curve(name, points, colour, dotted=True))
    return curves_svg(title, curves)


def run_curves(run: RunDirectory, figures: Sequence[str]) -> list[Curve]:
    """Figures of a run, for `curves_svg`: those of the steps smoothed, those of evaluations (`eval_...`) as points."""
    reader = RunReader(run)
    while not reader.complete:
        reader.poll()
    found = []
    for number, name in enumerate(figures):
        evaluated = name in reader.evaluations
        points = _evaluated(reader, name) if evaluated else _smoothed(_points(reader, name))
        found.append(Curve(name, points, _COLOURS[number % len(_COLOURS)], dotted=evaluated))
    return found


def curves_svg(title: str, curves: Sequence[Curve]) -> str:
    """The picture: curves over the steps, their names above them."""
    frame = _Frame([point for curve in curves for point in curve.points])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="16">{escape(title)}</text>',
        *frame.axes(),
    ]
    for curve in curves:
        parts.append(frame.line(curve.points, curve.colour, curve.width))
        if curve.dotted:
            parts += [frame.dot(point, curve.colour) for point in curve.points[:200]]
    x = _WIDTH - _RIGHT
    for curve in reversed(curves):
        parts.append(f'<text x="{x}" y="24" text-anchor="end" fill="{curve.colour}">{escape(curve.name)}</text>')
        x -= 9 * len(curve.name) + 14
    return "\n".join([*parts, "</svg>", ""])


class _Frame:
    """From steps and values to places in the picture."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        steps, values = [step for step, _ in points], [value for _, value in points]
        self._steps = (min(steps), max(max(steps), min(steps) + 1))
        low, high = min(values), max(values)
        room = (high - low or abs(high) or 1.0) * 0.05
        self._values = (low - room, high + room)

    def _place(self, point: tuple[float, float]) -> tuple[float, float]:
        (first, last), (low, high) = self._steps, self._values
        x = _LEFT + (point[0] - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)
        y = _HEIGHT - _BOTTOM - (point[1] - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)
        return round(x, 1), round(y, 1)

    def line(self, points: Points, colour: str, width: int) -> str:
        """A curve."""
        places = " ".join(f"{x},{y}" for x, y in map(self._place, points))
        return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width}"/>'

    def dot(self, point: tuple[float, float], colour: str) -> str:
        """A point."""
        x, y = self._place(point)
        return f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'

    def axes(self) -> list[str]:
        """Lines and numbers at both sides."""
        parts = []
        for value in _ticks(*self._values):
            _, y = self._place((self._steps[0], value))
            parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="#e4e4e4"/>')
            parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{value:g}</text>')
        bottom = _HEIGHT - _BOTTOM
        for step in _ticks(*self._steps):
            x, _ = self._place((step, self._values[0]))
            parts.append(f'<line x1="{x}" y1="{bottom}" x2="{x}" y2="{bottom + 5}" stroke="#888"/>')
            parts.append(f'<text x="{x}" y="{bottom + 20}" text-anchor="middle">{step:g}</text>')
        parts.append(f'<line x1="{_LEFT}" y1="{bottom}" x2="{_WIDTH - _RIGHT}" y2="{bottom}" stroke="#888"/>')
        parts.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">step</text>')
        return parts


def _ticks(low: float, high: float) -> list[float]:
    """About six round numbers in a range."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    width = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / width)
    # Rounded, or 0.1 would come out as 0.30000000000000004.
    digits = max(0, -math.floor(math.log10(width)))
    return [round(number * width, digits) for number in range(first, math.floor(high / width) + 1)]


def _points(reader: RunReader, name: str) -> Points:
    series = reader.series.get(name)
    if series is None or series.first_step is None or series.last_step is None:
        return []
    return [(bucket.step, bucket.mean) for bucket in series.view(series.first_step, series.last_step, _MOST_POINTS)]


def _evaluated(reader: RunReader, name: str) -> Points:
    steps, values = reader.evaluations[name].points()
    return [(float(step), value) for step, value in zip(steps, values, strict=True)]


def _smoothed(points: Points) -> Points:
    """A running mean that gives more weight to the newest; longer runs are smoothed more."""
    weight = max(0.02, min(0.5, _SMOOTHING / 4 / max(len(points), 1)))
    found: Points = []
    mean = points[0][1]
    for step, value in points:
        mean += weight * (value - mean)
        found.append((step, mean))
    return found
