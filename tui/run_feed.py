"""Follows one run in a daemon thread and tells the app what changed. The only place of the cockpit that reads a run.

Everything slow happens here: reading events, looking at the machine, building pictures. The app gets frozen records.
A daemon thread, because a worker that sleeps would hold up the exit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textual.message import Message

from trainer.errors import UserError
from tui.chart_painter import ChartPainter, PaintedChart, newest_step
from tui.run_parts import PartOf, PartWatch
from tui.widgets.chart_picture import ChartRequest

if TYPE_CHECKING:
    from trainer.run import (
        CommandResultEvent,
        EndEvent,
        FindingEvent,
        Mark,
        RunDirectory,
        RunReader,
        RunState,
        SampleEvent,
        Status,
        Telemetry,
    )

POLL_SECONDS = 0.5
_MACHINE_SECONDS = 2.0
_CLOCK_SECONDS = 5.0
_LOG_LINES = 400
_RECENT_SPEEDS = 20
_NEWEST_EVALUATIONS = 200


@dataclass(frozen=True)
class RunSnapshot:
    """Everything that the screens show of a run at one moment. Times in seconds."""

    run: RunDirectory
    state: RunState
    status: Status | None = None
    complete: bool = False
    step: int = 0
    epoch: float = 0.0
    phase_text: str = ""
    total_steps: int | None = None
    latest: Mapping[str, float] = field(default_factory=dict)
    seconds_left: float | None = None
    elapsed: float | None = None
    telemetry: Telemetry | None = None
    marks: tuple[Mark, ...] = ()
    findings: tuple[FindingEvent, ...] = ()
    samples: tuple[SampleEvent, ...] = ()
    evaluations: tuple[tuple[int, Mapping[str, float]], ...] = ()
    """Step and figures of the newest evaluations, without those of their speed."""
    set_rate: float | None = None
    """The peak of the learning rate that was set last while the run went; None when nobody set one."""
    results: tuple[CommandResultEvent, ...] = ()
    end: EndEvent | None = None
    checkpoints: int = 0
    log: tuple[str, ...] = ()
    part: PartOf | None = None
    """Where the run stands in its pipeline; None for a run that is no part."""
    charts: Mapping[str, PaintedChart] = field(default_factory=dict)


class RunUpdated(Message):
    """A new snapshot; a newer one replaces it in the queue."""

    def __init__(self, snapshot: RunSnapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """A burst of snapshots becomes one."""
        return isinstance(message, RunUpdated)


class RunFeed:
    """The thread and what it is asked for. All methods may be called from the app's thread."""

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._wake = threading.Event()
        self._run: RunDirectory | None = None
        self._requests: dict[str, ChartRequest] = {}
        self._stopped = False
        self.want_log = False
        """The log tail is on the screen."""
        self.interval = POLL_SECONDS
        """Seconds between two looks; more while nobody looks at the terminal."""

    def start(self) -> None:
        """Start following."""
        threading.Thread(target=self._follow, name="run-feed", daemon=True).start()

    def stop(self) -> None:
        """End the thread soon."""
        self._stopped = True
        self._wake.set()

    def set_run(self, run: RunDirectory | None) -> None:
        """Follow this run from now on."""
        self._run = run
        self._wake.set()

    def set_requests(self, requests: dict[str, ChartRequest]) -> None:
        """The pictures that are wanted; built at once when the wish changed."""
        if requests != self._requests:
            self._requests = requests
            self._wake.set()

    def look_now(self) -> None:
        """Do not wait for the next turn."""
        self._wake.set()

    def _follow(self) -> None:
        follower: _Follower | None = None
        while not self._stopped:
            run = self._run
            if run is None:
                follower = None
            else:
                if follower is None or follower.run.path != run.path:
                    follower = _Follower(run)
                snapshot = follower.look(self._requests, self.want_log)
                if snapshot is not None and run is self._run:
                    self._post(RunUpdated(snapshot))
                if not follower.complete:
                    continue
            self._wake.wait(self.interval)
            self._wake.clear()


