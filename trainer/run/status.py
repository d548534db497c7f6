"""status.json: what the trainer is doing now, whole at every moment, and what state a run is in. Not its history."""

from __future__ import annotations

import math
import os
import threading
import time
from contextlib import suppress
from dataclasses import Field, asdict, dataclass, fields, replace
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any

from trainer.run.events import EndEvent
from trainer.run.files import read_json, to_json, write_whole
from trainer.run.journal import last_event
from trainer.run.process import ProcessIdentity, boot_id, is_alive, this_process

if TYPE_CHECKING:
    from trainer.run.directory import RunDirectory

HEARTBEAT_SECONDS = 2.0
STALLED_SECONDS = 60.0
LAUNCH_SECONDS = 30.0  # how long a launched trainer may take until it first writes its own status
_QUIET_SECONDS = 0.5  # progress is written at most this often; changes of phase at once
_NOT_FINITE = ("nan", "inf", "-inf")
_URGENT = ("phase", "exit_reason", "message", "last_checkpoint", "total_steps")


class RunState(StrEnum):
    """What a run is doing, as it can be seen from outside."""

    PREPARING = "preparing"
    RUNNING = "running"
    EVALUATING = "evaluating"
    SAVING = "saving"
    PAUSED = "paused"
    STALLED = "stalled"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"

    @property
    def alive(self) -> bool:
        """A trainer process is there."""
        return self not in (RunState.FINISHED, RunState.STOPPED, RunState.FAILED, RunState.LOST)


@dataclass(frozen=True)
class Status:
    """The content of status.json. Times are wall seconds; `monotonic` is the heartbeat on this boot's own clock.

    `phase` is the phase's name; `exit_reason` is empty until the trainer ends, then finished, stopped or failed.
    `seconds_before` is how long the trainers before this one worked. While data are prepared `rows` are done of
    `total_rows`, which is an estimate, or 0 where nothing is known.
    `updated` is when the trainer last had something to say, `heartbeat` when its process was last seen alive.
    """

    phase: str = "preparing"
    pid: int = 0
    process_start: int = 0
    boot_id: str = ""
    host: str = ""
    namespace: str = ""
    step: int = 0
    total_steps: int = 0
    epoch: float = 0.0
    loss: float | None = None
    tokens_per_second: float | None = None
    tokens: int = 0
    seconds_left: float | None = None
    last_checkpoint: str = ""
    exit_reason: str = ""
    message: str = ""
    started: float = 0.0
    updated: float = 0.0
    heartbeat: float = 0.0
    monotonic: float = 0.0
    seconds_before: float = 0.0
    rows: int = 0
    total_rows: int = 0

    @property
    def elapsed(self) -> float:
        """Seconds that trainers have worked on the run, from its first start to the last sign of life.

        A living trainer gives a sign every two seconds; the time between two stints is not in it.
        """
        return self.seconds_before + max(0.0, max(self.updated, self.heartbeat) - self.started) if self.started else 0.0

    @property
    def process(self) -> ProcessIdentity:
        """The process that writes the run."""
        return ProcessIdentity(self.pid, self.process_start, self.boot_id, self.host, self.namespace)


def read_status(run: RunDirectory) -> Status | None:
    """The status of a run; None before the first one, or when the file is damaged."""
    record = read_json(run.status_file)
    if record is None:
        return None
    try:
        return Status(
            **{part.name: _read_value(part, record[part.name]) for part in fields(Status) if part.name in record}
        )
    except (TypeError, OverflowError):
        return None


def _read_value(part: Field[Any], value: object) -> Any:
    """`value` as that field of the status holds it. Raises: TypeError when it is something else, OverflowError."""
    if part.type == "str" and isinstance(value, str):
        return value
    if part.type == "int" and type(value) is int:
        return value
    if part.type in ("float", "float | None"):
        if value is None and part.type != "float":
            return None
        if type(value) in (int, float) or value in _NOT_FINITE:
            return float(value)  # type: ignore[arg-type]
    raise TypeError(part.name)


def heartbeat_age(run: RunDirectory, status: Status) -> float:
    """Seconds since the trainer was last seen alive; right also when the wall clock was set."""
    if status.monotonic and status.boot_id == boot_id():
        age = time.monotonic() - status.monotonic
    else:
        age = time.time() - status.heartbeat
    if age > STALLED_SECONDS:
        with suppress(OSError):
            # With a full disk the writer can only touch the file.
            age = min(age, time.time() - run.status_file.stat().st_mtime)
    return max(0.0, age)


