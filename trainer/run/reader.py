"""Following a run from outside, reading its journal on from where the last look ended.

Reads only; any number of readers may follow a run, and none of them is noticed by it. Polls, because notifications do
not work on the network mounts of rented machines. What the lines mean is in `history.py`.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from trainer.run.history import RunHistory

if TYPE_CHECKING:
    from trainer.run.directory import RunDirectory

_CHUNK = 256 << 10
_LONGEST_LINE = 64 << 20
_LOG_TAIL = 256 << 10
_SEAM = 512  # bytes; mostly the whole of the newest line, with its number and time: like no others
# A longer journal is shown from samples of it first, while the whole is read.
_PREVIEW_FROM = 16 << 20
_PREVIEW_SLICES = 96
_PREVIEW_SLICE = 16 << 10


class RunReader(RunHistory):
    """What a run has said so far. `poll` reads on; everything else is memory.

    May be polled in a thread while another reads: the series take `lock` themselves, and hold it for milliseconds.
    `complete`: the end of the journal, as it was at the last poll, has been reached. Until then a very long journal is
    shown from samples of it. `generation` rises when the journal was replaced by another and is read anew.
    """

    def __init__(self, run: RunDirectory) -> None:
        super().__init__(threading.RLock())
        self.run = run
        self.complete = False
        self.generation = 0
        self._offset = 0
        self._seam = b""  # the last bytes in front of the offset
        self._whole: RunHistory | None = None  # being read, while this object shows samples
        self._log: tuple[tuple[int, int], list[str]] = ((-1, 0), [])

    def poll(self, budget_seconds: float = 0.25) -> bool:
        """Read on for at most about `budget_seconds`; True when there is something new to show."""
        deadline = time.monotonic() + budget_seconds
        try:
            descriptor = os.open(self.run.events_file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.complete = True
            return False
        try:
            changed = self._notice_replacement(descriptor)
            if self._offset == 0 and self._whole is None and os.fstat(descriptor).st_size > _PREVIEW_FROM:
                self._take_samples(descriptor)
                changed = True
            while True:
                before = self._offset
                self.complete = self._read_piece(descriptor, self._whole or self)
                changed = changed or (self._offset != before and self._whole is None)
                if self.complete or time.monotonic() >= deadline:
                    break
        finally:
            os.close(descriptor)
        if self.complete and self._whole is not None:
            self.adopt(self._whole)
            self._whole = None
            changed = True
        return changed

    def log_tail(self, lines: int) -> list[str]:
        """The last lines of what the trainer printed; of a line that redrew itself, its last form."""
        try:
            with self.run.log_file.open("rb") as file:
                found = os.fstat(file.fileno())
                state = (found.st_size, found.st_mtime_ns)
                if self._log[0] != state:
                    file.seek(max(0, found.st_size - _LOG_TAIL))
                    rows = file.read(_LOG_TAIL).decode("utf-8", "replace").split("\n")
                    whole = rows[1:] if found.st_size > _LOG_TAIL else rows
                    if whole and not whole[-1]:
                        whole.pop()
                    self._log = (state, [row.rstrip("\r").rpartition("\r")[2] for row in whole])
        except OSError:
            return []
        return self._log[1][-lines:] if lines > 0 else []

    def _notice_replacement(self, descriptor: int) -> bool:
        """Begin anew when what was read last no longer stands in front of the offset.

        The file's number tells nothing: file systems give the number of a removed file to the next one.
        """
        if os.pread(descriptor, len(self._seam), self._offset - len(self._seam)) == self._seam:
            return False
        with self.lock:
            self.reset()
            self._offset = 0
            self._seam = b""
            self._whole = None
            self.generation += 1
        return True

    def _read_piece(self, descriptor: int, history: RunHistory) -> bool:
        """Take in the next whole lines; True when there are no more.

        The offset stays in front of a line that is not whole or cannot be read while no good line follows it: it may
        still be growing, or the next trainer may cut it and write over it.
        """
        length = _CHUNK
        while True:
            data = os.pread(descriptor, length, self._offset)
            end = data.rfind(b"\n") + 1
            at_end = len(data) < length
            if end > 0 or at_end or length >= _LONGEST_LINE:
                break
            length *= 4
        good = history.take_lines(data[:end]) if end else 0
        # In the middle of the file what could not be read is not the tail, and is passed over.
        step = good if at_end else end or len(data)
        if step:
            self._offset += step
            self._seam = data[max(0, step - _SEAM) : step]
        return at_end

    def _take_samples(self, descriptor: int) -> None:
        """A first picture of a long journal in a few hundredths of a second: slices of it, and its end."""
        size = os.fstat(descriptor).st_size
        distance = (size - _CHUNK) // _PREVIEW_SLICES
        for offset in (*range(0, size - _CHUNK, distance), size - _CHUNK):
            length = _CHUNK if offset == size - _CHUNK else _PREVIEW_SLICE
            data = os.pread(descriptor, length, offset)
            begin = data.find(b"\n") + 1 if offset else 0
            self.take_lines(data[begin : data.rfind(b"\n") + 1])
        self._whole = RunHistory(self.lock)
