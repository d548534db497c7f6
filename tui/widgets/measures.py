"""Amounts as short texts: durations, bytes, counts. Not for measured values of a run: those are `axes.value_text`."""

from __future__ import annotations

import math
import re

# Counts of things; not numbers in file names or versions, and no digits behind a point.
_LARGE_COUNT = re.compile(r"(?<![\w.,/=-])\d{5,15}(?= ?(?:tokens|rows|examples|parameters)\b| ?(?:词元|行|例))")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def duration(seconds: float | None) -> str:
    """`0:07`, `12:05`, `3:04:09`, `2d 05h`; a dash when it is not known."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    whole = round(seconds)
    if whole >= 48 * 3600:
        return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{second:02d}" if hours else f"{minutes}:{second:02d}"


def size(count: float | None) -> str:
    """Bytes with a binary unit and three digits: `1.23 GiB`."""
    if count is None:
        return "-"
    unit = 0
    while abs(count) >= 1000 and unit < len(_UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{_three_digits(count) if unit else int(count)} {_UNITS[unit]}"


def share(used: float | None, total: float | None) -> str:
    """Two byte counts in the unit of the second: `3.2/8.0 GiB`."""
    if used is None or not total:
        return size(used)
    unit = min(len(_UNITS) - 1, int(math.log(max(1.0, total), 1024)))
    scale = 1024.0**unit
    return f"{_three_digits(used / scale)}/{_three_digits(total / scale)} {_UNITS[unit]}"


def count(number: float) -> str:
    """A count with separators: `12,345`."""
    return f"{number:,.0f}"


def grouped(line: str) -> str:
    """A sentence with separators in its large counts: `11153 tokens` becomes `11,153 tokens`."""
    return _LARGE_COUNT.sub(lambda found: count(int(found[0])), line)


def _three_digits(number: float) -> str:
    if number >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"
