"""Figures of row lengths: quantiles and a histogram. Not for what the lengths cost (`packing`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

_BARS = 20
_STEPS = (1, 2, 4, 5, 8)


@dataclass(frozen=True)
class Lengths:
    """Tokens a row."""

    minimum: int = 0
    median: int = 0
    p95: int = 0
    p99: int = 0
    maximum: int = 0

    @classmethod
    def of(cls, rows_by_length: Mapping[int, int]) -> Self:
        """The figures of rows counted by length: the smallest length that a share of them is not above."""
        if not rows_by_length:
            return cls()
        total = sum(rows_by_length.values())
        wanted = [-(-percent * total // 100) for percent in (50, 95, 99)]
        found: list[int] = []
        passed = 0
        for length, count in sorted(rows_by_length.items()):
            passed += count
            while len(found) < len(wanted) and passed >= wanted[len(found)]:
                found.append(length)
        median, p95, p99 = found
        return cls(min(rows_by_length), median, p95, p99, max(rows_by_length))


@dataclass(frozen=True)
class Histogram:
    """`counts[i]` rows are at least `edges[i]` and less than `edges[i + 1]` tokens long."""

    edges: tuple[int, ...]
    counts: tuple[int, ...]


def histogram(rows_by_length: Mapping[int, int]) -> Histogram:
    """About twenty bars of one round width, the first one with the shortest row. Where a few rows are very long, the
    last bar holds all of them, so that the others do not end up in one.
    """
    if not rows_by_length:
        return Histogram((0,), ())
    lengths = Lengths.of(rows_by_length)
    shown = lengths.maximum if lengths.maximum <= 2 * lengths.p99 else lengths.p99
    width = _round_width((shown - lengths.minimum) // _BARS + 1)
    first = lengths.minimum // width
    bars = shown // width - first + 1
    has_rest = lengths.maximum >= (first + bars) * width
    counts = [0] * (bars + has_rest)
    for length, count in rows_by_length.items():
        counts[min(length // width - first, len(counts) - 1)] += count
    edges = [width * (first + number) for number in range(bars + 1)]
    return Histogram((*edges, lengths.maximum + 1) if has_rest else tuple(edges), tuple(counts))


def _round_width(least: int) -> int:
    """The smallest of 1, 2, 4, 5, 8, 10, 20, 40 ... that is not below `least`."""
    scale = 1
    while True:
        for step in _STEPS:
            if step * scale >= least:
                return step * scale
        scale *= 10
