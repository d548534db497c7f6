"""The page before a pipeline starts: every part with what was found about it and the memory that it needs.

Enter starts it in the background; errors keep it from that. The parts are edited in their file, not here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from trainer.config import Finding, Hardware, check, resolve
from trainer.config.pipeline import Part, pipeline_description, read_pipeline
from trainer.errors import UserError
from trainer.run.directory import free_run_name
from trainer.run.leading import delete_pipeline, launch_pipeline
from trainer.run.pipeline import Pipeline, create_pipeline
from tui.forms.explain import finding_text
from tui.forms.outlook import Outlook
from tui.forms.outlook_texts import verdict_text
from tui.forms.parts_ahead import PartAhead, parts_ahead
from tui.forms.preflight import DataSize, ask_preflight, size_of_findings
from tui.inspect_client import InspectClient
from tui.locale import text
from tui.pipeline_texts import standing_note
from tui.screens.base import CockpitScreen
from tui.screens.preset_dialogs import TomlDialog
from tui.themes import role_style
from tui.widgets.field_help import SIGNS
from tui.widgets.wrapping import printable

FIRST_PART_SECONDS = 30.0
"""What leads the parts needs a moment until the first one has a run to look at."""


def open_pipeline_review(app: App[Any], file: Path) -> None:
    """The page of a pipeline's file as it stands; from there one key starts it."""
    try:
        parts, description = read_pipeline(file), pipeline_description(file)
    except UserError as error:
        app.notify(str(error), severity="error", markup=False)
        return
    app.push_screen(PipelineReviewScreen(file, parts, description))


