"""The dashboard on real run directories: what it shows, and the keys that change the view."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from textual.widgets import Static

from tests.trainer.run.fake_trainer import write_run
from tests.tui.cockpit_world import (
    LiveRun,
    dashboard,
    screen_text,
    until,
    until_drawn,
)
from trainer.run import EvaluationEvent, FindingEvent
from tui.app import TrimtabApp
from tui.run_feed import unique_findings
from tui.screens.dashboard_texts import event_rows
from tui.screens.review import ReviewScreen
from tui.widgets import glyphs
from tui.widgets.chart import Chart

SIZES = [(80, 24), (120, 40)]


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
        shown_charts = [chart for chart in app.screen.query(Chart) if chart.is_on_screen]
        assert len(shown_charts) == (3 if size == (80, 24) else 5)
        for chart in shown_charts:
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
        chart = app.screen.query_one("#main-curve", Chart)
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
        assert "t trains the demo" in screen_text(app)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen))


def test_what_a_resumed_run_says_again_is_shown_once() -> None:
    said = [FindingEvent("device", "info", "training on the CPU", 0), FindingEvent("nan", "warning", "nan", 40)]
    assert unique_findings([*said, *said]) == (said[0], said[1])


async def test_notes_by_the_way_have_no_letter_on_the_ruler(runs_folder: Path) -> None:
    live = LiveRun()
    live.trainer.events.write(FindingEvent("device", "info", "trained on 11153 tokens\nof text", 0))
    live.train(20)
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        picture = app.screen.query_one("#main-curve", Chart).picture
        assert picture is not None
        assert all(mark.letter != "F" for mark in picture.marks)
        assert "i      0  finding  trained on 11,153 tokens of text" in screen_text(app)
        assert "E     20  evaluation  eval_loss" in screen_text(app)
    live.trainer.close()


async def test_an_evaluation_tells_what_answers_scored_on_a_small_terminal(runs_folder: Path) -> None:
    live = LiveRun(eval_steps=1000)
    live.train(20)
    values = {"eval_loss": 0.5, "eval_runtime": 3.0, "eval_accuracy": 0.4, "eval_rouge-l": 61.2, "eval_bleu-4": 45.0}
    live.trainer.events.write(EvaluationEvent(20, values))
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_drawn(pilot)
        shown = "E     20  evaluation  eval_loss 0.5000 rouge-l 61.200 bleu-4 45.000 accuracy"
        await until(pilot, lambda: shown in screen_text(app))
        assert "runtime" not in screen_text(app)
    live.trainer.close()


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (100, 30)])
async def test_the_loss_chart_has_its_axis_at_every_size(runs_folder: Path, size: tuple[int, int]) -> None:
    run = write_run(runs_folder / "done")
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        chart = app.screen.query_one("#main-curve", Chart)
        await pilot.resize_terminal(*size)
        await until(pilot, lambda: chart.picture is not None and chart.picture.request == chart.request())
        axis = next(at for at, row in enumerate(screen_text(app).splitlines()) if "╰0 " in row)
        assert chart.region.y + 5 <= axis < chart.region.bottom


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
        events = event_rows(dashboard(app).snapshot)
        assert any("loss is nan at step 40" in piece for row in events for piece, _ in row)
        picture = app.screen.query_one("#main-curve", Chart).picture
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
        chart = app.screen.query_one("#main-curve", Chart)
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


async def test_plain_characters_are_enough(runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_ASCII", "1")
    glyphs.ascii_only.cache_clear()
    run = write_run(runs_folder / "done")
    app = TrimtabApp(run=run.path)
    try:
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await until_drawn(pilot)
            await pilot.press("left", "y")
            await pilot.pause(0.3)
            assert screen_text(app).isascii()
            assert "*" in screen_text(app)
    finally:
        glyphs.ascii_only.cache_clear()


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
        assert app.screen.query_one("#main-curve", Chart).cursor is None


async def test_zoom_log_scale_and_smoothing_change_the_picture(runs_folder: Path) -> None:
    run = write_run(runs_folder / "done")
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_drawn(pilot)
        chart = app.screen.query_one("#main-curve", Chart)

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
        assert app.screen.query_one("#curve-1", Chart).smoothing == 0


async def test_a_pane_can_have_the_whole_body_and_give_it_back(runs_folder: Path) -> None:
    run = write_run(runs_folder / "done")
    app = TrimtabApp(run=run.path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_drawn(pilot)
        chart = app.screen.query_one("#main-curve", Chart)
        before = chart.size
        await pilot.press("z")
        await pilot.pause()
        assert chart.size.height > before.height
        assert app.screen.query_one("#curve-2").size.area == 0
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
