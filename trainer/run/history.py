"""What a run's journal adds up to: columns of measurements, lists of what happened, the latest of everything.

Takes lines in; does not know where they come from, see `reader.py`.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from trainer.run.events import (
    CheckpointEvent,
    CommandResultEvent,
    EndEvent,
    EvaluationEvent,
    Event,
    FindingEvent,
    PhaseEvent,
    ResumeEvent,
    SampleEvent,
    TelemetryEvent,
    as_number,
    decode_event,
    decode_line,
)
from trainer.run.series import Series
from trainer.run.telemetry import Telemetry

_LIST_LIMIT = 2000  # newest entries that each list keeps at least
_SPEED_NAMES = ("_runtime", "_per_second", "_preparation_time")
_LARGEST_STEP = 1 << 53


@dataclass(frozen=True)
class Mark:
    """Something to show at a step of the charts. `kind`: command, checkpoint, resume, finding, nan, end."""

    step: int
    kind: str
    text: str


class RunHistory:
    """Everything that a run has said, in a fixed memory. `lock` is held while lines are taken in."""

    def __init__(self, lock: threading.RLock) -> None:
        self.lock = lock
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.series: dict[str, Series] = {}
        self.evaluations: dict[str, Series] = {}
        self.telemetry_series: dict[str, Series] = {}  # by whole seconds since the first event
        self.marks: list[Mark] = []
        self.findings: list[FindingEvent] = []
        self.samples: list[SampleEvent] = []
        self.checkpoint_events: list[CheckpointEvent] = []
        self.command_results: list[CommandResultEvent] = []
        self.telemetry: Telemetry | None = None
        self.end: EndEvent | None = None
        self.phase = ""
        self.phase_text = ""
        self.step = 0
        self.epoch = 0.0
        self.sequence = 0
        self.event_count = 0
        self.first_time = 0.0  # wall seconds
        self.last_time = 0.0
        self._not_finite: set[str] = set()
        # Metrics lines in a row that have the same names are taken in together, column by column.
        self._block_names: tuple[str, ...] = ()
        self._block_steps: list[int] = []
        self._block_rows: list[Collection[Any]] = []

    def adopt(self, other: RunHistory) -> None:
        """Become `other`, which is no longer used."""
        with self.lock:
            vars(self).update(vars(other))

    def measured_by_evaluations(self) -> dict[str, Series]:
        """What evaluations measured, by name, without how fast they were."""
        return {name: series for name, series in self.evaluations.items() if not name.endswith(_SPEED_NAMES)}

    def take_lines(self, data: bytes) -> int:
        """Take in whole lines; the offset behind the last one that could be read."""
        position = good = 0
        with self.lock:
            for line in data.split(b"\n"):
                position += len(line) + 1
                record = decode_line(line)
                if record is not None:
                    good = position
                    self._take(record)
            self._end_block()
        return good

    def _take(self, record: dict[str, Any]) -> None:
        try:
            self.sequence = record["seq"]
            self.last_time = record["time"]
            self.event_count += 1
            if not self.first_time:
                self.first_time = self.last_time
            if record["kind"] == "metrics":
                self._take_metrics(record)
                return
        except (KeyError, TypeError, AttributeError):
            return  # written by something else than we know: passed over
        self._end_block()
        event = decode_event(record)
        if event is not None:
            self._take_event(event)

    def _take_metrics(self, record: dict[str, Any]) -> None:
        step, values = record["step"], record["values"]
        if not 0 <= step < _LARGEST_STEP:
            return
        names = tuple(values)
        if names != self._block_names:
            self._end_block()
            self._block_names = names
        self._block_steps.append(step)
        self._block_rows.append(values.values())
        self.step = step
        self.epoch = record["epoch"]

    def _end_block(self) -> None:
        steps, rows = self._block_steps, self._block_rows
        self._block_steps, self._block_rows = [], []
        if not steps:
            return
        rising = all(earlier < later for earlier, later in pairwise(steps))
        for name, column in zip(self._block_names, zip(*rows, strict=True), strict=True):
            self._take_column(name, steps, column, rising)

    def _take_column(self, name: str, steps: Sequence[int], column: Sequence[Any], rising: bool) -> None:
        series = self.series.get(name)
        if series is None:
            series = self.series[name] = Series(self.lock)
        try:
            values = array("d", column)
        except (TypeError, OverflowError):
            rising = False
        if not rising or not series.extend(steps, values):
            for step, value in zip(steps, column, strict=True):
                self._take_value(step, name, value, series)
        elif self._not_finite:
            self._not_finite.discard(name)

    def _take_value(self, step: int, name: str, value: object, series: Series) -> None:
        """One value; "nan" and its like stay out of the series and become one mark, where they begin."""
        try:
            number = as_number(value)
        except (KeyError, TypeError, ValueError, OverflowError):
            return
        if number - number == 0.0:
            series.add(step, number)
            self._not_finite.discard(name)
        elif name not in self._not_finite:
            self._not_finite.add(name)
            self._mark(step, "nan", f"{name} is {number} at step {step}")

    def _take_event(self, event: Event) -> None:
        if isinstance(event, EvaluationEvent):
            for name, value in event.values.items():
                self._take_value(event.step, name, value, self.evaluations.setdefault(name, Series(self.lock)))
            self.step = max(self.step, event.step)
        elif isinstance(event, TelemetryEvent):
            self._take_telemetry(event.telemetry)
        elif isinstance(event, ResumeEvent):
            self._take_resume(event)
        elif isinstance(event, PhaseEvent):
            self.phase, self.phase_text = event.phase, event.text
            self.end = None
        elif isinstance(event, CheckpointEvent):
            _keep(self.checkpoint_events, event)
            self._mark(event.step, "checkpoint", event.reason)
        elif isinstance(event, SampleEvent):
            _keep(self.samples, event)
        elif isinstance(event, CommandResultEvent):
            _keep(self.command_results, event)
            if event.accepted:
                self._mark(event.step, "command", _command_text(event))
        elif isinstance(event, FindingEvent):
            _keep(self.findings, event)
            self._mark(event.step, "finding", event.text)
        elif isinstance(event, EndEvent):
            self.end = event
            self._mark(event.step, "end", event.text or event.reason)

    def _take_telemetry(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        values: dict[str, float | None] = {"cpu_percent": telemetry.cpu_percent, "memory_used": telemetry.memory_used}
        for gpu in telemetry.gpus:
            values[f"gpu{gpu.index}.memory_used"] = gpu.memory_used
            values[f"gpu{gpu.index}.utilization"] = gpu.utilization
            values[f"gpu{gpu.index}.power"] = gpu.power
            values[f"gpu{gpu.index}.temperature"] = gpu.temperature
        second = max(0, int(self.last_time - self.first_time))
        for name, value in values.items():
            if value is not None:
                self.telemetry_series.setdefault(name, Series(self.lock)).add(second, value)

    def _take_resume(self, event: ResumeEvent) -> None:
        """Forget what was measured after the checkpoint: those steps are trained, and listed, once more."""
        for series in (*self.series.values(), *self.evaluations.values()):
            series.truncate(event.step)
        self.samples = [sample for sample in self.samples if sample.step <= event.step]
        self.checkpoint_events = [saved for saved in self.checkpoint_events if saved.step <= event.step]
        self.marks = [mark for mark in self.marks if mark.step <= event.step and mark.kind != "end"]
        self._not_finite.clear()
        self.end = None
        self.step = event.step
        self._mark(event.step, "resume", event.checkpoint)

    def _mark(self, step: int, kind: str, text: str) -> None:
        _keep(self.marks, Mark(step, kind, text))


def _command_text(event: CommandResultEvent) -> str:
    arguments: Mapping[str, Any] = event.arguments
    if event.verb == "set":
        return f"{arguments.get('name')} = {arguments.get('value')}"
    return str(arguments.get("text", "")) if event.verb == "note" else event.verb


def _keep(items: list[Any], item: object) -> None:
    """Append, and let go of the oldest half when there are too many: no run may fill the memory of its readers."""
    items.append(item)
    if len(items) > 2 * _LIST_LIMIT:
        del items[:_LIST_LIMIT]
