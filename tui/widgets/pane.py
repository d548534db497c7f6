"""The head line of a pane: a title, a few values, a thin rule. Panes have no borders: a line of text is enough."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from tui.themes import role_style
from tui.widgets.glyphs import ascii_only


def header_strip(widget: Widget, title: str, parts: Sequence[tuple[str, str]], width: int) -> Strip:
    """`title  value  value ─────`; the title is bright while the pane (or something in it) has the focus."""
    base = widget.rich_style
    rule = "-" if ascii_only() else "─"
    title_style = base + role_style(widget.app, "primary" if widget.has_focus_within else "foreground", bold=True)
    segments = [Segment(f" {title} ", title_style)]
    used = cell_len(title) + 2
    for part, variable in parts:
        cells = cell_len(part) + 2
        if used + cells > width:
            break
        segments.append(Segment(f" {part} ", base + role_style(widget.app, variable)))
        used += cells
    segments.append(Segment(" " + rule * max(0, width - used - 1), base + role_style(widget.app, "faint")))
    return Strip(segments).adjust_cell_length(width, base)
