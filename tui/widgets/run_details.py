"""What is told about the selected run: two columns of text below the table. Reads nothing, it is given `RunDetails`."""

from __future__ import annotations

import time
from typing import Any

from rich.cells import set_cell_size
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from trainer.run import RunState
from tui.forms.entry import shown_text
from tui.locale import text
from tui.run_rows import RunDetails
from tui.themes import role_style
from tui.widgets.ages import age
from tui.widgets.measures import size
from tui.widgets.state_words import state_style, state_word

_FACT_CELLS = 8
_STEP_CELLS = 10


class RunDetailsPane(Horizontal):
    """Left: how it stands and what differs from its preset. Right: its checkpoints."""

    def __init__(self, **widget_arguments: Any) -> None:
        super().__init__(**widget_arguments)
        self._details: RunDetails | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="details-left"):
            yield Static(id="details-facts", markup=False)
        with VerticalScroll(id="details-right"):
            yield Static(id="details-checkpoints", markup=False)

    def show(self, details: RunDetails | None) -> None:
        """Show this run."""
        self._details = details
        self.relabel()

    def relabel(self) -> None:
        """Set every visible text again."""
        left, right = Text(), Text()
        if self._details is not None:
            left, right = self._facts(self._details), self._checkpoints(self._details)
        self.query_one("#details-facts", Static).update(left)
        self.query_one("#details-checkpoints", Static).update(right)

    def _facts(self, details: RunDetails) -> Text:
        row = details.row
        shown = Text()
        shown.append(f"{row.name}  ", Style(bold=True))
        shown.append(state_word(row.state) + "\n", state_style(self.app, row.state))
        if row.message or row.state is RunState.LOST:
            shown.append((row.message or text("runs.lost_hint")) + "\n", role_style(self.app, "warning"))
        quiet = role_style(self.app, "muted")
        for name, value in (
            ("model", row.facts.model),
            ("method", f"{row.facts.stage} {row.facts.method}"),
            ("preset", row.facts.preset),
            ("path", str(row.path)),
        ):
            shown.append(set_cell_size(text(f"runs.fact_{name}"), _FACT_CELLS), quiet).append(f"{value}\n")
        shown.append("\n" + text("runs.changes") + "\n", Style(bold=True))
        if details.changes_note:
            shown.append(text("runs.no_preset", preset=details.changes_note) + "\n", quiet)
        elif not details.changes:
            shown.append(text("runs.no_changes") + "\n", quiet)
        for change in details.changes:
            values = f"{shown_text(change.before)} → {shown_text(change.after)}"
            shown.append(f"{change.key}  ", quiet).append(f"{values}\n")
        shown.rstrip()
        return shown

    def _checkpoints(self, details: RunDetails) -> Text:
        shown = Text().append(text("runs.checkpoints") + "\n", Style(bold=True))
        if not details.checkpoints and not details.damaged:
            shown.append(text("runs.no_checkpoints"), role_style(self.app, "muted"))
        badge = text("runs.badge_verified" if details.verified else "runs.badge_good")
        for one in reversed(details.checkpoints):
            shown.append(f"{set_cell_size(text('runs.step', step=one.step), _STEP_CELLS)} {size(one.bytes):>8}  ")
            shown.append(badge, role_style(self.app, "success", bold=True))
            shown.append(f"  {age(time.time() - one.created)}\n")
        for bad in details.damaged:
            shown.append(f"{bad.path.name}  ").append(
                text("runs.badge_damaged"), role_style(self.app, "error", bold=True)
            )
            shown.append(f" {bad.reason}\n")
        if details.checkpoints and not details.verified:
            shown.append(text("runs.verify_hint"), role_style(self.app, "muted"))
        shown.rstrip()
        return shown
