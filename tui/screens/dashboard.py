"""The dashboard: the curves of one run, its machine, samples and events, and the keys that steer it while it goes.

Shows snapshots that the feed has taken from the run directory and drops commands into it. Knows nothing else of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static

from tui import run_recipe
from tui.locale import text
from tui.screens import dashboard_texts as texts
from tui.screens.base import CockpitScreen
from tui.screens.dashboard_controls import Controls
from tui.screens.dashboard_parts import Parts
from tui.widgets.chart import SMOOTHINGS, Chart, moved, zoomed
from tui.widgets.chart_picture import Window
from tui.widgets.curve_board import CurveBoard
from tui.widgets.dialogs import ChoiceDialog
from tui.widgets.gauge import MachinePane
from tui.widgets.lines_pane import LinesPane
from tui.widgets.parts_strip import PartsStrip
from tui.widgets.rows import RowsWidget
from tui.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from tui.run_feed import RunSnapshot

_LOWER = ("events", "log", "samples")


class DashboardScreen(CockpitScreen):
    """One run, live."""

    area = "dashboard"
    CSS_PATH = "../theme/dashboard.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny-width"), (60, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-tiny-height"), (15, "-short"), (21, "-low"), (32, "-high"), (38, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "demo", "dashboard.key_demo", id="dashboard.demo"),
        Binding("p", "pause", "dashboard.key_pause", id="dashboard.pause"),
        Binding("p", "go_on", "dashboard.key_go_on", id="dashboard.go_on"),
        Binding("c", "chat", "dashboard.key_chat", id="dashboard.chat"),
        Binding("c", "score", "dashboard.key_score", id="dashboard.score"),
        Binding("R", "resume", "dashboard.key_resume", id="dashboard.resume"),
        Binding("r", "learning_rate", "dashboard.key_learning_rate", id="dashboard.learning_rate"),
        Binding("x", "stop", "dashboard.key_stop", id="dashboard.stop"),
        Binding("w", "save", "dashboard.key_save", id="dashboard.save"),
        Binding("e", "evaluate", "dashboard.key_evaluate", id="dashboard.evaluate"),
        Binding("g", "sample", "dashboard.key_sample", id="dashboard.sample"),
        Binding("n", "note", "dashboard.key_note", show=False, id="dashboard.note"),
        Binding("l", "lower", "dashboard.key_lower", id="dashboard.lower"),
        Binding("m", "curve", "dashboard.key_curve", id="dashboard.curve"),
        Binding("s", "smoothing", "dashboard.key_smoothing", id="dashboard.smoothing"),
        Binding("y", "log_scale", "dashboard.key_log_scale", show=False, id="dashboard.log_scale"),
        Binding("z", "maximise", "dashboard.key_maximise", id="dashboard.maximise"),
        Binding("left", "cursor(-1)", "dashboard.key_cursor_left", show=False, id="dashboard.cursor_left"),
        Binding("right", "cursor(1)", "dashboard.key_cursor_right", show=False, id="dashboard.cursor_right"),
        Binding("shift+left", "cursor(-10)", "dashboard.key_cursor_far_left", show=False, id="dashboard.far_left"),
        Binding("shift+right", "cursor(10)", "dashboard.key_cursor_far_right", show=False, id="dashboard.far_right"),
        Binding("right_square_bracket", "zoom(0.5)", "dashboard.key_zoom_in", show=False, id="dashboard.zoom_in"),
        Binding("left_square_bracket", "zoom(2.0)", "dashboard.key_zoom_out", show=False, id="dashboard.zoom_out"),
        Binding("right_curly_bracket", "pan(0.25)", "dashboard.key_pan_right", show=False, id="dashboard.pan_right"),
        Binding("left_curly_bracket", "pan(-0.25)", "dashboard.key_pan_left", show=False, id="dashboard.pan_left"),
        Binding("less_than_sign", "part(-1)", "dashboard.key_part_before", show=False, id="dashboard.part_before"),
        Binding("greater_than_sign", "part(1)", "dashboard.key_part_after", id="dashboard.part_after"),
        Binding("0", "reset_view", "dashboard.key_reset", show=False, id="dashboard.reset"),
        Binding("escape", "back", "dashboard.key_back", show=False, id="dashboard.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._snapshot: RunSnapshot | None = None
        self._parts = Parts(self)
        self._controls = Controls(self, self._parts)
        self._lower = _LOWER[0]
        self._window: Window | None = None
        self._maximised: Widget | None = None

    def compose_body(self) -> ComposeResult:
        yield StatusLine(id="status")
        yield PartsStrip(id="parts")
        yield Static("", id="banner", markup=False)
        with Horizontal(id="main"):
            yield CurveBoard(id="curves")
            with Vertical(id="side"):
                yield MachinePane(id="machine")
                yield LinesPane("dashboard.findings", id="findings")
                yield LinesPane("dashboard.samples", newest_last=False, id="samples")
        yield MachinePane(id="machine-row")
        yield LinesPane("dashboard.events", id="lower")
        yield RowsWidget(id="summary")

    # Life of the screen

    def on_mount(self) -> None:
        """Nothing is known yet."""
        self.show_snapshot(None)

    def on_shown(self) -> None:
        """Another run may be in the foreground now."""
        run = self.cockpit.current_run
        if self._snapshot is not None and (run is None or self._snapshot.run.path != run.path):
            self._controls.forget()
            self._move_cursors(None)
            self._window = None
            self._set_windows()
            self.show_snapshot(None)
        self.ask_for_pictures()
        self.cockpit.feed.look_now()

    def on_chart_resized(self) -> None:
        """Pictures have the size of their charts."""
        self.ask_for_pictures()

    def relabel(self) -> None:
        """Set every text again."""
        for chart in self.board.charts:
            chart.relabel()
        for lines in self.query(LinesPane):
            lines.relabel()
        for machine in self.query(MachinePane):
            machine.relabel()
        self.query_one(StatusLine).relabel()
        self.show_snapshot(self._snapshot)

    @property
    def board(self) -> CurveBoard:
        """The charts."""
        return self.query_one(CurveBoard)

    @property
    def snapshot(self) -> RunSnapshot | None:
        """What is shown."""
        return self._snapshot

    # Showing

    def ask_for_pictures(self) -> None:
        """Tell the feed which pictures are wanted, at which size."""
        requests = {chart.curve: chart.request() for chart in self.board.charts} if self.is_current else {}
        wanted = {name: request for name, request in requests.items() if name and request is not None}
        self.cockpit.feed.set_requests(wanted)

    def show_snapshot(self, snapshot: RunSnapshot | None) -> None:
        """Show a new snapshot of the run in the foreground, or that there is none."""
        self._snapshot = snapshot
        with self.app.batch_update():
            self.query_one(StatusLine).show(snapshot)
            self._show_charts(snapshot)
            self._show_panes(snapshot)
            self._show_banner(snapshot)
            self.query_one("#summary", RowsWidget).set_rows(texts.summary(snapshot, self.size.width))
        if snapshot is not None:
            self._controls.answer(snapshot.results)
        self._parts.show(snapshot)
        self.refresh_bindings()

    def _show_charts(self, snapshot: RunSnapshot | None) -> None:
        board = self.board
        if snapshot is not None:
            before = [chart.curve for chart in board.charts]
            recipe = snapshot.run.recipe_file
            evaluates = run_recipe.evaluates(recipe) or bool(snapshot.evaluations)
            board.show_stage(run_recipe.stage(recipe), evaluates=evaluates, measured=snapshot.latest)
            if [chart.curve for chart in board.charts] != before:
                self.ask_for_pictures()
        for chart in board.charts:
            chart.set_empty_text(texts.empty_chart(snapshot, self.cockpit.current_run, main=chart is board.main))
            painted = snapshot.charts.get(chart.curve) if snapshot is not None else None
            if painted is None:
                if snapshot is None:
                    chart.show(None)
            elif painted.picture.request == chart.request():
                chart.show(painted.picture, last=painted.last, evaluation=painted.evaluation)

    def _show_panes(self, snapshot: RunSnapshot | None) -> None:
        telemetry = snapshot.telemetry if snapshot is not None else None
        self.query_one("#machine", MachinePane).show(telemetry, compact=False)
        self.query_one("#machine-row", MachinePane).show(telemetry, compact=True)
        samples = texts.sample_rows(snapshot)
        self.query_one("#samples", LinesPane).set_lines(samples, empty=texts.no_samples(snapshot))
        findings = self.query_one("#findings", LinesPane)
        rows = texts.finding_rows(snapshot)
        findings.display = bool(rows)
        findings.set_lines(rows)
        findings.styles.height = min(8, len(rows) * 2 + 1)
        lower = self.query_one("#lower", LinesPane)
        lower.set_title(f"dashboard.{self._lower}")
        if self._lower == "events":
            lower.set_lines(texts.event_rows(snapshot), empty=text("dashboard.no_events"))
        elif self._lower == "log":
            lower.set_lines(texts.log_rows(snapshot), empty=text("dashboard.no_log"))
        else:
            lower.set_lines(texts.sample_rows(snapshot, newest_last=True), empty=texts.no_samples(snapshot))

    def _show_banner(self, snapshot: RunSnapshot | None) -> None:
        line, mood = texts.banner(snapshot)
        banner = self.query_one("#banner", Static)
        if str(banner.content) != line:
            banner.update(line)
        for name in ("good", "bad", "calm"):
            banner.set_class(name == mood, name)
        self.set_class(bool(line), "-banner")

    # Keys that change the view

    def action_smoothing(self) -> None:
        """The next weight: 0, 0.6, 0.9, 0.97."""
        board = self.board
        board.set_smoothing(SMOOTHINGS[(SMOOTHINGS.index(board.smoothing) + 1) % len(SMOOTHINGS)])
        self.ask_for_pictures()

    def action_curve(self) -> None:
        """Choose the curve of the chart that has the focus, else of the large one."""
        snapshot = self._snapshot
        if snapshot is None:
            return
        board, chart = self.board, self._chosen_chart

        def apply(choice: str | None) -> None:
            if choice == texts.FIRST_CURVES:
                board.put_back()
            elif choice:
                board.put(chart, choice)
            self._show_charts(snapshot)
            self.ask_for_pictures()

        choices = texts.curve_choices(snapshot, put_back=board.is_changed)
        dialog = ChoiceDialog(
            text("dashboard.curve_title"), text("dashboard.curve_explained"), choices, initial=chart.curve
        )
        self.app.push_screen(dialog, apply)

    @property
    def _chosen_chart(self) -> Chart:
        return self.focused if isinstance(self.focused, Chart) else self.board.main

    def action_log_scale(self) -> None:
        """Linear or logarithmic, for the chart that has the focus, else for the loss."""
        chart = self._chosen_chart
        chart.log_scale = not chart.log_scale
        self.ask_for_pictures()

    def action_zoom(self, factor: float) -> None:
        """All charts show half as many steps, or twice as many."""
        step = self._snapshot.step if self._snapshot is not None else 0
        self._window = zoomed(self._window, factor, step, self.board.main.cursor)
        self._set_windows()

    def action_pan(self, share: float) -> None:
        """Move the window; at the right end it follows the run again."""
        self._window = moved(self._window, share, self._snapshot.step if self._snapshot is not None else 0)
        self._set_windows()

    def action_reset_view(self) -> None:
        """The whole run, no cursor."""
        self._window = None
        self._move_cursors(None)
        self._set_windows()

    def _set_windows(self) -> None:
        for chart in self.board.charts:
            chart.window = self._window
        self.ask_for_pictures()

    def action_cursor(self, by: int) -> None:
        """Move the cursor over the samples; it stands at the same step in all charts."""
        main = self.board.main
        steps = main.cursor_steps()
        if not steps:
            return
        if main.cursor is None:
            index = len(steps) - 1 if by < 0 else 0
        else:
            nearest = min(range(len(steps)), key=lambda place: abs(steps[place] - (main.cursor or 0)))
            index = max(0, min(len(steps) - 1, nearest + by))
        self._move_cursors(steps[index])

    def _move_cursors(self, step: float | None) -> None:
        for chart in self.board.charts:
            chart.move_cursor(step)

    def action_lower(self) -> None:
        """Events, log, samples in the pane below; on low screens it opens and closes."""
        low = self.has_class("-low") or self.has_class("-short")
        if low and not self.has_class("-expanded"):
            self.add_class("-expanded")
        else:
            kinds = _LOWER if self.has_class("-narrow") else _LOWER[:2]
            following = kinds.index(self._lower) + 1 if self._lower in kinds else 0
            self._lower = kinds[following % len(kinds)]
            if low and following == len(kinds):
                self.remove_class("-expanded")
        self.cockpit.feed.want_log = self._lower == "log"
        self.cockpit.feed.look_now()
        self._show_panes(self._snapshot)

    def action_maximise(self) -> None:
        """The focused pane, or the loss, takes the whole body; the same key gives it back."""
        if self._maximised is not None:
            self._set_maximised(None)
            return
        focused = self.focused if isinstance(self.focused, (Chart, LinesPane)) else self.board.main
        self._set_maximised(focused)

    def _set_maximised(self, pane: Widget | None) -> None:
        for widget in self.query(".-holds"):
            widget.remove_class("-holds")
        self._maximised = pane
        self.set_class(pane is not None, "-maximised")
        if pane is not None:
            for node in (pane, *pane.ancestors):
                if isinstance(node, Widget) and node.id != "body" and node is not self:
                    node.add_class("-holds")

    def action_back(self) -> None:
        """Escape: first the cursor goes, then the maximised pane, then the zoom, then the focus."""
        if self.board.main.cursor is not None:
            self._move_cursors(None)
        elif self._maximised is not None:
            self._set_maximised(None)
        elif self._window is not None:
            self.action_reset_view()
        else:
            self.set_focus(None)

    # Keys that steer the run

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that cannot do anything now are not offered."""
        return self._controls.is_possible(action, self._snapshot)

    def action_pause(self) -> None:
        """Wait, with everything kept in memory."""
        self._controls.send("pause")

    def action_go_on(self) -> None:
        """End the pause."""
        self._controls.send("resume")

    def action_save(self) -> None:
        """A checkpoint now."""
        self._controls.send("save")

    def action_evaluate(self) -> None:
        """An evaluation now."""
        self._controls.send("evaluate")

    def action_sample(self) -> None:
        """Answers of the live weights to the sample prompts, or to one that is typed."""
        self._controls.sample(self._snapshot)

    def action_learning_rate(self) -> None:
        """Ask for a new learning rate."""
        self._controls.ask_learning_rate(self._snapshot)

    def action_stop(self) -> None:
        """Ask how to stop."""
        self._controls.ask_stop()

    def action_note(self) -> None:
        """Ask for a note."""
        self._controls.ask_note()

    def action_demo(self) -> None:
        """No run yet: the review page of the shipped demo, from where Enter trains it."""
        from tui.screens.review import open_review

        open_review(self.app, "demo")

    def action_resume(self) -> None:
        """Start the trainer again from the newest checkpoint."""
        self._controls.resume()

    def action_part(self, by: int) -> None:
        """The part of the pipeline before or after this one."""
        self._parts.change(by)

    def action_chat(self) -> None:
        """Chat with the newest checkpoint."""
        run = self.cockpit.current_run
        if run is not None:
            self.cockpit.open_chat(run=run.path)

    def action_score(self) -> None:
        """Let the newest checkpoint of a reward model score answers."""
        run = self.cockpit.current_run
        if run is not None:
            self.cockpit.open_score(run=run.path)
