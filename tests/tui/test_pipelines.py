"""Pipelines in the real app: on the Runs screen, on the dashboard of a part, and from Presets to the start.

Runs are written by the fake trainer; where something is started, the leader is the real one.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from tests.trainer.run.fake_leader import LONG, THREE_PARTS, fake_leader
from tests.trainer.run.fake_trainer import fake_resolved, write_run
from tests.tui.cockpit_world import LiveRun, screen_text, until, until_drawn
from trainer.config import Finding
from trainer.config.pipeline import read_pipeline
from trainer.paths import user_presets_folder
from trainer.run import RunDirectory, RunState, create_run
from trainer.run.leading import launch_pipeline
from trainer.run.pipeline import Pipeline, create_pipeline, find_pipeline
from tui.app import TrimtabApp
from tui.inspect_client import InspectClient
from tui.screens.dashboard import DashboardScreen
from tui.screens.presets import PresetsScreen
from tui.screens.runs import RunsScreen
from tui.widgets.confirmation import Confirmation
from tui.widgets.run_table import RunTable

PARTS = f"""description = "Three in a row"
{THREE_PARTS}"""
SIZE = (120, 40)
WORKER = (sys.executable, str(Path(__file__).with_name("fake_inspect_worker.py")))


@pytest.fixture(autouse=True)
def own_world(monkeypatch: pytest.MonkeyPatch) -> None:
    async def little(values: dict[str, dict[str, object]]) -> tuple[Finding, ...]:
        # As the real check does, before the judge is there.
        missing = Finding("reward_model_missing", "error", ("ppo.reward_model",), "there is no such folder")
        return (missing,) if values["ppo"].get("reward_model") else ()

    monkeypatch.setattr("tui.screens.pipeline_review.ask_preflight", little)
    monkeypatch.setattr("tui.screens.pipeline_review.InspectClient", functools.partial(InspectClient, WORKER))


def made(name: str = "trio") -> Pipeline:
    return create_pipeline(name, read_pipeline(own_file()))


def own_file(name: str = "trio") -> Path:
    file = user_presets_folder() / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(PARTS, encoding="utf-8")
    return file


def lines(app: TrimtabApp) -> list[str]:
    table = app.screen.query_one(RunTable)
    if "step" not in [key.value for key in table.columns]:
        return []  # not laid out yet
    columns = [table.get_column_index(name) for name in ("name", "state", "step")]
    rows = [table.get_row_at(at) for at in range(table.row_count)]
    return [" ".join(str(row[column]) for column in columns).strip() for row in rows]


def said(app: TrimtabApp, where: str) -> str:
    return str(app.screen.query_one(where, Static).content)


def toasts(app: TrimtabApp) -> str:
    return " ".join(toast.message for toast in app._notifications)


async def runs_shown(pilot: Pilot[int], *expected: str) -> None:
    app = pilot.app
    assert isinstance(app, TrimtabApp)
    await until(pilot, lambda: isinstance(app.screen, RunsScreen) and lines(app) == list(expected))


# On the Runs screen


async def test_a_pipeline_is_one_line_with_its_parts_below(runs_folder: Path) -> None:
    made()
    write_run(runs_folder / "trio.sft", steps=20, save_steps=10)
    write_run(runs_folder / "trio.评判", steps=20, end="failed")
    write_run(runs_folder / "apple", steps=20)
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=SIZE) as pilot:
        whole = ("▾ trio failed 2/3", "1 sft finished 20/20", "2 评判 failed 12/20", "3 ppo waits –")
        await runs_shown(pilot, "apple finished 20/20", *whole)
        table = app.screen.query_one(RunTable)
        table.select(runs_folder / "trio")
        await until(pilot, lambda: "failed, part 2 of 3: 评判" in said(app, "#details-facts"))
        assert "CUDA out of memory" in said(app, "#details-facts")
        parts = said(app, "#details-checkpoints")
        assert "✓ 1 sft   sft   finished" in parts
        assert "· 3 ppo   ppo   waits" in parts
        await pilot.press("space")
        await runs_shown(pilot, "apple finished 20/20", "▸ trio failed 2/3")
        await pilot.press("space")
        await pilot.press("slash", *"ppo waits")
        await pilot.press("backspace", *(["backspace"] * 5))
        await runs_shown(pilot, *whole)
        await pilot.press("escape")
        table.select(runs_folder / "trio.评判")
        await until(pilot, lambda: "part 2 of 3 of pipeline trio" in said(app, "#details-facts"))


async def test_enter_opens_the_part_it_is_at_and_c_the_last_model(
    runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made()
    first = write_run(runs_folder / "trio.sft", steps=20, save_steps=10)
    second = write_run(runs_folder / "trio.评判", steps=5, end="failed")
    calls: list[tuple[object, ...]] = []
    app = TrimtabApp(screen="runs")
    monkeypatch.setattr(app, "open_run", lambda path: calls.append(("run", path)))
    monkeypatch.setattr(app, "open_chat", lambda checkpoint, path: calls.append(("chat", path)))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and len(lines(app)) == 4)
        await pilot.press("home", "enter")
        await until(pilot, lambda: calls == [("run", second.path)])
        await pilot.press("c")
        await until(pilot, lambda: calls[1:] == [("chat", first.path)])
        await pilot.press("end", "enter")
        await until(pilot, lambda: "Part trio.ppo has not begun" in toasts(app))
    assert len(calls) == 2


async def test_it_is_stopped_resumed_and_deleted_as_one(runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made()
    write_run(runs_folder / "trio.sft", steps=20, save_steps=10)
    led = functools.partial(launch_pipeline, program=fake_leader(评判=LONG))
    monkeypatch.setattr("tui.screens.runs.launch_pipeline", led)
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and len(lines(app)) == 4)
        await pilot.press("home", "x")
        await until(pilot, lambda: "is not going" in toasts(app))
        await pilot.press("R")
        await until(pilot, lambda: lines(app)[0] == "▾ trio running 2/3")
        await pilot.press("D")
        assert "stop it first" in toasts(app)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Confirmation))
        assert "running, part 2 of 3: 评判" in screen_text(app)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and lines(app)[0] == "▾ trio stopped 2/3")
        pipeline = find_pipeline("trio")
        assert pipeline is not None
        await until(pilot, lambda: not pipeline.is_led())
        assert pipeline.states() == (RunState.FINISHED, RunState.STOPPED, None)
        app.screen.query_one(RunTable).select(runs_folder / "trio")
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, Confirmation))
        assert "trio.sft, trio.评判" in screen_text(app)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and lines(app) == [])
    assert list(runs_folder.iterdir()) == []


# On the dashboard


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_dashboard_of_a_part_shows_all_parts_and_changes_between_them(
    runs_folder: Path, size: tuple[int, int]
) -> None:
    made()
    write_run(runs_folder / "trio.sft", steps=20)
    second = write_run(runs_folder / "trio.评判", steps=20, end="stopped")
    app = TrimtabApp(run=second.path)
    async with app.run_test(size=size) as pilot:
        await until_drawn(pilot)
        assert "part 2 of 3: 评判   ✓ sft  ■ [评判]  · ppo" in screen_text(app)
        await pilot.press("greater_than_sign")
        assert "Part ppo has not begun" in toasts(app)
        await pilot.press("less_than_sign")
        await until(pilot, lambda: "part 1 of 3: sft   ✓ [sft]" in screen_text(app))
        # The part that is shown is done, the pipeline is not.
        assert "pipeline trio: stopped, part 2 of 3: 评判. R goes on" in screen_text(app)
        await pilot.press("less_than_sign")
        await pilot.pause()
        assert app.current_run == RunDirectory(runs_folder / "trio.sft")


async def test_who_watches_a_part_is_led_to_the_next_one(runs_folder: Path) -> None:
    made()
    first = LiveRun("trio.sft", steps=10)
    first.train(5)
    app = TrimtabApp(run=first.run.path)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "part 1 of 3: sft   ▶ [sft]" in screen_text(app))
        # Nobody leads: what comes after is not started by itself, and that is said.
        assert "nothing comes after it" in screen_text(app)
        first.train(10)
        await until(pilot, lambda: "✓ [sft]" in screen_text(app))
        second = LiveRun("trio.评判", steps=10)
        second.train(3)
        await until(pilot, lambda: "part 2 of 3: 评判   ✓ sft  ▶ [评判]" in screen_text(app))
        assert "Part sft is done" in toasts(app)
        # Back at the first part by choice, it stays there.
        await pilot.press("less_than_sign")
        await until(pilot, lambda: "part 1 of 3: sft   ✓ [sft]  ▶ 评判" in screen_text(app))
        await pilot.pause(1.2)
        assert app.current_run == first.run


async def test_a_run_with_a_dot_in_its_name_is_no_part(runs_folder: Path) -> None:
    made()
    run = create_run("demo", fake_resolved(), name="trio.other")
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen) and app.screen.snapshot is not None)
        assert "part" not in screen_text(app)


# From Presets to the start


async def test_from_presets_it_is_checked_and_started_in_the_background(
    runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_file()
    led = functools.partial(launch_pipeline, program=fake_leader(sft=LONG))
    monkeypatch.setattr("tui.screens.pipeline_review.launch_pipeline", led)
    app = TrimtabApp(screen="presets")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, PresetsScreen) and "sft→rm→ppo" in screen_text(app))
        await pilot.press("home", "enter")
        await until(pilot, lambda: "Enter starts trio-1" in screen_text(app))
        await until(pilot, lambda: screen_text(app).count("GiB free") == 3)
        shown = screen_text(app)
        assert "Part 3 of 3: ppo (ppo)" in shown
        assert "starts from what sft, 评判 will have made, which is not there yet" in shown
        assert str(own_file()) in shown
        await pilot.press("enter")
        await until(pilot, lambda: "part 1 of 3: sft" in screen_text(app))
    pipeline = find_pipeline("trio-1")
    assert pipeline is not None
    assert pipeline.is_led()
    from tui.command_line import main

    assert main(["stop", "--now", "trio-1"]) == 0


async def test_a_pipeline_with_a_mistake_is_not_started(runs_folder: Path) -> None:
    own_file().write_text(PARTS.replace('extends = "demo-rm"', 'extends = "demo-dpo"'), encoding="utf-8")
    app = TrimtabApp(screen="presets")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, PresetsScreen) and "sft→dpo→ppo" in screen_text(app))
        await pilot.press("home", "t")
        await until(pilot, lambda: "Cannot start yet. Errors: 1" in screen_text(app))
        assert "stage ppo needs a reward" in screen_text(app)
        await pilot.press("enter", "escape")
        await until(pilot, lambda: isinstance(app.screen, PresetsScreen))
    assert not runs_folder.exists() or list(runs_folder.iterdir()) == []
