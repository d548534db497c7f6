"""The dashboard on real run directories: what it shows, and that its keys reach the trainer."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from tests.trainer.run.fake_trainer import write_run
from tests.tui.cockpit_world import (
    LiveRun,
    dashboard,
    own_folders,
    screen_text,
    speaking,
    until,
    until_drawn,
)
from tui.app import TrimtabApp
from tui.screens.dashboard_controls import parse_learning_rate
from tui.widgets.chart import Chart

SIZES = [(80, 24), (120, 40)]


@pytest.fixture(autouse=True)
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """English, and nothing of the user's."""
    with speaking("en"):
        yield own_folders(tmp_path, monkeypatch)


def braille(screen: str) -> int:
    return sum("\u2800" <= char <= "\u28ff" for char in screen)


# What it shows


@pytest.mark.parametrize("size", SIZES)
async def test_a_finished_run_shows_its_curves_and_says_what_comes_next(
    runs_folder: Path, size: tuple[int, int]
) -> None:
    run = write_run(runs_folder / "done")
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until_drawn(pilot)
        shown = screen_text(app)
        assert "done  finished" in shown
        assert "step 200/200" in shown
        assert "press c to chat with the tuned model" in shown
        assert "loss  0.4618" in shown
        assert "◆ evaluation 0.5618" in shown
        assert "learning rate" in shown
        assert "gradient norm" in shown
        assert "no NVIDIA GPU" in shown
        assert braille(shown) > 100
        for chart in app.screen.query(Chart):
            assert chart.picture is not None
            assert not chart.picture.is_empty


async def test_a_large_window_shows_samples_findings_and_events(runs_folder: Path) -> None:
    run = write_run(runs_folder / "done")
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        shown = screen_text(app)
        assert "I am Trim, after 200 steps." in shown
        assert "我是小调，训练了 200 步。" in shown
        assert "warning  loss rose to" in shown
        assert "200  end  finished" in shown


async def test_gauges_show_each_gpu(runs_folder: Path) -> None:
    live = LiveRun(gpus=2)
    live.train(20)
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: "FAKE H200 #1" in screen_text(app))
        shown = screen_text(app)
        assert "40.0/140 GiB" in shown
        assert "500/700 W" in shown
        assert "61 °C" in shown
    live.trainer.close()


async def test_the_curve_moves_while_the_run_goes_on() -> None:
    live = LiveRun()
    live.train(20)
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        assert "running" in screen_text(app)
        live.train(40)
        await until(pilot, lambda: "step  40/200" in screen_text(app))
        chart = app.screen.query_one("#loss", Chart)
        await until(pilot, lambda: chart.picture is not None and chart.picture.raw.steps[-1] == 40)
    live.trainer.close()


async def test_a_run_without_points_says_when_the_first_one_comes() -> None:
    live = LiveRun()
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "first loss after step" in screen_text(app))
        assert "loading the model" in screen_text(app)
    live.trainer.close()


async def test_no_run_at_all_says_what_to_do() -> None:
    app = TrimtabApp()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "Press 1 for Setup" in screen_text(app))


async def test_without_a_name_the_run_that_is_going_is_shown(runs_folder: Path) -> None:
    live = LiveRun("going")
    live.train(5)
    write_run(runs_folder / "newer")
    app = TrimtabApp()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "going  running" in screen_text(app))
    live.trainer.close()


@pytest.mark.parametrize(
    ("end", "word"), [("failed", "out of memory"), ("lost", "R resumes"), ("stopped", "R resumes")]
)
async def test_the_banner_says_how_it_ended_and_what_to_press(runs_folder: Path, end: str, word: str) -> None:
    run = write_run(runs_folder / "ended", end=end)
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_drawn(pilot)
        assert word in str(app.screen.query_one("#banner", Static).content)
        assert end in screen_text(app)


async def test_a_nan_is_a_mark_and_not_a_point(runs_folder: Path) -> None:
    run = write_run(runs_folder / "odd", nan_at=40)
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        shown = screen_text(app)
        assert "loss is nan at step 40" in shown
        picture = app.screen.query_one("#loss", Chart).picture
        assert picture is not None
        assert 40 not in picture.raw.steps
        assert ("!", "error") in picture.rows[-1]


