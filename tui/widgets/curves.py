"""From the stored series of a run to the points of a picture: smoothing, thinning, logarithm. Pure; draws nothing."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Bucket(Protocol):
    """What a stretch of steps holds (`trainer.run.Series.view`)."""

    @property
    def step(self) -> int: ...

    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...

    @property
    def last(self) -> float: ...


class Source(Protocol):
    """A stored series (`trainer.run.Series`)."""

    def points(self) -> tuple[Sequence[int], Sequence[float]]: ...

    def view(self, first: int, last: int, buckets: int) -> Sequence[Bucket]: ...


@dataclass(frozen=True)
class Points:
    """Steps in rising order with their finite values."""

    steps: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def nearest(self, step: float) -> tuple[float, float] | None:
        """The point whose step lies nearest."""
        if not self.steps:
            return None
        right = bisect.bisect_left(self.steps, step)
        near = [index for index in (right - 1, right) if 0 <= index < len(self.steps)]
        index = min(near, key=lambda place: abs(self.steps[place] - step))
        return self.steps[index], self.values[index]


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """The debiased exponential moving average; what is not finite counts for nothing.

    Source: TensorBoard's smoothing: `last = weight * last + (1 - weight) * value`, divided by the sum of the weights.
    """
    result: list[float] = []
    total = weights = 0.0
    for value in values:
        if math.isfinite(value):
            total = total * weight + (1 - weight) * value
            weights = weights * weight + (1 - weight)
        result.append(total / weights if weights else math.nan)
    return result


def raw_curve(source: Source, first: int, last: int, buckets: int) -> Points:
    """Lowest and highest value of each bucket, so that no spike is lost."""
    steps: list[float] = []
    values: list[float] = []
    for bucket in source.view(first, last, buckets):
        pair = (bucket.low,) if bucket.low == bucket.high else (bucket.low, bucket.high)
        for value in pair:
            if math.isfinite(value):
                steps.append(float(bucket.step))
                values.append(value)
    return Points(tuple(steps), tuple(values))


def smooth_curve(source: Source, weight: float, first: int, last: int, buckets: int) -> Points:
    """The smoothed curve over the whole history, cut to the window, one point a bucket."""
    steps, values = source.points()
    curve = smoothed(values, weight)
    width = max(1.0, (last - first) / max(1, buckets))
    kept: dict[int, tuple[float, float]] = {}
    for step, value in zip(steps, curve, strict=False):
        if first <= step <= last and math.isfinite(value):
            # The last of each bucket; the edges of buckets do not move while the window stands.
            kept[int((step - first) / width)] = (float(step), value)
    return Points(tuple(step for step, _ in kept.values()), tuple(value for _, value in kept.values()))


def all_points(source: Source | None, first: int, last: int) -> Points:
    """Every finite point of a window."""
    if source is None:
        return Points()
    steps, values = source.points()
    kept = [(float(s), v) for s, v in zip(steps, values, strict=False) if first <= s <= last and math.isfinite(v)]
    return Points(tuple(step for step, _ in kept), tuple(value for _, value in kept))


def logarithm(points: Points) -> Points:
    """log10 of the values; what is not above zero has none and is left out."""
    kept = [(s, math.log10(v)) for s, v in zip(points.steps, points.values, strict=True) if v > 0]
    return Points(tuple(step for step, _ in kept), tuple(value for _, value in kept))
