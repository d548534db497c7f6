"""What the dashboard costs a terminal: bytes a second, processor time, first frame, key echo, measured through a pty.

    python -m benchmarks.terminal_traffic [--sizes 80x24 120x40 200x60] [--seconds 20]

Starts a small trainer program (no torch) at one step a second and the real `trimtab` on a pseudo terminal. Budgets at
120x40: under 3 kB/s with the run going, processor under 2 % of a core when idle, first frame under 0.5 s.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_ROOT = Path(__file__).resolve().parent.parent
_STEPS_BEFORE = 600
_FULL_FRAME = 40  # escape sequences in one read: the first drawing of a whole screen


# 600 steps at once, then one a second: an old run is the usual sight.
_TRAINER = f"""
import sys, pathlib
from tests.trainer.run.fake_trainer import FakeTrainer, Settings
from trainer.run import RunDirectory
trainer = FakeTrainer(RunDirectory(pathlib.Path(sys.argv[1])), Settings(steps=4000, gpus=1, save_steps=4000))
trainer.play(until={_STEPS_BEFORE})
trainer.settings.delay = 1.0
trainer.play()
"""


@dataclass(frozen=True)
class Traffic:
    """One measurement. Times in seconds, `processor` in percent of one core, `memory` in bytes.

    `first_frame_work` is processor time: what counts when other programs keep the machine busy.
    """

    first_frame: float
    first_frame_work: float
    bytes_per_second: float
    processor: float
    memory: int
    echo: float


class Terminal:
    """The real command on a pseudo terminal of a given size."""

    def __init__(self, columns: int, rows: int, command: list[str], environment: dict[str, str]) -> None:
        self.received = 0
        self.first_frame: float | None = None
        self.first_frame_work = 0.0
        self._began = time.perf_counter()
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.chdir(_ROOT)
            os.execvpe(command[0], command, environment)
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds: float, until: bytes = b"") -> float:
        """Read what comes for this long, or until something appears; how long it took."""
        began = time.perf_counter()
        while (now := time.perf_counter() - began) < seconds:
            ready, _, _ = select.select([self._descriptor], [], [], min(0.05, seconds - now))
            if not ready:
                continue
            try:
                data = os.read(self._descriptor, 65536)
            except OSError:
                break
            self.received += len(data)
            if self.first_frame is None and data.count(b"\x1b[") > _FULL_FRAME:
                self.first_frame = time.perf_counter() - self._began
                self.first_frame_work = sum(_processor(process) for process in self.processes())
            if b"\x1b[?2026$p" in data:
                os.write(self._descriptor, b"\x1b[?2026;0$y")
            if until and until in data:
                break
        return time.perf_counter() - began

    def press(self, key: bytes) -> None:
        """Send a key."""
        os.write(self._descriptor, key)

    def processes(self) -> list[psutil.Process]:
        """The command and its children, without the trainer (which is a session of its own)."""
        root = psutil.Process(self.pid)
        return [root, *root.children(recursive=True)]

    def close(self) -> None:
        """Leave."""
        self.press(b"\x11")
        self.read(2.0)
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._descriptor)


def measure(columns: int, rows: int, run: Path, seconds: float, environment: dict[str, str]) -> Traffic:
    """Open the dashboard of `run`, let it settle, then measure for `seconds`."""
    code = f"from pathlib import Path; from tui.cockpit import open_cockpit; open_cockpit(run=Path({str(run)!r}))"
    terminal = Terminal(columns, rows, [sys.executable, "-c", code], environment)
    terminal.read(5.0)
    processes = terminal.processes()
    before, received = sum(_processor(process) for process in processes), terminal.received
    took = terminal.read(seconds)
    used = sum(_processor(process) for process in processes) - before
    rate = (terminal.received - received) / took
    memory = max(process.memory_info().rss for process in processes)
    echoes = []
    for _ in range(5):
        # `s` changes the smoothing: a new picture is built, the header shows the weight.
        terminal.press(b"s")
        echoes.append(terminal.read(1.0, until=b"smoothed"))
        terminal.read(0.7)
    terminal.close()
    return Traffic(
        first_frame=terminal.first_frame or float("nan"),
        first_frame_work=terminal.first_frame_work,
        bytes_per_second=rate,
        processor=100 * used / took,
        memory=memory,
        echo=statistics.median(echoes),
    )


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", nargs="*", default=["80x24", "120x40", "200x60"])
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        environment = dict(os.environ, TERM="xterm-256color", TRIMTAB_RUNS=f"{scratch}/runs", TRIMTAB_LANGUAGE="en")
        environment |= {f"XDG_{kind}_HOME": f"{scratch}/{kind.lower()}" for kind in ("STATE", "DATA", "CONFIG")}
        for name in ("COLORTERM", "COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        os.environ.update(environment)
        _print_table(options.sizes, options.seconds, Path(scratch), environment)


def _print_table(sizes: list[str], seconds: float, scratch: Path, environment: dict[str, str]) -> None:
    from tests.trainer.run.fake_trainer import fake_resolved, write_run
    from trainer.run import create_run

    finished = write_run(scratch / "finished", steps=_STEPS_BEFORE)
    live = create_run("live", fake_resolved())
    trainer = subprocess.Popen([sys.executable, "-c", _TRAINER, str(live.path)], cwd=_ROOT, start_new_session=True)
    print("    size       run  first frame    (cpu)   bytes/s     cpu    memory   s key")
    try:
        for size in sizes:
            columns, rows = (int(part) for part in re.split("[x×]", size))
            for name, run in (("finished", finished.path), ("1 Hz", live.path)):
                got = measure(columns, rows, run, seconds, environment)
                figures = (
                    f"{got.first_frame:>9.2f} s {got.first_frame_work:>6.2f} s {got.bytes_per_second:>9,.0f}",
                    f"{got.processor:>5.1f} % {got.memory / 2**20:>5.0f} MiB {got.echo * 1000:>4.0f} ms",
                )
                print(f"{size:>8} {name:>9}  {' '.join(figures)}", flush=True)
    finally:
        trainer.kill()
        trainer.wait()


if __name__ == "__main__":
    main()
