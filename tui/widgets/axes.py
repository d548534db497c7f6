"""Axes that stay still: limits in round steps, round ticks, short labels. Pure numbers; draws nothing.

A chart over a slow link is cheap only when old columns do not move, so limits grow in few large steps and
do not shrink before half of the axis lies empty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_GROWTH = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_TICK_STEPS = (1.0, 2.0, 5.0, 10.0)
_LOG_PARTS = (0.0, math.log10(2), math.log10(5))


@dataclass(frozen=True)
class Limits:
    """The two ends of an axis, low < high."""

    low: float
    high: float

    @property
    def span(self) -> float:
        """The length of the axis."""
        return self.high - self.low


def step_limit(last_step: int, total_steps: int | None) -> int:
    """The right end of a step axis that starts at 0: round, growing seldom, never beyond the end of the run."""
    need = max(10, last_step)
    magnitude = 10 ** math.floor(math.log10(need))
    round_end = next(math.ceil(factor * magnitude) for factor in _GROWTH if factor * magnitude >= need)
    if total_steps is not None and total_steps >= last_step:
        return max(1, min(round_end, total_steps))
    return round_end


def tick_step(span: float, count: int) -> float:
    """The 1-2-5 step that puts about `count` ticks on an axis of this length."""
    raw = span / max(1, count)
    magnitude = 10.0 ** math.floor(math.log10(raw))
    return next(factor * magnitude for factor in _TICK_STEPS if factor * magnitude >= raw * (1 - 1e-9))


def value_limits(low: float, high: float, previous: Limits | None, count: int = 5) -> Limits:
    """Limits around the values, rounded outwards; the previous ones as long as they hold and are half used."""
    if high - low <= max(abs(low), abs(high)) * 1e-9:
        # A constant: put it in the middle of something round.
        half = abs(high) / 2 or 0.5
        low, high = low - half, high + half
        if low < 0 <= high - half:
            low = 0.0
    if previous is not None and previous.low <= low and high <= previous.high and high - low >= previous.span / 2:
        return previous
    step = tick_step(high - low, count)
    return Limits(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step)


def log_limits(low: float, high: float, previous: Limits | None) -> Limits:
    """The same for exponents of ten: the ends lie on 1, 2 or 5 times a power of ten."""
    if previous is not None and previous.low <= low and high <= previous.high and high - low >= previous.span / 2:
        return previous
    places = [exponent + part for exponent in range(math.floor(low) - 1, math.ceil(high) + 2) for part in _LOG_PARTS]
    below = max(place for place in places if place <= low + 1e-9)
    above = min(place for place in places if place >= high - 1e-9)
    return Limits(below, above) if above > below else Limits(below, below + 1)


def ticks(limits: Limits, count: int) -> list[float]:
    """Round positions inside the limits, both ends included where they are round."""
    step = tick_step(limits.span, count)
    first = math.ceil(limits.low / step - 1e-9)
    last = math.floor(limits.high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(limits: Limits, count: int) -> list[float]:
    """Ticks of an axis in powers of ten (`limits` are exponents); 1, 2, 5 within a decade when it is short."""
    if limits.span > count:
        return ticks(limits, count)
    mantissas = (1, 2, 5) if limits.span * 3 <= count + 2 else (1,)
    exponents = range(math.floor(limits.low), math.ceil(limits.high) + 1)
    places = [exponent + math.log10(mantissa) for exponent in exponents for mantissa in mantissas]
    inside = [place for place in places if limits.low - 1e-9 <= place <= limits.high + 1e-9]
    return inside if len(inside) >= 2 else [limits.low, limits.high]


def tick_labels(values: Sequence[float]) -> list[str]:
    """Labels with just enough digits to tell the ticks apart: `0.5`, `1.25`, `2e-4`, `15k`."""
    if not values:
        return []
    distances = [abs(b - a) for a, b in pairwise(values) if b != a]
    largest = max(abs(value) for value in values)
    if largest and not 1e-3 <= largest < 1e6:
        labels: list[str] = []
        for digits in (2, 3, 4):
            labels = [_short_scientific(value, digits) if value else "0" for value in values]
            if len(set(labels)) == len(labels):
                break
        return labels
    step = min(distances) if distances else largest or 1.0
    decimals = max(0, min(6, -math.floor(math.log10(step) + 1e-9))) if step else 0
    if largest >= 10_000 and all(abs(value / 100 - round(value / 100)) < 1e-6 for value in values):
        return [_trim(f"{value / 1000:.1f}") + "k" if value else "0" for value in values]
    if any(abs(round(value, decimals) - value) > step * 0.01 for value in values):
        decimals += 1
    return [f"{0.0 if value == 0 else value:.{decimals}f}" for value in values]


def value_text(value: float | None) -> str:
    """A measured value in at most eight characters: `1.2345`, `123.4`, `2.50e-4`, `nan`."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    size = abs(value)
    if size and size < 1e-3:
        return _scientific(value, 3)
    if size >= 1e6:
        return _scientific(value, 4)
    for bound, decimals in ((0.1, 5), (10, 4), (100, 3), (1_000, 2), (10_000, 1)):
        if size < bound:
            return f"{value:.{decimals}f}"
    return f"{value:.0f}"


def short_number(value: float) -> str:
    """A setting in its shortest exact form: `2e-4`, `0.001`, `3`."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e6:
        return f"{value:.6g}"
    mantissa, exponent = f"{value:.5e}".split("e")
    return f"{_trim(mantissa)}e{int(exponent)}"


def _scientific(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _short_scientific(value: float, digits: int) -> str:
    mantissa, _, exponent = _scientific(value, digits).partition("e")
    return f"{_trim(mantissa)}e{exponent}"


def _trim(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number
