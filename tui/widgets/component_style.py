"""The style of a widget's component class for Rich segments, with muted and translucent colours worked out."""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget


def component_style(widget: Widget, name: str, *, background: bool = False) -> Style:
    """What the sheet says for the component class `name`; its background only when it is asked for.

    Textual's own partial style would leave out what depends on the background, such as `$text-muted`.
    """
    full = widget.get_component_rich_style(name)
    if background:
        return full
    return Style(color=full.color, bold=full.bold, italic=full.italic, underline=full.underline, reverse=full.reverse)
