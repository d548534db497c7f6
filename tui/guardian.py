"""A small parent process that puts the terminal right when the drawing process is killed. Not for anything else.

Textual restores the terminal when it ends by itself. After SIGKILL, an abort in native code or the kernel's
out-of-memory killer nobody does: the user would sit before a raw terminal with mouse codes.
"""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from tui.locale import text

# Leave the alternate screen, show the cursor, switch off mouse, paste, focus and key reports, wrap on, colours off.
RESTORE = (
    "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"
    "\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[?2026l\x1b[<u\x1b[?7h\x1b[0m"
)


def guarded(draw: Callable[[], int]) -> int:
    """Run `draw` in a child process and return its exit status; restore the terminal when a signal killed it."""
    try:
        terminal = termios.tcgetattr(0)
    except termios.error:
        return draw()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _run_child(draw)
    previous = _forward_signals(child)
    try:
        status = _wait(child)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return code
    os.write(2, RESTORE.encode())
    try:
        termios.tcsetattr(0, termios.TCSANOW, terminal)
    except termios.error:
        return 128 - code  # the terminal itself is gone
    print(text("common.guardian_killed", signal=signal.Signals(-code).name), file=sys.stderr)
    return 128 - code


def _run_child(draw: Callable[[], int]) -> None:
    """In the child: draw, then leave without the exit handlers that belong to the parent."""
    code = 1
    try:
        code = draw()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _forward_signals(child: int) -> dict[signal.Signals, Any]:
    """Hand TERM and HUP on to the child; keys that send signals are the child's business alone."""

    def forward(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    previous: dict[signal.Signals, Any] = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        previous[number] = signal.signal(number, forward)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        previous[number] = signal.signal(number, signal.SIG_IGN)
    return previous


def _wait(child: int) -> int:
    """Wait for the end of the child; stop and go on together with it."""
    while True:
        _pid, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return status
        os.kill(os.getpid(), signal.SIGSTOP)
        os.kill(child, signal.SIGCONT)
