"""The colours of the cockpit. Not for style sheets: those are in theme/ and use only the variables of a theme."""

from __future__ import annotations

import os
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any

from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.theme import Theme

# All colours lie on the xterm 256 palette: over SSH most terminals have no more, and nothing shifts there.
DARK = Theme(
    name="trimtab",
    primary="#5fafd7",
    secondary="#87afaf",
    accent="#d7af5f",
    success="#87d787",
    warning="#ffd75f",
    error="#ff5f5f",
    foreground="#d0d0d0",
    background="#121212",
    surface="#1c1c1c",
    panel="#262626",
    dark=True,
)
LIGHT = Theme(
    name="trimtab-light",
    primary="#005f87",
    secondary="#5f8787",
    accent="#875f00",
    success="#005f00",
    warning="#875f00",
    error="#af0000",
    foreground="#262626",
    background="#eeeeee",
    surface="#e4e4e4",
    panel="#dadada",
    dark=False,
)
THEMES = (DARK, LIGHT)


def theme_for_environment(chosen: str, available: AbstractSet[str]) -> str:
    """The theme that the user chose when there is one of this name; the plain one when NO_COLOR is set."""
    if os.environ.get("NO_COLOR"):
        # Textual's NO_COLOR still sends grey levels; only the ansi themes send none.
        return "ansi-dark" if "ansi-dark" in available else "textual-ansi"
    return chosen if chosen in available else DARK.name


# Shades of the foreground that are not theme variables: name -> how much of the foreground is left.
_SHADES = {"muted": 0.6, "faint": 0.28}


def role_style(app: App[Any], name: str, *, strength: float = 1.0, bold: bool = False) -> Style:
    """A Rich style in a theme variable, in "muted" or in "faint"; `strength` below 1 mixes it into the background.

    For widgets that draw their own rows. Never None and never without effect on NO_COLOR: colour is not the only sign.
    """
    variables = app.theme_variables
    share = _SHADES.get(name, 1.0) * strength
    value = variables.get("foreground" if name in _SHADES else name, "")
    return _mixed(value, variables.get("background", ""), round(share, 2), bold)


@cache
def _mixed(value: str, background: str, share: float, bold: bool) -> Style:
    if value.startswith("#"):
        color = Color.parse(value)
        if share < 1 and background.startswith("#"):
            color = Color.parse(background).blend(color, share)
        return Style(color=color.hex6, bold=bold or None)
    if value.startswith("ansi_"):
        # The terminal's own palette has no mixtures: weak things are dim.
        name = value.removeprefix("ansi_")
        return Style(color=None if name == "default" else name, dim=(share < 0.7) or None, bold=bold or None)
    return Style(bold=bold or None, dim=(share < 0.7) or None)
