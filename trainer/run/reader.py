"""Following a run from outside: the journal as columns and lists, read on from where the last look ended.

Reads only; any number of readers may follow a run, and none of them is noticed by it. Not for drawing.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from trainer.run.directory import RunDirectory

_CHUNK = 256 << 10
_LONGEST_LINE = 64 << 20
_LIST_LIMIT = 2000  # newest entries that each list keeps at least
_LOG_TAIL = 256 << 10


@dataclass(frozen=True)
class Mark:
    """Something to show at a step of the charts. `kind`: command, checkpoint, resume, finding, nan, end."""

    step: int
    kind: str
    text: str


class RunReader:
    """What a run has said so far. `poll` reads on; everything else is memory.

    May be polled in a thread while another reads: `lock` is held while a piece of the journal is taken in, and the
    series take it themselves.
    """

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.lock = threading.RLock()
        self.generation = 0  # rises when the journal was replaced and is read anew
        self._log: tuple[tuple[int, int], list[str]] = ((-1, 0), [])
        self._file: tuple[int, int] = (0, 0)
        self._start_over()

    def _start_over(self) -> None:
        self._offset = 0
        self.complete = False  # the end of the journal, as it was at the last poll, has been reached
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
        self.first_time = 0.0  # wall seconds
        self.last_time = 0.0
        self.event_count = 0
        self._not_finite: set[str] = set()

    def poll(self, budget_seconds: float = 0.25) -> bool:
        """Read on for at most about `budget_seconds`; True when something is new. Call again while not `complete`."""
        deadline = time.monotonic() + budget_seconds
        try:
            descriptor = os.open(self.run.events_file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.complete = True
            return False
        try:
            changed = self._notice_replacement(descriptor)
            while True:
                size = os.fstat(descriptor).st_size
                before = self._offset
                self.complete = self._read_piece(descriptor, size)
                changed = changed or self._offset != before
                if self.complete or time.monotonic() >= deadline:
                    return changed
        finally:
            os.close(descriptor)

    def log_tail(self, lines: int) -> list[str]:
        """The last lines of what the trainer printed; of a line that redrew itself, its last form."""
        try:
            with self.run.log_file.open("rb") as file:
                found = os.fstat(file.fileno())
                state = (found.st_size, found.st_mtime_ns)
                if self._log[0] != state:
                    file.seek(max(0, found.st_size - _LOG_TAIL))
                    text = file.read(_LOG_TAIL).decode("utf-8", "replace")
                    rows = text.split("\n")
                    if found.st_size > _LOG_TAIL:
                        rows = rows[1:]
                    if rows and not rows[-1]:
                        rows.pop()
                    self._log = (state, [row.rstrip("\r").rpartition("\r")[2] for row in rows])
        except OSError:
            return []
        return self._log[1][-lines:] if lines > 0 else []

    def _notice_replacement(self, descriptor: int) -> bool:
        """Begin anew when the journal became another file, or shorter than what has been read."""
        found = os.fstat(descriptor)
        file = (found.st_dev, found.st_ino)
        if file == self._file and found.st_size >= self._offset:
            return False
        was_empty = self._offset == 0
        self._file = file
        if was_empty:
            return False
        with self.lock:
            self._start_over()
            self.generation += 1
        return True

    def _read_piece(self, descriptor: int, size: int) -> bool:
        """Take in the next whole lines; True when there are no more.

        The offset stays in front of a line that is not whole or cannot be read while no good line follows it: it may
        still be growing, or the next trainer may cut it and write over it.
        """
        length = _CHUNK
        while True:
            data = os.pread(descriptor, length, self._offset)
            end = data.rfind(b"\n") + 1
            at_end = self._offset + len(data) >= size or len(data) < length
            if end > 0 or at_end or length >= _LONGEST_LINE:
                break
            length *= 4
        with self.lock:
            good = self._take_lines(data[:end])
        if at_end:
            self._offset += good
            return True
        # More follows: what could not be read is not the tail, and is passed over.
        self._offset += end or len(data)
        return False

    def _take_lines(self, data: bytes) -> int:
        """Take in the lines; how many bytes go up to the end of the last good one."""
        position = good = 0
        loads = json.loads
        for line in data.splitlines(keepends=True) if b"\r" not in data else _lines(data):
            position += len(line)
            try:
                record = loads(line)
                if record["kind"] == "metrics":
                    self._take_metrics(record)
                else:
                    self._take_other(record)
            except (ValueError, KeyError, TypeError, AttributeError):
                if decode_line(line) is None:
                    continue
            good = position
        return good

    def _take_metrics(self, record: dict[str, Any]) -> None:
        step = record["step"]
        self._note(record)
        series = self.series
        for name, value in record["values"].items():
            column = series.get(name)
            if column is None:
                column = series[name] = Series(self.lock)
            if value.__class__ is float or value.__class__ is int:
                column.add(step, value)
                if self._not_finite:
                    self._not_finite.discard(name)
            else:
                self._take_odd_value(step, name, value, column)
        self.step = step
        self.epoch = record["epoch"]

    def _take_odd_value(self, step: int, name: str, value: object, column: Series) -> None:
        """A value that is not a plain number: "nan" and its like become one mark where they begin."""
        number = as_number(value)
        if number - number == 0.0:
            column.add(step, number)
            self._not_finite.discard(name)
        elif name not in self._not_finite:
            self._not_finite.add(name)
            self._mark(step, "nan", f"{name} is {number} at step {step}")

    def _note(self, record: Mapping[str, Any]) -> None:
        self.sequence = record["seq"]
        self.last_time = record["time"]
        self.event_count += 1
        if not self.first_time:
            self.first_time = self.last_time

    def _take_other(self, record: dict[str, Any]) -> None:
        self._note(record)
        event = decode_event(record)
        if isinstance(event, EvaluationEvent):
            for name, value in event.values.items():
                column = self.evaluations.setdefault(name, Series(self.lock))
                self._take_odd_value(event.step, name, value, column)
            self.step = max(self.step, event.step)
        elif isinstance(event, TelemetryEvent):
            self._take_telemetry(event.telemetry)
        elif isinstance(event, ResumeEvent):
            self._take_resume(event)
        elif event is not None:
            self._take_listed(event)

    def _take_listed(self, event: Event) -> None:
        if isinstance(event, PhaseEvent):
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
        values: dict[str, float | None] = {
            "cpu_percent": telemetry.cpu_percent,
            "memory_used": telemetry.memory_used,
        }
        for gpu in telemetry.gpus:
            values[f"gpu{gpu.index}.memory_used"] = gpu.memory_used
            values[f"gpu{gpu.index}.utilization"] = gpu.utilization
            values[f"gpu{gpu.index}.power"] = gpu.power
            values[f"gpu{gpu.index}.temperature"] = gpu.temperature
        second = int(self.last_time - self.first_time)
        for name, value in values.items():
            if value is not None:
                self.telemetry_series.setdefault(name, Series(self.lock)).add(second, value)

    def _take_resume(self, event: ResumeEvent) -> None:
        """Forget what was measured after the checkpoint: those steps are trained, and listed, once more."""
        for column in (*self.series.values(), *self.evaluations.values()):
            column.truncate(event.step)
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
    if event.verb == "set":
        return f"{event.arguments.get('name')} = {event.arguments.get('value')}"
    if event.verb == "note":
        return str(event.arguments.get("text", ""))
    return event.verb


def _lines(data: bytes) -> list[bytes]:
    """Like `splitlines`, at newlines alone."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]]


def _keep(items: list[Any], item: object) -> None:
    """Append, and let go of the oldest half when there are too many: no run may fill the memory of its readers."""
    items.append(item)
    if len(items) > 2 * _LIST_LIMIT:
        del items[:_LIST_LIMIT]