def infer_state(run: RunDirectory) -> RunState:
    """What the run is doing: from its status, whether its process lives, and how old its heartbeat is."""
    status = read_status(run)
    if status is None:
        just_made = time.time() - run.identity().created < LAUNCH_SECONDS
        return RunState.PREPARING if just_made else _without_trainer(run)
    if status.exit_reason:
        return _ended(status.exit_reason)
    age = heartbeat_age(run, status)
    if status.pid == 0:
        return RunState.PREPARING if age < LAUNCH_SECONDS else RunState.LOST
    alive = is_alive(status.process)
    if alive is None:
        # Another machine or container: only the heartbeat can tell.
        alive = age < STALLED_SECONDS
    if not alive:
        return _without_trainer(run)
    if age > STALLED_SECONDS:
        return RunState.STALLED
    try:
        return RunState(status.phase)
    except ValueError:
        return RunState.RUNNING


def _without_trainer(run: RunDirectory) -> RunState:
    """The trainer is gone and its status does not say why: the journal may, or it is lost."""
    end = last_event(run)
    return _ended(end.reason) if isinstance(end, EndEvent) else RunState.LOST


def _ended(reason: str) -> RunState:
    return RunState(reason) if reason in ("finished", "stopped") else RunState.FAILED


def write_launch_status(run: RunDirectory, *, process: ProcessIdentity | None = None, failure: str = "") -> None:
    """Reset what the last trainer left behind, so that a resumed run is shown as preparing at once.

    `process` is the new trainer, once it is known; `failure` why there is none. Raises: OSError.
    """
    status = _fresh(run, process or replace(this_process(), pid=0, start=0))
    if failure:
        status = replace(status, exit_reason="failed", message=failure)
    write_whole(run.status_file, _encode(status))


def _fresh(run: RunDirectory, process: ProcessIdentity) -> Status:
    """The status of a trainer that begins; what the run has reached so far is kept."""
    now = time.time()
    before = read_status(run) or Status()
    return replace(
        before,
        phase="preparing",
        pid=process.pid,
        process_start=process.start,
        boot_id=process.boot_id,
        host=process.host,
        namespace=process.namespace,
        exit_reason="",
        message="",
        tokens_per_second=None,
        seconds_left=None,
        started=now,
        seconds_before=before.elapsed,
        updated=now,
        heartbeat=now,
        monotonic=time.monotonic(),
    )


def _encode(status: Status) -> bytes:
    """JSON has no NaN: a loss that is not a number is written as its name."""
    record = asdict(status)
    for name, value in record.items():
        if isinstance(value, float) and not math.isfinite(value):
            record[name] = str(value)
    return to_json(record)


class StatusWriter:
    """Keeps status.json true while the trainer lives; a daemon thread writes the heartbeat every two seconds.

    `update` never raises for a full or failing disk: `blocked` is true then, and the next heartbeat tries again.
    """

    def __init__(self, run: RunDirectory, *, interval: float = HEARTBEAT_SECONDS) -> None:
        self.blocked = False
        self._file = run.status_file
        self._interval = interval
        self._status = _fresh(run, this_process())
        self._change_lock = threading.RLock()
        self._write_lock = threading.RLock()  # another one, so that a slow disk does not hold up the training loop
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._write()
        self._thread = threading.Thread(target=self._beat, name="trimtab-heartbeat", daemon=True)
        self._thread.start()

    @property
    def status(self) -> Status:
        """What was last given to `update`."""
        return self._status

    def update(self, **changes: Any) -> None:
        """Change fields of the status. Phase, end and checkpoint are written at once, progress twice a second."""
        with self._change_lock:
            before = self._status
            self._status = replace(before, **changes, updated=time.time())
            urgent = any(getattr(before, name) != getattr(self._status, name) for name in _URGENT)
        if urgent:
            self._write()
        else:
            self._changed.set()

    def close(self) -> None:
        """Stop the heartbeat and write the last state. May be called twice."""
        if not self._closing.is_set():
            self._closing.set()
            self._changed.set()
            self._thread.join(timeout=self._interval)
            self._write()

    def __enter__(self) -> StatusWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _beat(self) -> None:
        while not self._closing.is_set():
            self._changed.wait(self._interval)
            self._changed.clear()
            if not self._closing.is_set():
                self._write()
            self._closing.wait(min(_QUIET_SECONDS, self._interval))

    def _write(self) -> None:
        with self._write_lock:
            status = replace(self._status, heartbeat=time.time(), monotonic=time.monotonic())
            try:
                write_whole(self._file, _encode(status))
                self.blocked = False
            except OSError:
                self.blocked = True
                with suppress(OSError):
                    # Needs no room: the heartbeat at least stays true.
                    os.utime(self._file)
