"""One trainer per run: an flock on the run's `.lock`. Not a sign of life for readers, see `status.py`."""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from trainer.errors import UserError

if TYPE_CHECKING:
    from trainer.run.directory import RunDirectory

_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


class RunLock:
    """The right to write a run, taken when made, given back by `release`, by the end of `with`, or by dying.

    `patience`: seconds to wait for a trainer that is just ending.
    Raises: UserError "another trainer writes this run (pid N)".
    """

    def __init__(self, run: RunDirectory, *, patience: float = 0.0) -> None:
        try:
            self._descriptor = os.open(run.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UserError(f"cannot lock the run: {error.strerror}", file=run.lock_file) from error
        try:
            _lock(self._descriptor, patience)
        except BlockingIOError as error:
            owner = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip() or "?"
            os.close(self._descriptor)
            raise UserError(f"another trainer writes this run (pid {owner})", file=run.path) from error
        except OSError as error:
            os.close(self._descriptor)
            raise UserError(f"cannot lock the run: {error.strerror}", file=run.lock_file) from error
        with suppress(OSError):
            # Only for the message to the loser; a full disk must not forbid to train.
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        _held.add(self)

    def release(self) -> None:
        """Let others write the run. May be called twice."""
        if self._descriptor >= 0:
            with suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._close()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        _held.discard(self)

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _lock(descriptor: int, patience: float) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
        time.sleep(0.02)


def _forget_in_child() -> None:
    # A data loader's worker that outlives a killed trainer would otherwise hold the lock, and forbid to resume.
    # Closing its copy takes nothing from the parent; unlocking would.
    for lock in list(_held):
        lock._close()


os.register_at_fork(after_in_child=_forget_in_child)
