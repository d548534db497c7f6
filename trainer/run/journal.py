"""Writing events.jsonl: append-only, one write a line, never raising into the training loop. Not for tailing it."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from trainer.errors import UserError
from trainer.run.events import Event, FindingEvent, Record, decode_event, decode_line, encode_event

if TYPE_CHECKING:
    from trainer.run.directory import RunDirectory

_RETRY_SECONDS = 1.0
_LOOK_SECONDS = 1.0
REPLACED = "events.jsonl was removed or replaced while the run was going: what it said before is not in it any more"
_PENDING_LIMIT = 64 << 20  # bytes of events that are kept in memory while the disk takes none


class EventWriter:
    """The one writer of a run's events; hold the `RunLock`. May be used from several threads.

    Opening cuts a torn tail (half a line, NUL bytes, broken JSON) and goes on with the next sequence number.
    While the disk refuses, `blocked` is true, events wait in memory, and later writes try again, once a second; when
    it takes them again, a finding says so. When the file was removed or replaced, the one that is there now is written,
    with a finding in it.
    `clock` gives the wall seconds of the events.
    Raises: UserError when the file cannot be opened at all.
    """

    def __init__(self, run: RunDirectory, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.path = run.events_file
        self.dropped = 0  # events lost because the disk stayed full for too long
        self._lock = threading.RLock()
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._first_is_partly_written = False
        self._next_try = 0.0
        self._blocked_since: float | None = None
        self._step = 0
        self._next_look = time.monotonic() + _LOOK_SECONDS
        try:
            self._descriptor = self._open()
            self._sequence = _cut_torn_tail(self._descriptor)
        except OSError as error:
            raise UserError(f"cannot write the run's events: {error.strerror}", file=self.path) from error

    @property
    def blocked(self) -> bool:
        """True while events wait in memory because the disk did not take them."""
        return bool(self._pending)

    @property
    def sequence(self) -> int:
        """The sequence number of the last event given to `write`; 0 when there is none."""
        return self._sequence

    def write(self, event: Event) -> int:
        """Append `event`; its sequence number. Never raises for a full or failing disk."""
        with self._lock:
            self._look_for_the_file()
            sequence = self._enqueue(event)
            if self._blocked_since is None or time.monotonic() >= self._next_try:
                self._drain()
            return sequence

    def flush(self) -> bool:
        """Try now to write what waits; True when nothing waits any more."""
        with self._lock:
            self._drain()
            return not self._pending

    def close(self) -> None:
        """Write what waits, reach the disk, close. May be called twice."""
        with self._lock:
            if self._descriptor < 0:
                return
            self._drain()
            with suppress(OSError):
                os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _look_for_the_file(self) -> None:
        """Now and then: is the file still the one under its name? What goes into a removed one is lost to all."""
        now = time.monotonic()
        if now < self._next_look or self._descriptor < 0:
            return
        self._next_look = now + _LOOK_SECONDS
        with suppress(OSError):
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(self.path), os.fstat(self._descriptor)):  # noqa: PTH116 - no Path needed
                    return
            # Where the whole run was moved away this fails, and the open file stays the right one.
            descriptor = self._open()
            try:
                _cut_torn_tail(descriptor)
            except OSError:
                os.close(descriptor)
                raise
            os.close(self._descriptor)
            self._descriptor = descriptor
            if self._first_is_partly_written:
                self._pending_bytes -= len(self._pending.popleft())
                self._first_is_partly_written = False
                self.dropped += 1
            self._enqueue(FindingEvent("run_events_replaced", "warning", REPLACED, self._step))

    def _enqueue(self, event: Event) -> int:
        self._sequence += 1
        self._step = event.step
        line = encode_event(event, self._sequence, self._clock())
        self._pending.append(line)
        self._pending_bytes += len(line)
        while self._pending_bytes > _PENDING_LIMIT and len(self._pending) > 1:
            # The rest of a line that is half in the file must follow it, or the file would be torn in the middle.
            position = 1 if self._first_is_partly_written else 0
            self._pending_bytes -= len(self._pending[position])
            del self._pending[position]
            self.dropped += 1
        return self._sequence

    def _drain(self) -> None:
        while self._pending:
            line = self._pending[0]
            try:
                written = os.write(self._descriptor, line)
            except OSError:
                now = time.monotonic()
                self._next_try = now + _RETRY_SECONDS
                if self._blocked_since is None:
                    self._blocked_since = now
                return
            self._pending_bytes -= written
            if written == len(line):
                self._pending.popleft()
                self._first_is_partly_written = False
            else:
                self._pending[0] = line[written:]
                self._first_is_partly_written = True
            if not self._pending and self._blocked_since is not None:
                seconds = time.monotonic() - self._blocked_since
                self._blocked_since = None
                text = f"the disk took no events for {seconds:.0f} seconds; {self.dropped} of them were lost"
                self._enqueue(FindingEvent("disk.events-delayed", "warning", text, self._step))


def read_events(run: RunDirectory) -> Iterator[Record]:
    """All events of a run in the order of the file, typed; lines that cannot be read are left out."""
    try:
        file = run.events_file.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            record = decode_line(line) if line.endswith(b"\n") else None
            event = None if record is None else decode_event(record)
            if record is not None and event is not None:
                yield Record(int(record["seq"]), float(record["time"]), float(record["monotonic"]), event)


def last_event(run: RunDirectory) -> Event | None:
    """The newest whole event, found from the end of the file."""
    try:
        descriptor = os.open(run.events_file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        record = _last_whole_line(descriptor)[1]
    finally:
        os.close(descriptor)
    return None if record is None else decode_event(record)


def _cut_torn_tail(descriptor: int) -> int:
    """Cut what a kill or a power cut left half written; the last sequence number."""
    end, record = _last_whole_line(descriptor)
    if end < os.fstat(descriptor).st_size:
        os.ftruncate(descriptor, end)
    return 0 if record is None else int(record["seq"])


def _last_whole_line(descriptor: int) -> tuple[int, dict[str, Any] | None]:
    """The offset behind the last line that is a whole record, and that record; (0, None) when there is none."""
    size = os.fstat(descriptor).st_size
    block = 64 << 10
    while True:
        start = max(0, size - block)
        data = os.pread(descriptor, size - start, start)
        end = data.rfind(b"\n") + 1
        while end > 0:
            begin = data.rfind(b"\n", 0, end - 1) + 1
            if begin == 0 and start > 0:
                break  # this line began before the block
            record = decode_line(data[begin:end])
            if record is not None:
                return start + end, record
            end = begin
        if start == 0:
            return 0, None
        block *= 4
