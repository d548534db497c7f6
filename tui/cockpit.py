"""Opens the cockpit: looks at the terminal, prepares the environment, starts the app under a guardian process.

Textual is imported only in the process that draws; everything else that `trimtab` does never pays for it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tui import settings
from tui.guardian import guarded
from tui.locale import set_language, text

SCREENS = ("setup", "dashboard", "runs", "chat", "presets", "data")


def open_cockpit(*, screen: str = "dashboard", run: Path | None = None, preset: str | None = None) -> int:
    """Open the cockpit on one of `SCREENS` and return the exit status when the user leaves it.

    Where there is no terminal to draw on, prints what to use instead and returns 0.
    """
    if screen not in SCREENS:
        raise ValueError(f"screen {screen!r}: expected one of {', '.join(SCREENS)}")
    obstacle = terminal_obstacle()
    if obstacle is not None:
        print(obstacle)
        return 0
    prepare_environment()
    return guarded(lambda: _draw(screen, run, preset))


def terminal_obstacle() -> str | None:
    """Why the cockpit cannot be drawn here, in words; None when it can."""
    if os.environ.get("TERM") == "dumb":
        return text("common.obstacle_dumb")
    # Textual draws on stderr and reads keys from stdin.
    streams = (sys.__stdin__, sys.__stderr__)
    if not all(stream is not None and stream.isatty() for stream in streams):
        return text("common.obstacle_no_terminal")
    return None


def prepare_environment() -> None:
    """Defaults that must stand before Textual is imported; what the user has set wins."""
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    if os.environ.get("SSH_CONNECTION"):
        os.environ.setdefault("TEXTUAL_FPS", "30")


def _draw(screen: str, run: Path | None, preset: str | None) -> int:
    chosen = settings.load().language
    if chosen in ("en", "zh") and not os.environ.get("TRIMTAB_LANGUAGE"):
        set_language(chosen)
    from tui.app import TrimtabApp

    app = TrimtabApp(screen=screen, run=run, preset=preset)
    result = app.run()
    return app.return_code or result or 0
