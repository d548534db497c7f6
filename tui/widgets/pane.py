"""Rows of coloured text, and the head line of a pane: a title, a few values, a thin rule. Panes have no borders."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from tui.themes import role_style
from tui.widgets.glyphs import ascii_only

Piece = tuple[str, str]
"""Text and the role of its colour: a theme variable, "muted" or "faint"; `*` in front makes it bold, `_` underlines it,
`!` swaps text and background."""
Row = tuple[Piece, ...]


def header_row(widget: Widget, title: str, parts: Sequence[tuple[str, str]], width: int) -> Row:
    """`title  value  value ─────`; the title is bright while the pane (or something in it) has the focus."""
    rule = "-" if ascii_only() else "─"
    pieces: list[Piece] = [(f" {title} ", "*primary" if widget.has_focus_within else "*foreground")]
    used = cell_len(title) + 2
    for part, role in parts:
        cells = cell_len(part) + 2
        if used + cells > width:
            break
        pieces.append((f" {part} ", role))
        used += cells
    pieces.append((" " + rule * max(0, width - used - 1), "faint"))
    return tuple(pieces)


def row_strip(widget: Widget, row: Row, width: int) -> Strip:
    """A row in the colours of the theme, on the background of the widget."""
    base = widget.rich_style
    segments = [Segment(piece, base + piece_style(widget, role)) for piece, role in row]
    return Strip(segments).adjust_cell_length(width, base)


def piece_style(widget: Widget, role: str) -> Style:
    """The style of a role with its marks (`*`, `_`, `!`)."""
    name = role.lstrip("*_!")
    marks = role[: len(role) - len(name)]
    style = role_style(widget.app, name, bold="*" in marks)
    if "_" in marks or "!" in marks:
        style += Style(underline="_" in marks or None, reverse="!" in marks or None)
    return style


def changed_cells(old: Row, new: Row) -> int:
    """How many cells from the left must be drawn again: up to the last one that differs.

    Textual writes a row from its widget's left edge to the right edge of what changed, so that a rule or a bar at
    the right end, three bytes a cell, is sent only when it changes itself.
    """
    before, after = _cells(old), _cells(new)
    if len(before) != len(after):
        return max(len(before), len(after))
    same = 0
    for one, other in zip(reversed(before), reversed(after), strict=True):
        if one != other:
            break
        same += 1
    return len(after) - same


def _cells(row: Row) -> list[Piece]:
    """One entry a cell; a wide character stands in its second cell too."""
    return [(char, role) for piece, role in row for char in piece for _ in range(cell_len(char))]
