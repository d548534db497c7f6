"""The live controls of the dashboard: which are possible now, their dialogs, sending them, telling what came of them.

Commands are files in the run directory; the answers come back through the journal like everything else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import UserError
from tui import run_recipe
from tui.locale import text
from tui.screens.dashboard_texts import verb_name
from tui.widgets.axes import short_number
from tui.widgets.dialogs import ChoiceDialog, LineDialog

if TYPE_CHECKING:
    from trainer.run import CommandResultEvent, RunDirectory
    from trainer.run.pipeline import Pipeline
    from tui.run_feed import RunSnapshot
    from tui.screens.dashboard import DashboardScreen
    from tui.screens.dashboard_parts import Parts

_LIVE = frozenset({"save", "evaluate", "sample", "learning_rate", "stop", "note"})
_HIGHEST_RATE = 10.0
_HIGHEST_SCALE = 1000.0


class Controls:
    """Sends commands to the run in the foreground and remembers which answers are for us."""

    def __init__(self, screen: DashboardScreen, parts: Parts) -> None:
        self._screen = screen
        self._parts = parts
        self._sent: dict[int, str] = {}

    def forget(self) -> None:
        """Another run is shown: answers of the old one are no longer awaited."""
        self._sent.clear()

    def is_possible(self, action: str, snapshot: RunSnapshot | None) -> bool:
        """Whether a key can do anything now; keys that cannot are not offered."""
        if action in ("pause", "go_on"):
            is_paused = snapshot is not None and snapshot.state.value == "paused"
            return snapshot is not None and snapshot.state.alive and is_paused == (action == "go_on")
        if action in _LIVE:
            return snapshot is not None and snapshot.state.alive and _has_a_use(action, snapshot.run.recipe_file)
        if action == "demo":
            return self._screen.cockpit.current_run is None
        if action == "part":
            return snapshot is not None and snapshot.part is not None
        if action == "resume" and snapshot is not None and snapshot.part is not None:
            return snapshot.part.standing.can_be_resumed
        if action == "resume":
            return snapshot is not None and not snapshot.state.alive and snapshot.state.value != "finished"
        if action in ("chat", "score"):
            if snapshot is None or not snapshot.checkpoints:
                return False
            return (action == "score") == (run_recipe.stage(snapshot.run.recipe_file) == "rm")
        return True

    # Commands

    def send(self, verb: str, **arguments: object) -> None:
        """Drop a command into the run directory, in a thread: the disk may be slow."""
        run = self._screen.cockpit.current_run
        if run is None:
            return

        def work() -> None:
            try:
                number = run.send(verb, **arguments)
            except (UserError, OSError) as error:
                self._tell_from_thread(str(error), "error")
            else:
                self._sent[number] = verb
                self._screen.cockpit.feed.look_now()

        self._screen.run_worker(work, thread=True, group="commands", exit_on_error=False)

    def answer(self, results: Sequence[CommandResultEvent]) -> None:
        """Tell what came of the commands that were sent from here."""
        for result in results:
            if self._sent.pop(result.number, None) is None:
                continue
            key = "dashboard.done" if result.accepted else "dashboard.refused"
            line = text(key, verb=verb_name(result.verb), text=result.text or text("dashboard.done_word"))
            self._tell(line, "information" if result.accepted else "warning")

    def ask_learning_rate(self, snapshot: RunSnapshot | None) -> None:
        """A number sets the peak of the schedule; `x0.5` scales the peak."""
        now = snapshot.latest.get("learning_rate") if snapshot is not None else None
        peak = _peak_rate(snapshot) if snapshot is not None else None

        def check(entry: str) -> tuple[bool, str]:
            try:
                name, value = parse_learning_rate(entry)
            except ValueError as error:
                return False, str(error)
            if name == "learning_rate":
                return True, text("dashboard.rate_peak", value=short_number(value))
            new_peak, new = _rounded(peak, value), _rounded(now, value)
            return True, text("dashboard.rate_scaled", scale=short_number(value), peak=new_peak, value=new)

        def apply(entry: str | None) -> None:
            if entry is not None:
                name, value = parse_learning_rate(entry)
                self.send("set", name=name, value=value)

        explanation = text("dashboard.rate_explained", value=_rounded(now), peak=_rounded(peak))
        self._screen.app.push_screen(LineDialog(text("dashboard.rate_title"), explanation, check), apply)

    def sample(self, snapshot: RunSnapshot | None) -> None:
        """Answers to the run's sample prompts; where it has none, one is asked for."""
        if snapshot is None or run_recipe.sample_prompts(snapshot.run.recipe_file):
            self.send("sample")
            return

        def apply(entry: str | None) -> None:
            if entry:
                self.send("sample", prompts=[entry.strip()])

        title, explanation = text("dashboard.sample_title"), text("dashboard.sample_explained")
        dialog = LineDialog(title, explanation, lambda entry: (bool(entry.strip()), ""))
        self._screen.app.push_screen(dialog, apply)

    def ask_stop(self) -> None:
        """Save and stop, stop without saving, or neither."""

        def apply(choice: str | None) -> None:
            if choice in ("save", "drop"):
                self._stop(save=choice == "save")

        choices = [(name, text(f"dashboard.stop_{name}")) for name in ("save", "drop", "cancel")]
        dialog = ChoiceDialog(text("dashboard.stop_title"), text("dashboard.stop_explained"), choices)
        self._screen.app.push_screen(dialog, apply)

    def ask_note(self) -> None:
        """A line that is kept with the run and marked on the charts."""

        def apply(entry: str | None) -> None:
            if entry:
                self.send("note", text=entry.strip())

        dialog = LineDialog(
            text("dashboard.note_title"), text("dashboard.note_explained"), lambda entry: (bool(entry.strip()), "")
        )
        self._screen.app.push_screen(dialog, apply)

    def _stop(self, *, save: bool) -> None:
        """Stop the run; of a part all of its pipeline, so that no other part begins."""
        snapshot = self._screen.snapshot
        part = snapshot.part if snapshot is not None else None
        if part is None or not part.standing.is_led:
            self.send("stop", save=save)
            return

        def work() -> None:
            from trainer.run.leading import stop_pipeline

            try:
                stop_pipeline(part.pipeline, save=save)
            except UserError as error:
                self._tell_from_thread(str(error), "error")
            else:
                self._tell_from_thread(text("pipeline.stopping", name=part.pipeline.name), "information")

        self._screen.run_worker(work, thread=True, group="commands", exit_on_error=False)

    def resume(self) -> None:
        """Start the trainer again; it goes on from its newest whole checkpoint. Of a part, its pipeline."""
        run, snapshot = self._screen.cockpit.current_run, self._screen.snapshot
        if snapshot is not None and snapshot.part is not None:
            pipeline = snapshot.part.pipeline
            self._parts.watch(snapshot)
            self._screen.run_worker(lambda: self._lead(pipeline), thread=True, group="commands", exit_on_error=False)
            return
        if run is not None:
            self._screen.run_worker(lambda: self._launch(run), thread=True, group="commands", exit_on_error=False)

    def _launch(self, run: RunDirectory) -> None:
        from trainer.run import launch

        try:
            launch(run, resume=True)
        except (UserError, OSError) as error:
            self._tell_from_thread(str(error), "error")
        else:
            self._tell_from_thread(text("dashboard.resuming", run=run.name), "information")
            self._screen.cockpit.feed.look_now()

    def _lead(self, pipeline: Pipeline) -> None:
        from trainer.run.leading import launch_pipeline

        try:
            launch_pipeline(pipeline)
        except UserError as error:
            self._tell_from_thread(str(error), "error")
        else:
            self._tell_from_thread(text("pipeline.resumed", name=pipeline.name), "information")
            self._screen.cockpit.feed.look_now()

    def _tell(self, line: str, severity: str) -> None:
        level = {"error": "error", "warning": "warning"}.get(severity, "information")
        self._screen.app.notify(line, severity=level, markup=False)  # type: ignore[arg-type]

    def _tell_from_thread(self, line: str, severity: str) -> None:
        tell: Callable[[str, str], None] = self._tell
        self._screen.app.call_from_thread(tell, line, severity)