class _Follower:
    """The reader of one run with what is remembered between two looks."""

    def __init__(self, run: RunDirectory) -> None:
        from trainer.run import RunReader

        self.run = run
        self.complete = False
        self._reader: RunReader = RunReader(run)
        self._painter = ChartPainter()
        self._part = PartWatch(run)
        self._version = 0
        self._elapsed: tuple[int, float, float | None] = (-1, 0.0, None)
        self._machine: tuple[float, Telemetry | None] = (-_MACHINE_SECONDS, None)

    def look(self, requests: Mapping[str, ChartRequest], want_log: bool) -> RunSnapshot | None:
        """Read on and take a snapshot; None when the run has vanished or cannot be read now."""
        reader = self._reader
        try:
            if reader.poll():
                self._version += 1
            status = self.run.status()
            state = self.run.state()
        except (OSError, UserError):
            self.complete = True
            return None
        self.complete = reader.complete
        step = max(newest_step(reader), status.step if status is not None else 0)
        total = status.total_steps if status is not None and status.total_steps else None
        latest = {name: series.last for name, series in reader.series.items() if series.last is not None}
        return RunSnapshot(
            run=self.run,
            state=state,
            status=status,
            complete=reader.complete,
            step=step,
            epoch=reader.epoch,
            phase_text=reader.phase_text,
            total_steps=total,
            latest=latest,
            seconds_left=_seconds_left(reader, state, step, total),
            elapsed=self._steady_elapsed(status, state),
            telemetry=self._telemetry(state.alive),
            marks=tuple(reader.marks),
            findings=unique_findings(reader.findings),
            evaluations=_newest_evaluations(reader),
            set_rate=_set_rate(reader.command_results),
            samples=tuple(reader.samples)[-8:],
            results=tuple(reader.command_results)[-50:],
            end=reader.end,
            checkpoints=len(reader.checkpoint_events),
            log=tuple(reader.log_tail(_LOG_LINES)) if want_log else (),
            part=self._part.look(),
            charts=self._painter.paint(requests, reader, self._version, total),
        )

    def _steady_elapsed(self, status: Status | None, state: RunState) -> float | None:
        """The elapsed time moves on together with the other figures: one row sent instead of two."""
        now = time.monotonic()
        version, at, _ = self._elapsed
        if version != self._version or now - at >= _CLOCK_SECONDS or not state.alive:
            self._elapsed = (self._version, now, _elapsed(status, state))
        return self._elapsed[2]

    def _telemetry(self, alive: bool) -> Telemetry | None:
        """The trainer's own look while it lives, else ours: the machine goes on without a run."""
        if alive and self._reader.telemetry is not None:
            return self._reader.telemetry
        now = time.monotonic()
        if now - self._machine[0] >= _MACHINE_SECONDS:
            from trainer.run.telemetry import sample

            self._machine = (now, sample())
        return self._machine[1]


def unique_findings(findings: Sequence[FindingEvent]) -> tuple[FindingEvent, ...]:
    """Each finding once, where it was said first: a resumed run says again what it said before."""
    return tuple({(each.id, each.step, each.text): each for each in reversed(findings)}.values())[::-1]


def _newest_evaluations(reader: RunReader) -> tuple[tuple[int, Mapping[str, float]], ...]:
    found: dict[int, dict[str, float]] = {}
    for name, series in reader.measured_by_evaluations().items():
        for step, value in zip(*series.points(), strict=False):
            found.setdefault(step, {})[name] = value
    return tuple(sorted(found.items()))[-_NEWEST_EVALUATIONS:]


def _set_rate(results: Sequence[CommandResultEvent]) -> float | None:
    for result in reversed(results):
        if result.accepted and result.verb == "set" and result.arguments.get("name") == "learning_rate":
            value = result.arguments.get("value")
            return float(value) if isinstance(value, (int, float)) else None
    return None


def _seconds_left(reader: RunReader, state: RunState, step: int, total: int | None) -> float | None:
    """Steps left times the true time of the recent steps."""
    if total is None or not state.alive:
        return None
    series = reader.series.get("step_seconds")
    if series is None:
        return None
    values = series.points()[1][-_RECENT_SPEEDS:]
    return max(0, total - step) * sum(values) / len(values) if values else None


def _elapsed(status: Status | None, state: RunState) -> float | None:
    """Seconds that trainers have worked on the run, until now or until the last one's end."""
    if status is None or not status.started:
        return None
    until = time.time() if state.alive else status.updated
    return status.seconds_before + max(0.0, until - status.started)
