"""How far the preparation of the rows is, for the dashboard and the command line. Not for events: the status has it."""

from __future__ import annotations

import time
from collections.abc import Callable

from .session import RunSession

_EVERY_SECONDS = 2.0


class PreparationProgress:
    """Called while rows are prepared; tells the run's status every two seconds."""

    def __init__(self, session: RunSession, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock = clock
        self._dataset = ""
        self._since = self._said = self._last = clock()

    def __call__(self, done: int, total: int | None, dataset: str = "") -> None:
        """`done` rows of `total`, if that is known, of a data set."""
        now = self._clock()
        if dataset != self._dataset:
            self._dataset, self._since = dataset, self._last
        self._last = now
        if now - self._said >= _EVERY_SECONDS:
            self._said = now
            text = progress_text(done, total, dataset, now - self._since)
            self._session.status.update(message=text, rows=done, total_rows=total or 0)


def progress_text(done: int, total: int | None, dataset: str, seconds: float) -> str:
    """The state after `seconds` of work in words; totals are estimates until the last row is read."""
    where = f" of {dataset}" if dataset else ""
    if not total or done > total:
        return f"reading data: {done:,} rows{where}"
    left = f", {_duration(seconds * (total - done) / done)} left" if done and seconds else ""
    return f"reading data: {done:,} of about {total:,} rows{where}{left}"


def _duration(seconds: float) -> str:
    """Whole seconds, or minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
