"""The Runs screen: every run with its state, and what can be done with it. Not for curves: the dashboard has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DataTable, Input, Static

from trainer.errors import UserError
from trainer.run import RunDirectory, delete_run, launch
from tui.background import read_in_background
from tui.locale import text
from tui.run_rows import RunCatalogue, RunDetails, RunRow
from tui.screens.base import CockpitScreen
from tui.widgets.confirmation import Confirmation
from tui.widgets.run_details import RunDetailsPane
from tui.widgets.run_table import RunTable

_REFRESH_SECONDS = 1.5


class RunsScreen(CockpitScreen):
    """The table, details of the selected run below it, a filter line on demand."""

    area = "runs"
    CSS_PATH = "../theme/runs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "chat", "runs.key_chat", id="runs.chat"),
        Binding("c", "score", "runs.key_score", id="runs.score"),
        Binding("R", "resume", "runs.key_resume", id="runs.resume"),
        Binding("x", "stop", "runs.key_stop", id="runs.stop"),
        Binding("D,delete", "delete", "runs.key_delete", id="runs.delete"),
        Binding("slash", "filter", "runs.key_filter", id="runs.filter"),
        Binding("v", "verify", "runs.key_verify", id="runs.verify"),
        Binding("escape", "clear_filter", "runs.key_clear_filter", show=False, id="runs.clear_filter"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._catalogue = RunCatalogue()
        self._rows: list[RunRow] = []
        self._reading = False
        self._read_once = False
        self._detailed: tuple[object, ...] = ()

    def compose_body(self) -> ComposeResult:
        with Vertical(id="runs-body"):
            yield RunTable(id="runs-table")
            yield Static(id="runs-empty", classes="empty", markup=False)
            filter_line = Input(id="runs-filter", compact=True, select_on_focus=False)
            filter_line.cursor_blink = False
            yield filter_line
            yield RunDetailsPane(id="runs-details")

    def on_mount(self) -> None:
        """Look at the runs now and every moment."""
        self.query_one("#runs-filter").display = False
        self.query_one(RunTable).focus()
        self.set_interval(_REFRESH_SECONDS, self.read_runs)
        self.relabel()

    def on_shown(self) -> None:
        """Look at once."""
        self.read_runs()

    def relabel(self) -> None:
        """Set every visible text again."""
        self.query_one(RunTable).relabel()
        self.query_one(RunDetailsPane).relabel()
        self.query_one("#runs-filter", Input).placeholder = text("runs.filter_placeholder")
        self._draw()

    # Reading

    def read_runs(self) -> None:
        """Read all runs in a thread and show them; does nothing while another screen is in front, or a read goes on."""
        if self.is_current and not self._reading:
            self._reading = True
            read_in_background(self, self._catalogue.rows, self.show_rows)

    def show_rows(self, rows: list[RunRow]) -> None:
        """Show these runs."""
        self._reading = False
        self._rows = rows
        self._read_once = True
        self._draw()

    def _draw(self) -> None:
        words = self.query_one("#runs-filter", Input).value
        shown = [row for row in self._rows if row.matches(words)]
        table, empty = self.query_one(RunTable), self.query_one("#runs-empty", Static)
        table.display = bool(shown)
        empty.display = not shown
        self.query_one(RunDetailsPane).display = bool(shown)
        if not self._read_once:
            empty.update(text("runs.reading"))
        else:
            empty.update(text("runs.no_match", words=words) if self._rows else text("runs.empty"))
        table.show(shown)
        self._follow_cursor()

    @on(DataTable.RowHighlighted)
    def _follow_cursor(self) -> None:
        row = self.query_one(RunTable).current
        wanted = (row.path, row.state, row.step // 10, row.checkpoints, row.message) if row is not None else ()
        if wanted != self._detailed:
            self._detailed = wanted
            self.refresh_bindings()
            self._look_closely(verify=False)

    def _look_closely(self, *, verify: bool) -> None:
        row = self.query_one(RunTable).current
        if row is None:
            self.query_one(RunDetailsPane).show(None)
            return

        read_in_background(self, lambda: self._catalogue.details(row, verify=verify), self._show_details)

    def _show_details(self, details: RunDetails) -> None:
        row = self.query_one(RunTable).current
        if row is not None and row.path == details.row.path:
            self.query_one(RunDetailsPane).show(details)

    # Actions on the selected run

    @on(DataTable.RowSelected)
    def _open_selected(self) -> None:
        """Show the run on the dashboard."""
        row = self.query_one(RunTable).current
        if row is not None:
            self.cockpit.open_run(row.path)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A reward model gives numbers, the others talk."""
        if action in ("chat", "score"):
            row = self.query_one(RunTable).current if self.is_mounted else None
            return (action == "score") == (row is not None and row.facts.stage == "rm")
        return True

    def action_chat(self) -> None:
        """Talk to its newest checkpoint."""
        row = self._row_with_checkpoint()
        if row is not None:
            self.cockpit.open_chat(None, row.path)

    def action_score(self) -> None:
        """Let its newest checkpoint score answers."""
        row = self._row_with_checkpoint()
        if row is not None:
            self.cockpit.open_score(None, row.path)

    def _row_with_checkpoint(self) -> RunRow | None:
        row = self.query_one(RunTable).current
        if row is not None and not row.checkpoints:
            self.notify(text("runs.nothing_to_chat", run=row.name), severity="warning", markup=False)
            return None
        return row

    def action_resume(self) -> None:
        """Let the trainer go on from the newest checkpoint."""
        row = self.query_one(RunTable).current
        if row is not None:
            self._try(lambda: launch(RunDirectory(row.path), resume=True), text("runs.resumed", run=row.name))

    def action_stop(self) -> None:
        """Ask the trainer to save and leave."""
        row = self.query_one(RunTable).current
        if row is None:
            return
        if not row.state.alive:
            self.notify(text("runs.not_alive", run=row.name), severity="warning", markup=False)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._try(lambda: RunDirectory(row.path).send("stop", save=True), text("runs.stopping", run=row.name))

        question = text("runs.stop_question", run=row.name, step=row.step, total=row.total_steps)
        self.app.push_screen(Confirmation(text("runs.stop_title"), question), answered)

    def action_delete(self) -> None:
        """Remove the run with its checkpoints, after a question."""
        row = self.query_one(RunTable).current
        if row is None:
            return
        if row.state.alive:
            self.notify(text("runs.delete_alive", run=row.name), severity="warning", markup=False)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._try(lambda: delete_run(RunDirectory(row.path)), text("runs.deleted", run=row.name))

        question = text("runs.delete_question", run=row.name, checkpoints=row.checkpoints, path=row.path)
        self.app.push_screen(Confirmation(text("runs.delete_title"), question), answered)

    def action_verify(self) -> None:
        """Read every byte of its checkpoints."""
        row = self.query_one(RunTable).current
        if row is not None:
            self.notify(text("runs.verifying", run=row.name), markup=False)
            self._look_closely(verify=True)

    def _try(self, act: Callable[[], object], success: str) -> None:
        try:
            act()
        except UserError as error:
            self.notify(str(error), severity="error", markup=False)
        else:
            self.notify(success, markup=False)
        self.read_runs()

    # The filter

    def action_filter(self) -> None:
        """Open the filter line."""
        line = self.query_one("#runs-filter", Input)
        line.display = True
        line.focus()

    def action_clear_filter(self) -> None:
        """Show all runs again."""
        line = self.query_one("#runs-filter", Input)
        line.value = ""
        line.display = False
        self._draw()
        self.query_one(RunTable).focus()

    @on(Input.Changed, "#runs-filter")
    def _filtered(self) -> None:
        self._draw()

    @on(Input.Submitted, "#runs-filter")
    def _filter_done(self) -> None:
        self.query_one(RunTable).focus()
