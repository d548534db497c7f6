"""The page between Setup and the start: what differs from the preset, what was chosen automatically, what is wrong.

Enter makes the run directory and starts the background process; errors keep it from that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from trainer.config import Hardware, load_preset
from trainer.errors import UserError
from trainer.run import RunDirectory, create_run, launch, run_place
from tui.forms.entry import EntryError
from tui.forms.model import FormModel
from tui.forms.preflight import ask_preflight, rows_of_findings
from tui.forms.run_names import next_run_folder
from tui.forms.summary import command_line
from tui.locale import text
from tui.screens.base import CockpitScreen
from tui.screens.model_dialogs import ask_consent, wants_consent
from tui.widgets.review_page import ReviewPage


def open_review(app: App[Any], preset: str) -> None:
    """The review page of a preset as it stands; from there one key starts it."""
    try:
        model = FormModel(Hardware.detect(), load_preset(preset))
    except UserError as error:
        app.notify(str(error), severity="error", markup=False)
        return
    app.push_screen(ReviewScreen(model))


class ReviewScreen(CockpitScreen):
    """Shown over Setup; Escape goes back to the form."""

    area: ClassVar[str] = "setup"
    CSS_PATH = "../theme/setup.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "setup.key_start", id="review.start"),
        Binding("escape,left,h,backspace", "back", "setup.key_back", id="review.back"),
        Binding("f", "fix", "setup.key_fix", id="review.fix"),
        Binding("t", "trust", "setup.key_trust", id="review.trust"),
        Binding("j,down", "scroll(1)", "setup.key_down", show=False, id="review.down"),
        Binding("k,up", "scroll(-1)", "setup.key_up", show=False, id="review.up"),
    ]

    def __init__(self, model: FormModel, *, rows: int | None = None) -> None:
        super().__init__()
        self.model = model
        self._rows = rows
        self._checking = True
        self._start_asked = False
        self._starting = False

    def compose_body(self) -> ComposeResult:
        """The page, and the line that answers the start key."""
        with VerticalScroll(id="review-scroll"):
            yield ReviewPage(id="review-words")
        yield Static(id="review-answer", markup=False)

    def on_mount(self) -> None:
        """Show at once what is known, and look at model and data meanwhile."""
        self.query_one("#review-scroll").focus()
        self.run_worker(self._check(), group="review-check", exclusive=True, exit_on_error=False)
        self.relabel()

    def on_resize(self) -> None:
        """Columns follow the width."""
        self.relabel()

    def relabel(self) -> None:
        """Draw the page again."""
        self.query_one(ReviewPage).show(self.model, self._rows)
        self.refresh_bindings()
        errors = len(self.model.errors)
        if self._starting:
            self._answer(text("setup.review_starting"))
        elif errors:
            fixable = bool(self.model.proposed_changes())
            self._answer(text("setup.review_errors_fix" if fixable else "setup.review_errors", count=errors), bad=True)
        elif self._checking:
            self._answer(text("setup.review_start_waits" if self._start_asked else "setup.review_checking"))
        else:
            self._answer(text("setup.review_ready", folder=next_run_folder(self.model).name))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that do something now are offered."""
        if action == "fix":
            return bool(self.model.proposed_changes())
        if action == "trust":
            return wants_consent(self.model)
        if action == "start":
            return not self.model.errors and not self._starting
        return super().check_action(action, parameters)

    # checking and starting

    async def _check(self) -> None:
        findings = await ask_preflight(self.model.values())
        if findings is not None:
            self._rows = rows_of_findings(findings)
            self.model.outside_findings = tuple(one for one in findings if one.severity != "info" or one.fields)
        self._checking = False
        self.relabel()
        if self._start_asked:
            self._start_asked = False
            self.action_start()

    def action_start(self) -> None:
        """Start, unless errors stand against it; while the check is going, as soon as it has found nothing."""
        if self._starting or self.model.errors:
            self.relabel()
        elif self._checking:
            self._start_asked = True
            self.relabel()
        else:
            self._starting = True
            self.relabel()
            self.run_worker(self._start, thread=True, group="start", exclusive=True, exit_on_error=False)

    def _start(self) -> RunDirectory:
        """Make the run directory and start the trainer. Runs in a thread: a slow disk must not hold the keys up."""
        model = self.model
        folder, name = run_place(model.recipe)
        run = create_run(
            model.preset.name if model.preset else "run",
            model.resolved,
            name=name,
            folder=folder,
            extra_identity={
                "command": command_line(model),
                "preset_path": str(model.preset.path.resolve()) if model.preset else "",
            },
        )
        launch(run)
        return run

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Open the dashboard of the run that was started, or say why it was not."""
        if event.worker.group != "start":
            return
        if event.state is WorkerState.SUCCESS and isinstance(event.worker.result, RunDirectory):
            path: Path = event.worker.result.path
            self.dismiss()
            self.cockpit.open_run(path)
        elif event.state is WorkerState.ERROR:
            self._starting = False
            error = event.worker.error
            if not isinstance(error, UserError):
                self.log.error(error)
            self._answer(str(error) or type(error).__name__, bad=True)

    def action_back(self) -> None:
        """Back to the form; nothing was started."""
        if not self._starting:
            self.dismiss()

    def action_fix(self) -> None:
        """Make the changes that the findings propose, as one step of undo, and look at model and data again."""
        try:
            self.model.set_many(self.model.proposed_changes())
        except EntryError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._look_again()

    def action_trust(self) -> None:
        """Look at the code that is to be run, and agree to it."""

        def agreed(change: dict[str, object]) -> None:
            self.model.set_many(change)
            self._look_again()

        ask_consent(self.app, self.model, agreed)

    def _look_again(self) -> None:
        self._checking = True
        self.run_worker(self._check(), group="review-check", exclusive=True, exit_on_error=False)
        self.relabel()

    def action_scroll(self, lines: int) -> None:
        """Some lines down or up."""
        self.query_one("#review-scroll").scroll_relative(y=lines, animate=False)

    def _answer(self, words: str, *, bad: bool = False) -> None:
        line = self.query_one("#review-answer", Static)
        line.update(words)
        line.set_class(bad, "-bad")
