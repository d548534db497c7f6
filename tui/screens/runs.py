"""The Runs screen: every run with its state, and what can be done with it. Not for curves: the dashboard has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DataTable, Input, Static

from trainer.errors import UserError
from trainer.run import RunDirectory, RunState, delete_run, launch
from trainer.run.leading import delete_pipeline, launch_pipeline, stop_pipeline
from trainer.run.pipeline import Pipeline, Standing
from tui.background import read_in_background
from tui.locale import text
from tui.pipeline_texts import long_standing
from tui.run_rows import RunCatalogue, RunDetails, RunRow, shown_rows
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
        Binding("space", "fold", "runs.key_fold", id="runs.fold"),
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
        self._folds: dict[Path, bool] = {}
        """Pipelines that somebody folded or unfolded; the others show their parts until they are finished."""
        self._came_from: Path | None = None
        self._wanted: Path | None = None
        """The run that the cursor shall go to as soon as it is in the table."""

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
        """Look at once; the cursor goes to the run that was opened since."""
        run = self.cockpit.current_run
        if run is not None and run.path != self._came_from:
            self._came_from = self._wanted = run.path
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
        folded = frozenset(row.path for row in self._rows if row.is_pipeline and self._is_folded(row))
        shown = shown_rows(self._rows, words, folded)
        table, empty = self.query_one(RunTable), self.query_one("#runs-empty", Static)
        table.display = bool(shown)
        empty.display = not shown
        self.query_one(RunDetailsPane).display = bool(shown)
        if not self._read_once:
            empty.update(text("runs.reading"))
        else:
            empty.update(text("runs.no_match", words=words) if self._rows else text("runs.empty"))
        table.show(shown, folded)
        if self._wanted is not None and any(row.path == self._wanted for row in shown):
            table.select(self._wanted)
            self._wanted = None
        self._follow_cursor()

    @on(DataTable.RowHighlighted)
    def _follow_cursor(self) -> None:
        row = self.query_one(RunTable).current
        wanted: tuple[object, ...] = ()
        if row is not None:
            step = row.step if row.is_pipeline else row.step // 10
            wanted = (row.path, row.state, step, row.checkpoints, row.message, row.standing)
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
        """Show the run on the dashboard; of a pipeline the part that it is at."""
        row = self.query_one(RunTable).current
        if row is None:
            return
        if row.is_pipeline and row.pipeline is not None:
            read_in_background(self, row.pipeline.current_run, lambda run: self._open(row, run))
        else:
            self._open(row, RunDirectory(row.path))

    def _open(self, row: RunRow, run: RunDirectory | None) -> None:
        if run is None or not run.exists():
            self.notify(text("pipeline.not_begun", part=row.name), severity="warning", markup=False)
        else:
            self.cockpit.open_run(run.path)

    def action_fold(self) -> None:
        """Show or hide the parts of a pipeline."""
        row = self.query_one(RunTable).current
        if row is None or row.pipeline is None:
            return
        whole = next(each for each in self._rows if each.path == row.pipeline.path)
        self._folds[whole.path] = not self._is_folded(whole)
        self.query_one(RunTable).select(whole.path)
        self._draw()

    def _is_folded(self, row: RunRow) -> bool:
        return self._folds.get(row.path, row.state is RunState.FINISHED)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A reward model gives numbers, the others talk; folding is for pipelines."""
        if action == "fold":
            return any(row.is_pipeline for row in self._rows)
        if action in ("chat", "score"):
            row = self.query_one(RunTable).current if self.is_mounted else None
            return (action == "score") == (row is not None and row.gives_numbers)
        return True

    def action_chat(self) -> None:
        """Talk to its newest checkpoint; of a pipeline to that of its last part that talks."""
        self._open_model(self.cockpit.open_chat)

    def action_score(self) -> None:
        """Let its newest checkpoint score answers."""
        self._open_model(self.cockpit.open_score)

    def _open_model(self, door: Callable[[Path | None, Path | None], None]) -> None:
        row = self._row_with_checkpoint()
        if row is None:
            return
        whole = row.pipeline if row.is_pipeline else None
        if whole is None:
            door(None, row.path)
            return

        def take(result: RunDirectory | None) -> None:
            door(None, row.path if result is None else result.path)

        read_in_background(self, lambda: whole.result_run(scores=row.gives_numbers), take)

    def _row_with_checkpoint(self) -> RunRow | None:
        row = self.query_one(RunTable).current
        if row is not None and not row.checkpoints:
            self.notify(text("runs.nothing_to_chat", run=row.name), severity="warning", markup=False)
            return None
        return row

    def action_resume(self) -> None:
        """Let the trainer go on from the newest checkpoint; of a pipeline and its parts, the whole."""
        row = self.query_one(RunTable).current
        if row is not None and (whole := row.pipeline) is not None:
            self._try(lambda: launch_pipeline(whole), text("pipeline.resumed", name=whole.name))
        elif row is not None:
            self._try(lambda: launch(RunDirectory(row.path), resume=True), text("runs.resumed", run=row.name))

    def action_stop(self) -> None:
        """Ask the trainer to save and leave; of a pipeline and its parts, no further part begins."""
        row = self.query_one(RunTable).current
        if row is None:
            return
        if row.pipeline is not None:
            self._stop_pipeline(row.pipeline)
            return
        if not row.alive:
            self.notify(text("runs.not_alive", run=row.name), severity="warning", markup=False)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._try(lambda: RunDirectory(row.path).send("stop", save=True), text("runs.stopping", run=row.name))

        question = text("runs.stop_question", run=row.name, step=row.step, total=row.total_steps)
        self.app.push_screen(Confirmation(text("runs.stop_title"), question), answered)

    def _stop_pipeline(self, pipeline: Pipeline) -> None:
        read_in_background(self, pipeline.standing, lambda standing: self._ask_to_stop(pipeline, standing))

    def _ask_to_stop(self, pipeline: Pipeline, standing: Standing) -> None:
        if not (standing.is_led or standing.state.alive):
            self.notify(text("runs.not_alive", run=pipeline.name), severity="warning", markup=False)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._try(lambda: stop_pipeline(pipeline), text("pipeline.stopping", name=pipeline.name))

        stands = long_standing(pipeline, standing)
        question = text("pipeline.stop_question", name=pipeline.name, stands=stands)
        self.app.push_screen(Confirmation(text("runs.stop_title"), question), answered)

    def action_delete(self) -> None:
        """Remove the run with its checkpoints, after a question; a pipeline with the runs of all its parts."""
        row = self.query_one(RunTable).current
        if row is None or not row.has_begun:
            return
        if row.alive:
            self.notify(text("runs.delete_alive", run=row.name), severity="warning", markup=False)
            return

        def answered(yes: bool | None) -> None:
            if yes and row.is_pipeline and row.pipeline is not None:
                whole = row.pipeline
                self._try(lambda: delete_pipeline(whole), text("pipeline.deleted", name=row.name))
            elif yes:
                self._try(lambda: delete_run(RunDirectory(row.path)), text("runs.deleted", run=row.name))

        question = text("runs.delete_question", run=row.name, checkpoints=row.checkpoints, path=row.path)
        if row.is_pipeline and row.pipeline is not None:
            parts = [each for each in self._rows if each.pipeline == row.pipeline and each.number and each.has_begun]
            names = ", ".join(each.name for each in parts) or "–"
            question = text("pipeline.delete_question", name=row.name, runs=names, checkpoints=row.checkpoints)
        elif row.pipeline is not None:
            count, name = len(row.pipeline.parts), row.pipeline.name
            note = text("pipeline.part_of_pipeline", run=row.name, number=row.number, count=count, name=name)
            question = f"{note}\n{question}"
        self.app.push_screen(Confirmation(text("runs.delete_title"), question), answered)

    def action_verify(self) -> None:
        """Read every byte of its checkpoints."""
        row = self.query_one(RunTable).current
        if row is not None and row.is_pipeline:
            self.notify(text("pipeline.verify_parts"), severity="warning", markup=False)
        elif row is not None and row.has_begun:
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
