"""How long ago something was, in words of the catalogue. Durations and sizes: `tui.widgets.measures`."""

from __future__ import annotations

from tui.locale import text


def age(seconds: float) -> str:
    """How long ago, in the largest unit that fits."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= size:
            return text(f"runs.ago_{unit}", number=int(seconds // size))
    return text("runs.ago_now")
