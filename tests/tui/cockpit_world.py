"""The world of the cockpit's tests: folders of the test's own, run directories, and waiting for what a thread does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.trainer.run.fake_trainer import FakeTrainer, Settings, fake_resolved
from trainer.run import RunDirectory, create_run
from tui.app import TrimtabApp
from tui.locale import language, set_language
from tui.run_feed import RunSnapshot
from tui.screens.dashboard import DashboardScreen


def own_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the user is read or written; gives the runs folder."""
    monkeypatch.setenv("TRIMTAB_RUNS", str(folder / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    for name in ("NO_COLOR", "TRIMTAB_ASCII"):
        monkeypatch.delenv(name, raising=False)
    return folder / "runs"


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """The language of the catalogue, put back afterwards."""
    before = language()
    set_language(name)
    try:
        yield
    finally:
        set_language(before)


class LiveRun:
    """A run that goes on in this very process, step by step, when the test says so."""

    def __init__(self, name: str = "live", **settings: object) -> None:
        self.run: RunDirectory = create_run("demo", fake_resolved(), name=name)
        self.trainer = FakeTrainer(self.run, Settings(**({"steps": 200, "eval_steps": 20} | settings)))  # type: ignore[arg-type]

    def train(self, until: int) -> None:
        """Go on to this step; obeys commands on the way."""
        self.trainer.play(until=until)

    def answer(self) -> None:
        """Obey the commands that have arrived, without a step."""
        for command in self.trainer.inbox.poll():
            self.trainer.events.write(self._answer(command))

    def _answer(self, command: object) -> object:
        from trainer.run import Command, CommandResultEvent

        assert isinstance(command, Command)
        accepted, text = self.trainer._do(command)
        return CommandResultEvent(command.number, command.verb, command.arguments, self.trainer.step, accepted, text)

    def commands(self) -> list[tuple[str, dict[str, object]]]:
        """Verb and arguments of every command in the run directory, in order."""
        import json

        files = sorted(self.run.commands_folder.glob("[0-9]*.json"))
        records = [json.loads(file.read_text()) for file in files]
        return [(record["verb"], record["arguments"]) for record in records]


async def until(pilot: Pilot[int], condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that the feed's thread, or a worker, brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen:\n" + screen_text(pilot.app)
        await asyncio.sleep(0.02)
        await pilot.pause()


async def until_drawn(pilot: Pilot[int]) -> RunSnapshot:
    """Wait until the dashboard shows the whole run with its curves."""

    def drawn() -> bool:
        screen = pilot.app.screen_stack[0]
        if not isinstance(screen, DashboardScreen) or screen.snapshot is None or not screen.snapshot.complete:
            return False
        chart = screen.query_one("#main-curve")
        return chart.size.area == 0 or getattr(chart, "picture", None) is not None

    await until(pilot, drawn)
    return dashboard(pilot.app).snapshot  # type: ignore[return-value]


def dashboard(app: object) -> DashboardScreen:
    """The dashboard at the bottom of the screen stack."""
    assert isinstance(app, TrimtabApp)
    screen = app.screen_stack[0]
    assert isinstance(screen, DashboardScreen)
    return screen


def screen_text(app: object) -> str:
    """What stands on the screen, as rows of text."""
    assert isinstance(app, TrimtabApp)
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())
