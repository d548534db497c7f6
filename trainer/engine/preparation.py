"""How far the preparation is (a download, then the rows), for the dashboard and the command line.

Not for events: the status has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from trainer.data.hub.models import Download
from trainer.run import CommandResultEvent

from .session import RunSession

_EVERY_SECONDS = 2.0
_MEGABYTE = 1_000_000


class PreparationStopped(Exception):
    """The user wants the run to stop while it is still being prepared."""


class DownloadNews:
    """Called while a model is fetched; tells the run's status every two seconds, and obeys a stop at once."""

    def __init__(self, session: RunSession, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock = clock
        self._said = clock() - _EVERY_SECONDS

    def __call__(self, download: Download) -> None:
        """Raises: PreparationStopped."""
        self._obey()
        now = self._clock()
        if now - self._said >= _EVERY_SECONDS:
            self._said = now
            done, total = download.done // _MEGABYTE, download.total // _MEGABYTE
            self._session.status.update(message=download_text(download), rows=done, total_rows=total)

    def _obey(self) -> None:
        for command in self._session.inbox.poll():
            stops = command.verb == "stop"
            text = "stopped" if stops else "the model is being downloaded"
            self._session.events.write(
                CommandResultEvent(command.number, command.verb, command.arguments, 0, accepted=stops, text=text)
            )
            if stops:
                self._session.stop_reason = "stop command"
        if self._session.stop_reason:
            raise PreparationStopped


def download_text(download: Download) -> str:
    """The state in words: how much is here, how fast it comes, how long it takes."""
    unit, one = ("GB", 1e9) if download.total >= 1e9 else ("MB", 1e6)
    size = f"{download.done / one:.2f} of {download.total / one:.2f} {unit}"
    if download.fetched <= 0 or not download.seconds or download.seconds_left is None:
        return f"downloading {download.model.name}: {size}"
    speed = download.fetched / download.seconds / _MEGABYTE
    left = _duration(download.seconds_left)
    return f"downloading {download.model.name}: {size}, {speed:.1f} MB/s, {left} left"


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