@pytest.mark.parametrize("size", [(20, 10), (1, 1), (59, 40), (200, 14), (300, 90)])
async def test_any_size_is_drawn_without_a_crash(runs_folder: Path, size: tuple[int, int]) -> None:
    run = write_run(runs_folder / "done", steps=60)
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until_drawn(pilot)
        assert app.is_running
        if size == (20, 10):
            assert "step 60/60" in screen_text(app)


async def test_resizing_draws_the_charts_anew(runs_folder: Path) -> None:
    run = write_run(runs_folder / "done")
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        chart = app.screen.query_one("#loss", Chart)
        for size in ((80, 24), (20, 10), (100, 30)):
            await pilot.resize_terminal(*size)
        await until(pilot, lambda: chart.picture is not None and chart.picture.request == chart.request())


async def test_no_color_draws_everything(runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    run = write_run(runs_folder / "done")
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        await pilot.press("left", "question_mark", "escape", "r")
        assert app.theme == "ansi-dark"
        assert braille(screen_text(app)) > 100


async def test_the_language_switches_live_and_is_remembered(runs_folder: Path, tmp_path: Path) -> None:
    run = write_run(runs_folder / "done")
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        await pilot.press("L")
        shown = screen_text(app)
        for word in ("仪表盘", "损失", "学习率", "梯度范数", "已完成", "事件", "样例", "帮助"):
            assert word in shown
        assert "finished: press c" not in shown
        await pilot.press("L")
        assert "finished: press c" in screen_text(app)
    stored = tomllib.loads((tmp_path / "config/trimtab/settings.toml").read_text())
    assert stored["language"] == "en"


# Keys that change the view


async def test_the_cursor_shows_exact_values_in_all_charts(runs_folder: Path) -> None:
    run = write_run(runs_folder / "done", steps=40)
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        await pilot.press("left", "left")
        shown = screen_text(app)
        assert shown.count("step 39") >= 3
        assert "4.88e-6" in shown or "9.76e-6" in shown
        await pilot.press("escape")
        assert app.screen.query_one("#loss", Chart).cursor is None


async def test_zoom_log_scale_and_smoothing_change_the_picture(runs_folder: Path) -> None:
    run = write_run(runs_folder / "done")
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        chart = app.screen.query_one("#loss", Chart)

        def shown() -> bool:
            return chart.picture is not None and chart.picture.request == chart.request()

        await pilot.press("]")
        await until(pilot, lambda: shown() and chart.picture.across.low > 0)  # type: ignore[union-attr]
        await pilot.press("0")
        await until(pilot, lambda: shown() and chart.picture.across.low == 0)  # type: ignore[union-attr]
        await pilot.press("y")
        await until(pilot, lambda: shown() and "log scale" in screen_text(app))
        before = chart.smoothing
        await pilot.press("s")
        await until(pilot, shown)
        assert chart.smoothing != before
        assert app.screen.query_one("#learning_rate", Chart).smoothing == 0


async def test_a_pane_can_have_the_whole_body_and_give_it_back(runs_folder: Path) -> None:
    run = write_run(runs_folder / "done")
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_drawn(pilot)
        chart = app.screen.query_one("#loss", Chart)
        before = chart.size
        await pilot.press("z")
        await pilot.pause()
        assert chart.size.height > before.height
        assert app.screen.query_one("#grad_norm").size.area == 0
        await pilot.press("z")
        await pilot.pause()
        assert chart.size == before


async def test_the_log_takes_the_place_of_the_events(runs_folder: Path) -> None:
    run = write_run(runs_folder / "done")
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        await pilot.press("l")
        await until(pilot, lambda: "trimtab done" in screen_text(app))


# Keys that steer the run


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
        await until(pilot, lambda: "now 1.8e-4" in screen_text(app))
        app.screen.query_one(Input).value = "fast"
        await pilot.press("enter")
        assert "expected a number such as 1e-4" in screen_text(app)
        assert live.commands() == []
        app.screen.query_one(Input).value = "x0.5"
        await pilot.pause()
        assert "times 0.5: about 9e-5 now" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: live.commands() == [("set", {"name": "learning_rate_scale", "value": 0.5})])
        live.answer()
        live.train(22)
        await until(pilot, lambda: "set: learning_rate_scale = 0.5" in screen_text(app))
        chart = dashboard(app).query_one("#loss", Chart)
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
