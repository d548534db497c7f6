"""A pseudo terminal with a real process on it, for what cannot be seen from inside an app."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class RealTerminal:
    """Runs a piece of Python on a terminal of its own. `screen` is all that was written, escape codes included."""

    def __init__(self, code: str, *, columns: int = 100, rows: int = 30, **environment: str) -> None:
        self.screen = b""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.chdir(ROOT)
            settings = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment}
            for name in ("COLUMNS", "LINES", "NO_COLOR"):
                settings.pop(name, None)
            os.execve(sys.executable, [sys.executable, "-c", code], settings)

    def read(self, seconds: float, until: bytes = b"") -> bool:
        """Read for so long, or until something was written; whether it was."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if until and until in self.screen:
                return True
            ready, _, _ = select.select([self._master], [], [], 0.05)
            if ready:
                try:
                    data = os.read(self._master, 65536)
                except OSError:
                    break
                if not data:
                    break
                self.screen += data
        return bool(until) and until in self.screen

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._master, keys)

    def child(self) -> int:
        """The process that draws: the child of the guardian."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[0])

    def modes(self) -> list[object]:
        """The terminal's settings, without its control characters."""
        return termios.tcgetattr(self._master)[:4]

    def wait(self, seconds: float = 20.0) -> int:
        """Read until the process ends; its exit status as a shell would give it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.read(0.2)
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        raise AssertionError(f"it did not end; last output: {self.screen[-2000:]!r}")

    def hang_up(self) -> None:
        """Close the terminal, as a dropped link does."""
        with suppress(OSError):
            os.close(self._master)
