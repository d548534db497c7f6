"""The live controls of the dashboard: keys become commands in the run directory, answers become toasts and marks."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from tests.trainer.run.fake_trainer import write_run
from tests.tui.cockpit_world import LiveRun, dashboard, screen_text, until, until_drawn
from tui.app import TrimtabApp
from tui.screens.dashboard_controls import parse_learning_rate
from tui.widgets.chart import Chart


async def test_keys_send_commands_and_tell_what_came_of_them() -> None:
    live = LiveRun()
    live.train(20)
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        await pilot.press("w", "e", "g")
        await until(pilot, lambda: len(live.commands()) == 3)
        assert sorted(verb for verb, _ in live.commands()) == ["evaluate", "sample", "save"]
        live.answer()
        await until(pilot, lambda: "save: done" in screen_text(app))
        await until(pilot, lambda: "on command" in screen_text(app))
    live.trainer.close()


async def test_the_learning_rate_is_asked_for_checked_and_marked() -> None:
    live = LiveRun()
    live.train(20)
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        await pilot.press("r")
        await until(pilot, lambda: "now 1.8e-4, peak of the schedule 1e-4" in screen_text(app))
        app.screen.query_one(Input).value = "fast"
        await pilot.press("enter")
        assert "expected a number such as 1e-4" in screen_text(app)
        assert live.commands() == []
        app.screen.query_one(Input).value = "x0.5"
        await pilot.pause()
        assert "times 0.5: peak 5e-5, about 9e-5 now" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: live.commands() == [("set", {"name": "learning_rate_scale", "value": 0.5})])
        live.answer()
        live.train(22)
        await until(pilot, lambda: "set: learning_rate_scale = 0.5" in screen_text(app))
        chart = dashboard(app).query_one("#main-curve", Chart)
        await until(pilot, lambda: chart.picture is not None and ("L", "mark") in chart.picture.rows[-1])
    live.trainer.close()


async def test_a_refused_command_says_why() -> None:
    live = LiveRun()
    live.train(20)
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        dashboard(app)._controls.send("set", name="learning_rate", value=-1)
        await until(pilot, lambda: len(live.commands()) == 1)
        live.answer()
        await until(pilot, lambda: "set refused: learning_rate must be a number above 0" in screen_text(app))
    live.trainer.close()


@pytest.mark.parametrize(
    ("keys", "expected"),
    [(["enter"], [("stop", {"save": True})]), (["down", "enter"], [("stop", {"save": False})]), (["escape"], [])],
)
async def test_stopping_is_asked_first(keys: list[str], expected: list[object]) -> None:
    live = LiveRun()
    live.train(20)
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_drawn(pilot)
        await pilot.press("x")
        await until(pilot, lambda: "stop without saving" in screen_text(app))
        await pilot.press(*keys)
        await until(pilot, lambda: app.screen is dashboard(app) and live.commands() == expected)
    live.trainer.close()


async def test_pause_and_go_on_share_a_key() -> None:
    live = LiveRun()
    live.train(20)
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_drawn(pilot)
        await until(pilot, lambda: "p pause" in screen_text(app))
        await pilot.press("p")
        await until(pilot, lambda: [verb for verb, _ in live.commands()] == ["pause"])
        live.answer()
        await until(pilot, lambda: "p go on" in screen_text(app))
        assert "paused: p goes on" in screen_text(app)
        await pilot.press("p")
        await until(pilot, lambda: [verb for verb, _ in live.commands()] == ["pause", "resume"])
    live.trainer.close()


async def test_a_note_is_kept_with_the_run() -> None:
    live = LiveRun()
    live.train(20)
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        await pilot.press("n", *"tea", "enter")
        await until(pilot, lambda: live.commands() == [("note", {"text": "tea"})])
    live.trainer.close()


async def test_an_ended_run_offers_no_live_keys_and_can_be_resumed(
    runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(runs_folder / "ended", end="stopped")
    asked = []
    monkeypatch.setattr("trainer.run.launch", lambda run, *, resume: asked.append((run.name, resume)))
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        await pilot.press("p", "w", "x")
        assert app.screen is dashboard(app)
        assert list(run.commands_folder.iterdir()) == []
        await pilot.press("R")
        await until(pilot, lambda: asked == [("ended", True)])
        await until(pilot, lambda: "is starting again" in screen_text(app))


async def test_chat_opens_with_the_run_that_is_shown(runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(runs_folder / "done")
    opened: list[Path | None] = []
    monkeypatch.setattr(TrimtabApp, "open_chat", lambda app, checkpoint=None, run=None: opened.append(run))
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_drawn(pilot)
        await pilot.press("c")
        assert opened == [run.path]


@pytest.mark.parametrize(
    ("entry", "meaning"),
    [
        ("1e-4", ("learning_rate", 1e-4)),
        (" 0.0002 ", ("learning_rate", 2e-4)),
        ("x0.5", ("learning_rate_scale", 0.5)),
        ("*2", ("learning_rate_scale", 2.0)),
        ("×2", ("learning_rate_scale", 2.0)),
        ("50%", ("learning_rate_scale", 0.5)),
    ],
)
def test_a_learning_rate_can_be_written_in_several_ways(entry: str, meaning: tuple[str, float]) -> None:
    assert parse_learning_rate(entry) == meaning


@pytest.mark.parametrize("entry", ["", "x", "abc", "0", "-1e-4", "nan", "inf", "x0", "50", "1e-4 2"])
def test_a_wrong_learning_rate_is_refused_with_a_sentence(entry: str) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        parse_learning_rate(entry)
