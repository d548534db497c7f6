"""A histogram as rows of text: one bar a bin, and a line where `cutoff_len` lies. Pure; draws nothing."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from tui.locale import text
from tui.widgets.glyphs import ascii_only
from tui.widgets.measures import count
from tui.widgets.pane import Row

_LEAST_WIDTH = 40
"""Below that the line of the cutoff has no room before its words."""
_EIGHTHS = "▏▎▍▌▋▊▉█"


def histogram_rows(edges: Sequence[int], counts: Sequence[int], cutoff: int, longer: int, width: int) -> list[Row]:
    """Rows of at most `width` cells; `counts[i]` rows lie from `edges[i]` up to `edges[i + 1]`, `longer` over `cutoff`.

    The line of the cutoff stands below the bin that it cuts.
    """
    if not counts or len(edges) <= len(counts):
        return []
    labels = [f"{count(edges[at])}–{count(edges[at + 1] - 1)}" for at in range(len(counts))]
    label_cells = max(cell_len(label) for label in labels)
    count_cells = max(len(count(number)) for number in counts)
    room = max(1, width - label_cells - count_cells - 6)
    most = max(1, *counts)
    rows: list[Row] = []
    line_drawn = cutoff <= 0
    for at, number in enumerate(counts):
        if not line_drawn and edges[at] >= cutoff:
            rows.append(_cutoff_row(cutoff, longer, width))
            line_drawn = True
        over = line_drawn and cutoff > 0
        bar = _bar(number / most, room, seen=number > 0)
        rows.append(
            (
                (f"  {labels[at].rjust(label_cells)} ", "muted"),
                (bar, "warning" if over else "primary"),
                (f" {count(number)}", "foreground" if number else "faint"),
            )
        )
    if not line_drawn:
        rows.append(_cutoff_row(cutoff, longer, width))
    return rows


def _cutoff_row(cutoff: int, longer: int, width: int) -> Row:
    said = text(
        "data_screen.cutoff_all" if not longer else "data_screen.cutoff_some", cutoff=count(cutoff), rows=count(longer)
    )
    rule = "-" if ascii_only() else "╌"
    left = f"  {rule * 2} " if width >= _LEAST_WIDTH else ""
    said = set_cell_size(said, min(cell_len(said), width - cell_len(left)))
    rest = max(0, width - cell_len(left) - cell_len(said) - 1)
    role = "error" if longer else "success"
    return ((left, role), (said, f"*{role}"), (" " * (rest > 0) + rule * rest, role if longer else "faint"))


def _bar(share: float, room: int, *, seen: bool) -> str:
    """A bar of eighths of cells; a bin with rows is never without a sign."""
    if ascii_only():
        return "#" * max(1 if seen else 0, round(share * room))
    eighths = max(1 if seen else 0, round(share * room * 8))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest - 1] if rest else "")
