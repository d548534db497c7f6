"""Follows a run in a plain terminal: a live Rich view, or lines where there is no terminal. Never touches the run.

Not the cockpit's dashboard: `tui/screens/dashboard.py`. Leaving the view (Ctrl-C) leaves the run alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trainer.run import RunDirectory, RunReader, RunState, list_checkpoints
from tui.commands.output import harmless, on_terminal
from tui.commands.progress import Progress, numbers, progress_line, progress_of
from tui.locale import text
from tui.localized import localized

EXIT_CODES = {RunState.FINISHED: 0, RunState.FAILED: 1, RunState.LOST: 1, RunState.STOPPED: 3}
INTERRUPTED_EXIT = 130
_POLL_SECONDS = 0.25
_LINE_SECONDS = 2.0
_LOG_LINES = 8
# The others, findings and the end, are told on their own.
_MARK_KINDS = {"checkpoint", "command", "resume", "nan"}
_STATE_STYLES = {
    RunState.RUNNING: "green",
    RunState.FINISHED: "green",
    RunState.EVALUATING: "cyan",
    RunState.SAVING: "cyan",
    RunState.PAUSED: "yellow",
    RunState.STALLED: "yellow",
    RunState.STOPPED: "yellow",
    RunState.FAILED: "red",
    RunState.LOST: "red",
}


def follow(run: RunDirectory, *, from_start: bool = False, whole: str = "") -> int:
    """Show the run until it ends, and return the exit code that tells how it ended; 130 when left with Ctrl-C.

    With `from_start` what happened before the view opened is told too. `whole` is the pipeline that the run is a part
    of: what can be done is said of that.
    """
    view: PlainView | RichView = RichView() if on_terminal() else PlainView()
    reader = RunReader(run)
    news = News(reader)
    try:
        with view.opened():
            while not reader.complete:
                reader.poll()
            if not from_start:
                news.skip()
            while True:
                progress = progress_of(run, reader)
                view.show(progress, list(news.lines()))
                if progress.ended:
                    # What was written between the last look at the file and the end of the process.
                    if reader.poll():
                        continue
                    break
                time.sleep(_POLL_SECONDS)
                reader.poll()
    except KeyboardInterrupt:
        print(text("command_line.run_goes_on", name=whole or run.name))
        return INTERRUPTED_EXIT
    _print_end(run, reader, progress, hints=not whole)
    return EXIT_CODES.get(progress.state, 1)


class News:
    """What happened in a run since the last question, as lines: findings, checkpoints, commands, evaluations."""

    def __init__(self, reader: RunReader) -> None:
        self._reader = reader
        self._marks = 0
        self._findings = 0
        self._evaluated: int | None = None

    def skip(self) -> None:
        """Forget what has happened until now."""
        for _ in self.lines():
            pass

    def lines(self) -> Iterator[str]:
        """The new lines, oldest first within each kind."""
        marks, findings = list(self._reader.marks), list(self._reader.findings)
        # After a resume the reader drops what was undone, and the lists get shorter.
        self._marks, self._findings = min(self._marks, len(marks)), min(self._findings, len(findings))
        for finding in findings[self._findings :]:
            severity = text(f"command_line.severity_{finding.severity}")
            yield f"{severity}: {' '.join(localized(finding.id, finding.values, finding.text).split())}"
        for mark in marks[self._marks :]:
            if mark.kind not in _MARK_KINDS:
                continue
            said = text(f"command_line.mark_{mark.kind}", text=" ".join(mark.text.split()))
            yield text("command_line.mark", step=mark.step, text=said)
        self._marks, self._findings = len(marks), len(findings)
        newest = {
            name: series for name, series in self._reader.measured_by_evaluations().items() if series.last is not None
        }
        step = max((series.last_step or 0 for series in newest.values()), default=None)
        if step is not None and (self._evaluated is None or step > self._evaluated):
            values = "  ".join(
                f"{name} {series.last:.4g}" for name, series in newest.items() if series.last_step == step
            )
            yield text("command_line.evaluated", step=step, values=values)
        self._evaluated = step


class PlainView:
    """Lines for pipes and files: one when something happens, and one every two seconds while steps go by."""

    def __init__(self) -> None:
        self._shown: tuple[RunState, str, int] | None = None
        self._time = 0.0

    def opened(self) -> AbstractContextManager[object]:
        """Nothing to open."""
        return nullcontext()

    def show(self, progress: Progress, news: list[str]) -> None:
        """Print what is new."""
        for line in news:
            print(harmless(line))
        current = (progress.state, progress.message, progress.step)
        if current != self._shown:
            busy = self._shown is not None and current[:2] == self._shown[:2]
            if not busy or time.monotonic() - self._time >= _LINE_SECONDS or progress.step == progress.total_steps:
                line = progress_line(progress)
                told = not progress.step or progress.state is RunState.EVALUATING
                detail = progress.message if told and not progress.ended else ""
                print(harmless(f"{line}  {detail}".rstrip()))
                self._shown, self._time = current, time.monotonic()
        sys.stdout.flush()


class RichView:
    """A few lines that are redrawn in place when they changed; what happened scrolls away above them."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False)
        self._shown: Progress | None = None

    def opened(self) -> AbstractContextManager[object]:
        """The live area, with the terminal restored at its end."""
        return self._live

    def show(self, progress: Progress, news: list[str]) -> None:
        """Redraw what changed."""
        for line in news:
            self._console.print(Text(harmless(line), style="dim"))
        if progress != self._shown or news:
            self._live.update(self._picture(progress), refresh=True)
            self._shown = progress

    def _picture(self, progress: Progress) -> RenderableType:
        state = text(f"command_line.state_{progress.state.value}")
        detail = harmless(progress.message) if progress.message and not progress.ended else ""
        head = Text.assemble(
            (progress.name, "bold"),
            "  ",
            (state, _STATE_STYLES.get(progress.state, "")),
            f"  {detail}" if detail else "",
        )
        figures = Text("   ").join(Text.assemble((f"{label} ", "dim"), value) for label, value in numbers(progress))
        parts: list[RenderableType] = [head, _bar(progress), figures]
        if not progress.ended:
            parts.append(Text(text("command_line.leave_hint"), style="dim"))
        return Group(*parts)


