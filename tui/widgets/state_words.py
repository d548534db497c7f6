"""The states of a run as a word and a colour. Not for finding out the state: that is `RunDirectory.state()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.style import Style
from textual.app import App

from tui.locale import text
from tui.themes import role_style

if TYPE_CHECKING:
    from trainer.run import RunState

STATE_ROLES = {
    "preparing": "secondary",
    "running": "success",
    "evaluating": "primary",
    "saving": "primary",
    "paused": "warning",
    "stalled": "warning",
    "finished": "success",
    "stopped": "secondary",
    "failed": "error",
    "lost": "error",
}


def state_word(state: RunState | None) -> str:
    """The word for a state in the language in force; the colour is never the only sign."""
    return text(f"common.state_{state.value}") if state is not None else text("common.state_none")


def state_style(app: App[Any], state: RunState | None) -> Style:
    """Bold, in the colour that the theme gives to the state."""
    return role_style(app, STATE_ROLES[state.value] if state is not None else "muted", bold=True)
