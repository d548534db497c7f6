"""One column of measurements in a fixed memory, however long the run. Not for reading files or drawing.

The newest points are kept as they are. Older ones are folded into buckets with their lowest, highest, mean and last
value; when the buckets are full, neighbours are joined and each bucket stands for twice as many points.
"""

from __future__ import annotations

import math
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

CAPACITY = 4096


@dataclass(frozen=True)
class Bucket:
    """Neighbouring points as one: `step` is the last one's."""

    step: int
    low: float
    high: float
    mean: float
    last: float


class Series:
    """Values by step, steps rising. A second value for the newest step replaces the first; older steps are ignored.

    `lock`, when given, is held by whoever adds; the reading methods take it.
    """

    def __init__(self, lock: threading.RLock | None = None, *, capacity: int = CAPACITY) -> None:
        self._lock: AbstractContextManager[object] = nullcontext() if lock is None else lock
        self._capacity = capacity
        self._steps = array("q")  # the newest points, as they came
        self._values = array("d")
        self._width = 1  # points in a full bucket
        self._first_steps = array("q")
        self._last_steps = array("q")
        self._lows = array("d")
        self._highs = array("d")
        self._sums = array("d")
        self._lasts = array("d")
        self._counts = array("q")
        self.count = 0  # points that were added and are not truncated

    def add(self, step: int, value: float) -> None:
        """Add a point; a value that is not finite is left out."""
        if not math.isfinite(value):
            return
        steps = self._steps
        if steps:
            newest = steps[-1]
            if step <= newest:
                if step == newest:
                    self._values[-1] = value
                return
        elif self._last_steps and step <= self._last_steps[-1]:
            return
        steps.append(step)
        self._values.append(value)
        self.count += 1
        if len(steps) >= 2 * self._capacity:
            self._fold(self._capacity)

    def extend(self, steps: Sequence[int], values: array[float]) -> bool:
        """Add many points at once, steps rising; False, and nothing added, when they must be added one by one."""
        newest = self.last_step
        if not steps or (newest is not None and steps[0] <= newest) or not math.isfinite(sum(values)):
            return False
        self._steps.extend(array("q", steps))
        self._values.extend(values)
        self.count += len(steps)
        while len(self._steps) >= 2 * self._capacity:
            self._fold(self._capacity)
        return True

    def truncate(self, step: int) -> None:
        """Forget what comes after `step`. A bucket that reaches beyond it goes as a whole: it cannot be divided."""
        with self._lock:
            if self._steps and self._steps[0] <= step:
                cut = bisect_right(self._steps, step)
                self.count -= len(self._steps) - cut
                del self._steps[cut:]
                del self._values[cut:]
                return
            self.count -= len(self._steps)
            del self._steps[:]
            del self._values[:]
            cut = bisect_right(self._last_steps, step)
            self.count -= sum(self._counts[cut:])
            for column in self._columns():
                del column[cut:]

    @property
    def last(self) -> float | None:
        """The newest value."""
        with self._lock:
            if self._values:
                return self._values[-1]
            return self._lasts[-1] if self._lasts else None

    @property
    def last_step(self) -> int | None:
        """The newest step."""
        with self._lock:
            if self._steps:
                return self._steps[-1]
            return self._last_steps[-1] if self._last_steps else None

    @property
    def first_step(self) -> int | None:
        """The oldest step."""
        with self._lock:
            if self._first_steps:
                return self._first_steps[0]
            return self._steps[0] if self._steps else None

    def __len__(self) -> int:
        """How many points or buckets are held."""
        return len(self._last_steps) + len(self._steps)

    def points(self) -> tuple[list[int], list[float]]:
        """Steps and values from the oldest to the newest; old points as the mean of their bucket."""
        with self._lock:
            means = [total / count for total, count in zip(self._sums, self._counts, strict=True)]
            return [*self._last_steps, *self._steps], [*means, *self._values]

    def view(self, first: int, last: int, buckets: int) -> list[Bucket]:
        """The points from step `first` to `last` as at most `buckets` buckets of equal width; empty ones left out."""
        with self._lock:
            pieces = self._pieces(first, last)
        if not pieces or buckets <= 0:
            return []
        width = max(1, -(-(last - first + 1) // buckets))
        if len(pieces) <= buckets:
            return [Bucket(step, low, high, total / count, final) for step, low, high, total, count, final in pieces]
        found: list[Bucket] = []
        begin = 0
        while begin < len(pieces):
            border = (pieces[begin][0] - first) // width
            end = begin + 1
            while end < len(pieces) and (pieces[end][0] - first) // width == border:
                end += 1
            group = pieces[begin:end]
            found.append(
                Bucket(
                    step=group[-1][0],
                    low=min(piece[1] for piece in group),
                    high=max(piece[2] for piece in group),
                    mean=math.fsum(piece[3] for piece in group) / sum(piece[4] for piece in group),
                    last=group[-1][5],
                )
            )
            begin = end
        return found

    def _pieces(self, first: int, last: int) -> list[tuple[int, float, float, float, int, float]]:
        """(step, low, high, sum, count, last) of what lies in the range; a bucket by its last step."""
        begin, end = bisect_left(self._last_steps, first), bisect_right(self._last_steps, last)
        old = zip(
            self._last_steps[begin:end],
            self._lows[begin:end],
            self._highs[begin:end],
            self._sums[begin:end],
            self._counts[begin:end],
            self._lasts[begin:end],
            strict=True,
        )
        begin, end = bisect_left(self._steps, first), bisect_right(self._steps, last)
        new = zip(self._steps[begin:end], self._values[begin:end], strict=True)
        return [*old, *((step, value, value, value, 1, value) for step, value in new)]

    def _columns(self) -> tuple[array[int] | array[float], ...]:
        return (
            self._first_steps,
            self._last_steps,
            self._lows,
            self._highs,
            self._sums,
            self._lasts,
            self._counts,
        )

    def _fold(self, number: int) -> None:
        """Move the oldest `number` points into buckets."""
        begin = 0
        while begin < number:
            filled = self._counts[-1] if self._counts else self._width
            end = min(number, begin + (self._width - filled if filled < self._width else self._width))
            values = self._values[begin:end]
            if filled < self._width:
                self._extend_last_bucket(values, self._steps[end - 1])
            else:
                self._append_bucket(values, self._steps[begin], self._steps[end - 1])
            begin = end
        del self._steps[:number]
        del self._values[:number]

    def _append_bucket(self, values: array[float], first: int, last: int) -> None:
        if len(self._counts) >= self._capacity:
            self._join_neighbours()
        self._first_steps.append(first)
        self._last_steps.append(last)
        self._lows.append(min(values))
        self._highs.append(max(values))
        self._sums.append(math.fsum(values))
        self._lasts.append(values[-1])
        self._counts.append(len(values))

    def _extend_last_bucket(self, values: array[float], last: int) -> None:
        self._last_steps[-1] = last
        self._lows[-1] = min(self._lows[-1], *values)
        self._highs[-1] = max(self._highs[-1], *values)
        self._sums[-1] += math.fsum(values)
        self._lasts[-1] = values[-1]
        self._counts[-1] += len(values)

    def _join_neighbours(self) -> None:
        self._width *= 2
        self._first_steps = self._first_steps[0::2]
        self._last_steps = self._last_steps[1::2]
        self._lows = array("d", map(min, self._lows[0::2], self._lows[1::2]))
        self._highs = array("d", map(max, self._highs[0::2], self._highs[1::2]))
        self._sums = array("d", map(sum, zip(self._sums[0::2], self._sums[1::2], strict=True)))
        self._counts = array("q", map(sum, zip(self._counts[0::2], self._counts[1::2], strict=True)))
        self._lasts = self._lasts[1::2]