def _has_a_use(action: str, recipe_file: Path) -> bool:
    """Whether a run can do this at all: a reward model writes nothing, and without rows there is no evaluation."""
    if action == "sample":
        return run_recipe.stage(recipe_file) != "rm"
    return action != "evaluate" or run_recipe.has_evaluation_rows(recipe_file)


def _peak_rate(snapshot: RunSnapshot) -> float | None:
    """The peak of the learning rate's schedule: what was set last, else the recipe's."""
    return snapshot.set_rate if snapshot.set_rate is not None else run_recipe.learning_rate(snapshot.run.recipe_file)


def _rounded(rate: float | None, factor: float = 1.0) -> str:
    return "-" if rate is None else short_number(float(f"{rate * factor:.3g}"))


def parse_learning_rate(entry: str) -> tuple[str, float]:
    """What a line means: ("learning_rate", value) or ("learning_rate_scale", factor) for `x0.5`, `*2`, `50%`.

    Raises:
        ValueError: with a sentence for the user.
    """
    line = entry.strip().lower().replace("×", "x")
    scaled = line.startswith(("x", "*")) or line.endswith("%")
    digits = line.strip("x*% ")
    try:
        value = float(digits)
    except ValueError:
        raise ValueError(text("dashboard.rate_wrong")) from None
    value = value / 100 if line.endswith("%") else value
    highest = _HIGHEST_SCALE if scaled else _HIGHEST_RATE
    if not math.isfinite(value) or not 0 < value <= highest:
        raise ValueError(text("dashboard.rate_range", highest=short_number(highest)))
    return ("learning_rate_scale" if scaled else "learning_rate"), value
