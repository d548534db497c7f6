"""A bar of rows done, on standard error, where that is a terminal. Not for runs: `progress.py` and `progress_view`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import PurePath
from types import TracebackType
from typing import Self

from tui.commands import output
from tui.commands.progress import duration
from tui.locale import text

_INTERVAL = 0.1
_FIRST = 0.4
_WIDTH = 24
_NAME_WIDTH = 24


class ProgressBar:
    """One line that is drawn over and over, ten times a second at most, and wiped at the end. Work that is done at once
    shows none.
    """

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
        self._started = time.monotonic()
        self._drawn = 0.0
        self._name = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown and self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def show(self, name: str, done: int, total: int | None) -> None:
        """So many rows of `name` are done, of so many, if that is known."""
        now = time.monotonic()
        if name != self._name:
            self._name, self._started = name, now
        if not self._shown or now - self._drawn < _INTERVAL or now - self._started < _FIRST:
            return
        self._drawn = now
        line = self.line(done, total, now - self._started)
        print(f"\r{output.cut(line, output.terminal_width() - 1)}\x1b[K", end="", file=sys.stderr, flush=True)

    def line(self, done: int, total: int | None, seconds: float) -> str:
        """What the bar says after so many seconds."""
        speed = done / seconds if seconds else 0.0
        name = output.cut(PurePath(self._name).name or self._name, _NAME_WIDTH)
        if not total:
            return text("data_commands.progress", name=name, done=f"{done:,}", speed=f"{speed:,.0f}")
        share = min(done / total, 1.0)
        filled = round(share * _WIDTH)
        left = duration((total - done) / speed) if speed and done < total else duration(0)
        return text(
            "data_commands.progress_of",
            name=name,
            bar="#" * filled + "." * (_WIDTH - filled),
            share=f"{share:.0%}",
            done=f"{done:,}",
            speed=f"{speed:,.0f}",
            left=left,
        )