def _bar(progress: Progress) -> RenderableType:
    done, total = progress.step, progress.total_steps
    if progress.state is RunState.PREPARING and progress.total_rows:
        done, total = progress.rows, max(progress.rows, progress.total_rows)
    count = f"{done}/{total}" if total else str(done)
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True)
    row.add_row(ProgressBar(total=total or 1, completed=min(done, total or 0)), count)
    return row


def _print_end(run: RunDirectory, reader: RunReader, progress: Progress, *, hints: bool) -> None:
    state = text(f"command_line.state_{progress.state.value}")
    end = reader.end
    told = (localized(end.id, end.values, end.text) if end else "") or progress.message
    said = harmless(" ".join(told.split()))
    print(text("command_line.ended", name=run.name, state=state, step=progress.step) + (f": {said}" if said else ""))
    if progress.state in (RunState.FAILED, RunState.LOST):
        for line in reader.log_tail(_LOG_LINES):
            if not said or said not in " ".join(line.split()):  # once is enough
                print(f"  | {harmless(line)}")
        print(text("command_line.see_log", file=run.log_file))
    if not hints:
        return
    if progress.state in (RunState.FAILED, RunState.LOST):
        resumable = progress.state is RunState.LOST or bool(list_checkpoints(run.checkpoints_folder))
        print(text("command_line.go_on_with" if resumable else "command_line.start_anew", name=run.name))
    elif progress.state is RunState.STOPPED:
        print(text("command_line.go_on_with", name=run.name))
    elif progress.last_checkpoint:
        scores = run.recipe().method.stage == "rm"
        print(text("command_line.score_with" if scores else "command_line.chat_with", name=run.name))
