"""The last look at every line before it is drawn: nothing in it may steer the terminal.

Names, messages and answers come from files, services and models, and Textual hands escape sequences on as they are. Not
for showing what was there: widgets that draw such texts write it as codes (`tui.widgets.wrapping`).
"""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

# They have no cells: without them a line is as wide as before.
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)))


class HarmlessLines(LineFilter):
    """Takes control characters out of what widgets draw."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments of a line; those that Textual itself steers the terminal with stay."""
        return [_harmless(segment) for segment in segments]


def _harmless(segment: Segment) -> Segment:
    if segment.control or segment.text.isprintable():
        return segment
    return Segment(segment.text.translate(_CONTROLS), segment.style)
