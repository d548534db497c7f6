"""The Runs screen in the real app, on run directories written by the fake trainer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from tests.trainer.run.fake_trainer import fake_program, write_run
from trainer.run import RunDirectory, RunState, launch, list_checkpoints
from tui.app import TrimtabApp
from tui.locale import set_language
from tui.screens.runs import RunsScreen
from tui.widgets.confirmation import Confirmation
from tui.widgets.run_table import RunTable

SIZE = (120, 40)


@pytest.fixture
def folder(runs_folder: Path) -> Path:
    return runs_folder


async def until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    """Let the app work until something holds."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await pilot.pause(0.02)
    await pilot.pause(0.1)


def names(app: TrimtabApp) -> list[str]:
    table = app.screen.query_one(RunTable)
    return [str(table.get_row_at(at)[0]) for at in range(table.row_count)]


def cell(app: TrimtabApp, row: int, column: str) -> str:
    table = app.screen.query_one(RunTable)
    return str(table.get_row_at(row)[table.get_column_index(column)])


def said(app: TrimtabApp, where: str) -> str:
    return str(app.screen.query_one(where, Static).content)


def toasts(app: TrimtabApp) -> str:
    return " ".join(toast.message for toast in app._notifications)


async def opened(app: TrimtabApp, pilot: Pilot[Any], count: int) -> RunsScreen:
    await until(pilot, lambda: isinstance(app.screen, RunsScreen) and len(names(app)) == count)
    await until(pilot, lambda: said(app, "#details-facts"))
    screen = app.screen
    assert isinstance(screen, RunsScreen)
    return screen


async def test_every_run_stands_there_with_its_state(folder: Path) -> None:
    for name, end in (("first", "finished"), ("second", "failed"), ("third", "lost")):
        write_run(folder / name, end=end, steps=40, save_steps=10)
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=SIZE) as pilot:
        await opened(app, pilot, 3)
        assert names(app) == ["third", "second", "first"]
        assert [cell(app, row, "state") for row in range(3)] == ["lost", "failed", "finished"]
        assert cell(app, 2, "step") == "40/40"
        assert cell(app, 2, "checkpoints") == "3"
        assert "R resumes" in said(app, "#details-facts")
        await pilot.press("j")
        await until(pilot, lambda: "CUDA out of memory" in said(app, "#details-facts"))


async def test_details_show_changes_and_damaged_checkpoints(folder: Path) -> None:
    run = write_run(folder / "first", steps=40, save_steps=20)
    newest = list_checkpoints(run.checkpoints_folder)[-1]
    (newest.path / "adapter_model.safetensors").write_bytes(b"short")
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=SIZE) as pilot:
        await opened(app, pilot, 1)
        assert "data.dataset" in said(app, "#details-facts")
        checkpoints = said(app, "#details-checkpoints")
        assert "good" in checkpoints
        assert "step-00000040  damaged:" in checkpoints
        await pilot.press("v")
        await until(pilot, lambda: "verified" in said(app, "#details-checkpoints"))


async def test_a_run_whose_preset_file_is_gone_says_so_calmly(folder: Path) -> None:
    run = write_run(folder / "first", steps=20)
    record = json.loads(run.identity_file.read_text())
    run.identity_file.write_text(json.dumps(record | {"preset": "my-lost-one"}))
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=SIZE) as pilot:
        await opened(app, pilot, 1)
        assert "preset file not known: my-lost-one" in said(app, "#details-facts")


async def test_home_and_end_go_to_the_first_and_last_run(folder: Path) -> None:
    for name in ("first", "second", "third"):
        write_run(folder / name, steps=20)
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(app, pilot, 3)
        table = screen.query_one(RunTable)
        for key, row in (("end", 2), ("home", 0), ("G", 2), ("g", 0)):
            await pilot.press(key)
            assert table.cursor_row == row


