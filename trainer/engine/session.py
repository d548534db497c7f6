"""One trainer process at work on one run directory: its lock, its events, its status and its signals."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import FrameType
from typing import Literal

from trainer.config import Finding, Severity
from trainer.run import (
    CommandInbox,
    EndEvent,
    EventWriter,
    FindingEvent,
    PhaseEvent,
    RunDirectory,
    RunLock,
    StatusWriter,
    TelemetryEvent,
    sample,
)
from trainer.run.messages import Words

from .redaction import redacted, redacted_values

Reason = Literal["finished", "stopped", "failed"]

_RESERVE_BYTES = 256 * 1024


class RunSession:
    """Owns the writer side of a run directory from the first line of the trainer process to its last."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self._lock = RunLock(run)
        self.events = EventWriter(run)
        self.status = StatusWriter(run)
        self.inbox = CommandInbox(run, self.events)
        self.stop_reason = ""
        self._phase = ""
        self._telemetry_stop = threading.Event()
        self._reserve = run.path / ".reserve"
        self.keep_reserve()

    def keep_reserve(self) -> None:
        """Hold a little disk space back, so that a run can still say that the disk is full."""
        with suppress(OSError), self._reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)

    def spend_reserve(self) -> None:
        """The disk is full: give the reserve up, and write what was waiting for room."""
        self._reserve.unlink(missing_ok=True)
        self.events.flush()

    def phase(self, phase: str, text: str = "") -> None:
        """Say what the run is doing now; written only when it changes."""
        if phase == self._phase and not text:
            return
        self._phase = phase
        self.events.write(PhaseEvent(phase=phase, text=text))
        self.status.update(phase=phase, message=text)

    def finding(self, severity: Severity, said: Words | Finding, step: int = 0) -> None:
        """Record something that the user should know, on the dashboard and in the log."""
        text = redacted(said.text)
        print(f"{severity}: {text}", flush=True)
        values = redacted_values(said.values)
        self.events.write(FindingEvent(id=said.id, severity=severity, text=text, step=step, values=values))

    def watch_signals(self) -> None:
        """TERM and INT ask for save and exit; HUP (a dropped link) is ignored."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop_reason = f"signal {signal.Signals(number).name}"

    def start_telemetry(self, seconds: float) -> None:
        """Sample GPU, CPU and memory every `seconds` from a thread of its own; 0 switches it off."""
        if seconds > 0:
            threading.Thread(target=self._sample_forever, args=(seconds,), daemon=True, name="telemetry").start()

    def _sample_forever(self, seconds: float) -> None:
        while not self._telemetry_stop.wait(seconds):
            self.events.write(TelemetryEvent(sample(), step=self.status.status.step))

    def end(self, reason: Reason, said: Words, step: int) -> None:
        """Write the last event and the last status; the session is over."""
        self._telemetry_stop.set()
        text = redacted(said.text)
        values = redacted_values(said.values)
        self.events.write(EndEvent(reason=reason, step=step, text=text, id=said.id, values=values))
        self.status.update(phase=reason, exit_reason=reason, message=text)
        self._reserve.unlink(missing_ok=True)
        self.status.close()
        self.events.close()
        self._lock.release()
        print(f"{reason} at step {step}: {text} (pid {os.getpid()})", flush=True)