class PipelineReviewScreen(CockpitScreen):
    """Shown over Presets; Escape goes back."""

    area: ClassVar[str] = "presets"
    CSS_PATH = "../theme/setup.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "setup.key_start", id="pipeline_review.start"),
        Binding("escape,left,h,backspace", "back", "setup.key_back", id="pipeline_review.back"),
        Binding("e", "show_toml", "presets.key_toml", id="pipeline_review.toml"),
        Binding("j,down", "scroll(1)", "setup.key_down", show=False, id="pipeline_review.down"),
        Binding("k,up", "scroll(-1)", "setup.key_up", show=False, id="pipeline_review.up"),
    ]

    def __init__(self, file: Path, parts: Sequence[Part], description: str) -> None:
        super().__init__()
        self._file = file
        self._description = description
        self._parts = tuple(parts)
        self._ahead = parts_ahead(parts)
        self._findings: dict[int, tuple[Finding, ...]] = {}
        self._fits: dict[int, Outlook | str] = {}
        self._inspect = InspectClient()
        self._checked = False
        self._starting = False

    def compose_body(self) -> ComposeResult:
        """The page, and the line that answers the start key."""
        with VerticalScroll(id="review-scroll"):
            yield Static(id="review-words", markup=False)
        yield Static(id="review-answer", markup=False)

    def on_mount(self) -> None:
        """Show at once what is known, and look at models and data meanwhile, then at the memory."""
        self.query_one("#review-scroll").focus()
        self.run_worker(self._check(), group="review-check", exclusive=True, exit_on_error=False)
        self.relabel()

    def on_unmount(self) -> None:
        """The worker ends with the page."""
        self._inspect.worker.close()

    def relabel(self) -> None:
        """Draw the page again."""
        page = Text()
        page.append(printable(self._description) + "\n\n")
        for ahead in self._ahead:
            self._add_part(page, ahead)
        page.append(text("pipeline.edit_hint", file=self._file), role_style(self.app, "muted"))
        self.query_one("#review-words", Static).update(page)
        self.refresh_bindings()
        errors = self._errors
        if self._starting:
            self._answer(text("setup.review_starting"))
        elif errors:
            self._answer(text("pipeline.review_errors", count=errors), bad=True)
        elif not self._checked:
            self._answer(text("setup.review_checking"))
        else:
            self._answer(text("setup.review_ready", folder=free_run_name(self._file.stem)))

    @property
    def _errors(self) -> int:
        found = [finding.severity for each in self._findings.values() for finding in each]
        return found.count("error") + sum(bool(ahead.problem) for ahead in self._ahead)

    def _add_part(self, page: Text, ahead: PartAhead) -> None:
        page.append(ahead.heading + "\n", role_style(self.app, "primary", bold=True))
        if ahead.note:
            page.append(f"{ahead.note}\n", role_style(self.app, "muted"))
        if ahead.problem:
            page.append(f"{SIGNS['error']} {ahead.problem}\n", role_style(self.app, "error"))
        for finding in self._findings.get(ahead.number, ()):
            role = {"error": "error", "warning": "warning"}.get(finding.severity, "muted")
            page.append(f"{SIGNS.get(finding.severity, SIGNS['info'])} ", role_style(self.app, role))
            page.append(f"{finding_text(finding)}\n", role_style(self.app, role))
        fit = self._fits.get(ahead.number)
        if fit is not None:
            words = verdict_text(fit) if isinstance(fit, Outlook) else fit
            bad = isinstance(fit, Outlook) and fit.verdict == "no"
            page.append(f"{text('pipeline.memory')}  ", role_style(self.app, "muted"))
            page.append(f"{words}\n", role_style(self.app, "error" if bad else "foreground"))
        elif ahead.recipe is not None:
            page.append(f"{text('pipeline.memory')}  …\n", role_style(self.app, "muted"))
        page.append("\n")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that do something now are offered."""
        if action == "start":
            return self._checked and not self._errors and not self._starting
        return super().check_action(action, parameters)

    # checking and starting

    async def _check(self) -> None:
        hardware = Hardware.detect()
        sizes: dict[int, DataSize] = {}
        for ahead in self._ahead:
            if ahead.recipe is None:
                continue
            found = await ask_preflight(ahead.recipe.tables())
            sizes[ahead.number] = size_of_findings(found)
            self._findings[ahead.number] = ahead.that_hold((*check(ahead.recipe, hardware), *(found or ())))
            self.relabel()
        self._checked = True
        self.relabel()
        if not self._errors:
            self.run_worker(lambda: self._estimate(sizes), thread=True, group="estimate", exit_on_error=False)

    def _estimate(self, sizes: dict[int, DataSize]) -> None:
        """In a thread: the memory of each part, one after the other."""
        for ahead in self._ahead:
            if ahead.recipe is None:
                continue
            recipe = resolve(ahead.recipe, Hardware.detect()).recipe.model_dump(mode="json", exclude_none=True)
            length = sizes.get(ahead.number, DataSize()).longest

            def told(fit: Outlook | str, number: int = ahead.number) -> None:
                self.app.call_from_thread(self._take_fit, number, fit)

            try:
                self._inspect.ask(recipe, length, told)
            except UserError as error:
                if not self.is_mounted:
                    return
                told(" ".join(str(error).split()))

    def _take_fit(self, number: int, fit: Outlook | str) -> None:
        if self.is_mounted:
            self._fits[number] = fit
            self.relabel()

    def action_start(self) -> None:
        """Start it in the background, and open the dashboard of its first part."""
        self._starting = True
        self.relabel()
        self.run_worker(self._start, thread=True, group="start", exclusive=True, exit_on_error=False)

    def _start(self) -> Path:
        """Make the pipeline, start what leads it, wait for the first run. In a thread. Raises: UserError."""
        pipeline = create_pipeline(free_run_name(self._file.stem), self._parts, source=str(self._file.resolve()))
        try:
            launch_pipeline(pipeline)
        except UserError:
            delete_pipeline(pipeline)
            raise
        return first_run(pipeline)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Open the dashboard of the first part, or say why it was not started."""
        if event.worker.group != "start":
            return
        if event.state is WorkerState.SUCCESS and isinstance(event.worker.result, Path):
            path = event.worker.result
            self.dismiss()
            self.cockpit.open_run(path)
        elif event.state is WorkerState.ERROR:
            self._starting = False
            self.relabel()
            self._answer(str(event.worker.error), bad=True)

    def action_back(self) -> None:
        """Back to the list; nothing was started."""
        if not self._starting:
            self.dismiss()

    def action_show_toml(self) -> None:
        """Read the file."""
        try:
            content = self._file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.app.push_screen(TomlDialog(str(self._file), content))

    def action_scroll(self, lines: int) -> None:
        """Some lines down or up."""
        self.query_one("#review-scroll").scroll_relative(y=lines, animate=False)

    def _answer(self, words: str, *, bad: bool = False) -> None:
        line = self.query_one("#review-answer", Static)
        line.update(words)
        line.set_class(bad, "-bad")


def first_run(pipeline: Pipeline) -> Path:
    """The run of the first part, as soon as it is there. Raises: UserError when it never comes."""
    end = time.monotonic() + FIRST_PART_SECONDS
    while time.monotonic() < end:
        if runs := pipeline.runs():
            return runs[0].path
        if not pipeline.is_led():
            break
        time.sleep(0.1)
    note = standing_note(pipeline, pipeline.standing())
    raise UserError(note or text("pipeline.no_part_yet", name=pipeline.name), file=pipeline.log_file)