async def test_enter_opens_the_run_and_c_its_newest_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(folder / "first", steps=20, save_steps=10)
    calls: list[tuple[Any, ...]] = []
    app = TrimtabApp(screen="runs")
    monkeypatch.setattr(app, "open_run", lambda path: calls.append(("run", path)))
    monkeypatch.setattr(app, "open_chat", lambda checkpoint, path: calls.append(("chat", checkpoint, path)))
    async with app.run_test(size=SIZE) as pilot:
        await opened(app, pilot, 1)
        await pilot.press("enter")
        await pilot.press("c")
        await pilot.pause()
    assert calls == [("run", run.path), ("chat", None, run.path)]


async def test_delete_asks_first(folder: Path) -> None:
    run = write_run(folder / "first", steps=20)
    write_run(folder / "second", steps=20)
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(app, pilot, 2)
        screen.query_one(RunTable).select(run.path)
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, Confirmation))
        await pilot.press("n")
        await pilot.pause()
        assert run.path.exists()
        await pilot.press("delete")
        await until(pilot, lambda: isinstance(app.screen, Confirmation))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and names(app) == ["second"])
    assert not run.path.exists()


async def test_a_going_run_is_stopped_with_a_save_and_resumed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(folder / "first", steps=20, save_steps=10, end="stopped")
    program = fake_program(steps=5000, delay=0.01, save_steps=5000)
    monkeypatch.setattr("tui.screens.runs.launch", lambda run, resume: launch(run, resume=resume, program=program))
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=SIZE) as pilot:
        await opened(app, pilot, 1)
        await pilot.press("x")
        assert "is not going" in toasts(app)
        await pilot.press("R")
        await until(pilot, lambda: cell(app, 0, "state") == "running")
        await pilot.press("D")
        await pilot.pause()
        assert "stop it first" in toasts(app)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Confirmation))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and cell(app, 0, "state") == "stopped")
    assert run.state() is RunState.STOPPED
    assert list_checkpoints(run.checkpoints_folder)[-1].step > 20


async def test_the_filter_and_the_empty_screen(folder: Path) -> None:
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "No runs yet" in said(app, "#runs-empty"))
        write_run(folder / "apple", steps=20)
        write_run(folder / "pear", steps=20, end="failed")
        await opened(app, pilot, 2)
        await pilot.press("slash")
        await pilot.press(*"failed")
        await until(pilot, lambda: names(app) == ["pear"])
        await pilot.press(*"xyz")
        await until(pilot, lambda: "No run matches" in said(app, "#runs-empty"))
        await pilot.press("escape")
        await until(pilot, lambda: len(names(app)) == 2)
        assert isinstance(app.focused, RunTable)


async def test_the_cursor_stays_on_its_run_when_another_appears(folder: Path) -> None:
    run = write_run(folder / "apple", steps=20)
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(app, pilot, 1)
        write_run(folder / "pear", steps=20)
        await until(pilot, lambda: len(names(app)) == 2)
        current = screen.query_one(RunTable).current
        assert current is not None
        assert current.path == run.path


async def test_the_cursor_goes_to_the_run_that_was_opened_meanwhile(folder: Path) -> None:
    write_run(folder / "old", steps=20)
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(app, pilot, 1)
        new = write_run(folder / "new", steps=20, end="stopped")
        app.open_run(new.path)
        await pilot.press("3")
        await until(pilot, lambda: names(app) == ["new", "old"])
        # A resume must not go to the run that the cursor stood on before.
        current = screen.query_one(RunTable).current
        assert current is not None
        assert current.path == new.path
        assert cell(app, 0, "stage") == "sft"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (20, 10)])
async def test_every_size_and_both_languages(folder: Path, size: tuple[int, int]) -> None:
    run = write_run(folder / "apple", steps=20)
    assert isinstance(run, RunDirectory)
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=size) as pilot:
        await opened(app, pilot, 1)
        app.action_switch_language()
        await pilot.pause(0.2)
        assert cell(app, 0, "state") == "已完成"
        assert "预设" in said(app, "#details-facts")
    set_language("en")
