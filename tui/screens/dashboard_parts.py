"""The parts of a pipeline on the dashboard: the strip, moving on to the next part, changing between them.

Not for stopping and resuming (`dashboard_controls`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tui.locale import text
from tui.widgets.parts_strip import PartsStrip

if TYPE_CHECKING:
    from tui.run_feed import RunSnapshot
    from tui.screens.dashboard import DashboardScreen


class Parts:
    """Remembers which part was seen going: whoever watches it is led to the next one when it ends."""

    def __init__(self, screen: DashboardScreen) -> None:
        self._screen = screen
        self._watched: Path | None = None

    def show(self, snapshot: RunSnapshot | None) -> None:
        """Show where the run stands; goes to the next part when the one that was watched has ended."""
        part = snapshot.part if snapshot is not None else None
        self._screen.query_one(PartsStrip).show(part)
        if snapshot is None or part is None:
            return
        if snapshot.state.alive:
            self._watched = snapshot.run.path
            return
        later = part.going_later
        # Not under a dialog: its answer is about the part that is shown.
        if self._watched == snapshot.run.path and later is not None and self._screen.is_current:
            self._watched = None
            self._screen.notify(text("pipeline.moved_on", part=part.name), markup=False)
            self._screen.cockpit.open_run(later)

    def watch(self, snapshot: RunSnapshot | None) -> None:
        """The pipeline goes on: go with it."""
        self._watched = snapshot.run.path if snapshot is not None else None

    def change(self, by: int) -> None:
        """Look at the part before or after this one."""
        snapshot = self._screen.snapshot
        part = snapshot.part if snapshot is not None else None
        beside = part.beside(by) if part is not None else None
        if beside is None:
            return
        name, path = beside
        if path is None:
            self._screen.notify(text("pipeline.not_begun", part=name), severity="warning", markup=False)
        else:
            self._watched = None
            self._screen.cockpit.open_run(path)
