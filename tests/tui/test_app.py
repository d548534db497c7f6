"""The app around the screens: moving between them, help, palette, leaving; and the terminal that it leaves behind."""

from __future__ import annotations

import os
import signal
import tomllib
from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.widgets import Input, OptionList

from tests.trainer.run.fake_trainer import write_run
from tests.tui.cockpit_world import LiveRun, screen_text, until, until_drawn
from tests.tui.real_terminal import RealTerminal
from tui import cockpit, settings
from tui.app import ChatRequest, TrimtabApp
from tui.screens.base import CockpitScreen
from tui.screens.help import HelpScreen, entries_of
from tui.widgets.chart import Chart

# Screens


async def test_number_keys_open_the_screens(runs_folder: Path) -> None:
    app = TrimtabApp(run=write_run(runs_folder / "done", steps=40).path)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_drawn(pilot)
        for key, area in (("1", "setup"), ("3", "runs"), ("5", "presets"), ("2", "dashboard")):
            app.show_screen(area) if key == "2" else await pilot.press(key)
            await until(pilot, lambda area=area: isinstance(app.screen, CockpitScreen) and app.screen.area == area)


async def test_the_other_screens_show_the_run_in_the_top_bar(runs_folder: Path) -> None:
    app = TrimtabApp(run=write_run(runs_folder / "done", steps=40).path, screen="runs")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "done finished" in screen_text(app).splitlines()[0])


async def test_what_a_run_says_cannot_steer_the_terminal(runs_folder: Path) -> None:
    run = write_run(runs_folder / "sly", steps=20, end="failed")
    run.status_file.write_text(run.status_file.read_text().replace("CUDA", r"CUDA\u001b]0;mine\u0007"))
    recipe = run.recipe_file.read_text().replace('model_name_or_path = "', 'model_name_or_path = "sly\\u001b[31m')
    run.recipe_file.write_text(recipe)
    app = TrimtabApp(screen="runs")
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: "CUDA]0;mine out of memory" in screen_text(app))
        assert "sly[31m" in screen_text(app)
        assert all(line.isprintable() for line in screen_text(app).splitlines())


async def test_opening_another_run_replaces_the_one_that_is_shown(runs_folder: Path) -> None:
    first, second = write_run(runs_folder / "first"), write_run(runs_folder / "second", steps=40)
    app = TrimtabApp(run=first.path)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_drawn(pilot)
        app.open_run(second.path)
        await until(pilot, lambda: "second  finished" in screen_text(app))
        chart = app.screen.query_one("#main-curve", Chart)
        await until(pilot, lambda: chart.picture is not None and chart.picture.across.high == 40)


async def test_requests_wait_for_the_screen_that_takes_them(runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = TrimtabApp(preset="sft-lora")
    monkeypatch.setattr(app, "show_screen", lambda mode: None)
    assert app.setup_request == "sft-lora"
    app.open_chat(Path("checkpoint"), Path("run"))
    assert app.chat_request == ChatRequest(Path("checkpoint"), Path("run"))
    app.open_setup("full")
    assert app.setup_request == "full"


# Help and palette


async def test_the_help_lists_the_keys_of_the_screen_and_runs_them() -> None:
    live = LiveRun()
    live.train(20)
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_drawn(pilot)
        await pilot.press("?")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and "evaluate" in screen_text(app))
        assert "Letters below" in screen_text(app)
        await pilot.press(*"evalu")
        assert app.screen.query_one("#keys", OptionList).option_count == 1
        await pilot.press("enter")
        await until(pilot, lambda: [verb for verb, _ in live.commands()] == ["evaluate"])
    live.trainer.close()


async def test_every_binding_has_an_id_and_a_text_in_the_catalogue(runs_folder: Path) -> None:
    app = TrimtabApp(run=write_run(runs_folder / "done", steps=40).path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_drawn(pilot)
        own = {binding for node in (app, app.screen) for binding in node.BINDINGS}
        assert all(getattr(binding, "id", None) for binding in own)
        keys = {key for entry in entries_of(app.screen) for key in entry.keys.split()}
        assert {"s", "y", "L", "?", "f1", "q", "^q", "[", "]"} <= keys


async def test_the_palette_opens_with_a_colon_and_finds_keys_and_themes(runs_folder: Path) -> None:
    app = TrimtabApp(run=write_run(runs_folder / "done", steps=40).path)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_drawn(pilot)
        await pilot.press(":")
        await until(pilot, lambda: CommandPalette.is_open(app))
        app.screen.query_one(Input).value = "Theme: trimtab-light"
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count >= 1)
        await pilot.pause(0.3)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: app.theme == "trimtab-light")
    assert settings.load().theme == "trimtab-light"


async def test_the_palette_offers_our_commands_before_the_themes(runs_folder: Path) -> None:
    app = TrimtabApp(run=write_run(runs_folder / "done", steps=40).path)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_drawn(pilot)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: CommandPalette.is_open(app))
        options = app.screen.query_one(OptionList)
        await until(pilot, lambda: options.option_count > 20)
        titles = [str(option.prompt) for option in options.options]
        themes = [at for at, title in enumerate(titles) if "Theme:" in title]
        assert themes == list(range(themes[0], len(titles)))


async def test_the_help_writes_keys_as_they_are_on_the_keyboard(runs_folder: Path) -> None:
    for area, said in (("dashboard", "}            later steps"), ("chat", "^j  shift+enter  new line")):
        app = TrimtabApp(run=write_run(runs_folder / area, steps=40).path, screen=area)
        async with app.run_test(size=(100, 50)) as pilot:
            await until(pilot, lambda app=app, area=area: getattr(app.screen, "area", "") == area)
            await pilot.press("f1")
            await until(pilot, lambda app=app, said=said: said in screen_text(app))
            assert ": or ^p" in screen_text(app)


# Leaving


async def test_leaving_says_that_the_training_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = LiveRun("steady")
    live.train(5)
    app = TrimtabApp(run=live.run.path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_drawn(pilot)
        await pilot.press("q")
    assert "trimtab attach steady" in capsys.readouterr().err
    assert live.commands() == []
    stored = tomllib.loads((tmp_path / "config/trimtab/settings.toml").read_text())
    assert stored["last_run"] == str(live.run.path)
    live.trainer.close()


# Settings


def test_settings_keep_what_they_do_not_know(tmp_path: Path) -> None:
    file = tmp_path / "config/trimtab/settings.toml"
    file.parent.mkdir(parents=True)
    file.write_text('# mine\nother = 3\nlanguage = "zh"\n')
    settings.change(theme="nord")
    assert "# mine" in file.read_text()
    assert tomllib.loads(file.read_text()) == {"other": 3, "language": "zh", "theme": "nord", "last_run": ""}
    assert settings.load().language == "zh"


@pytest.mark.parametrize("content", ["language = [", "language = 3", "\udcff"])
def test_broken_settings_are_as_good_as_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "config/trimtab/settings.toml"
    file.parent.mkdir(parents=True)
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert settings.load() == settings.Settings()


# The terminal

OPEN = "import sys, pathlib, tui.cockpit as c; sys.exit(c.open_cockpit(run=pathlib.Path({!r})))"
RESTORED = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?2004l")


@pytest.mark.parametrize(("end", "code"), [("kill", 137), ("term", 143), ("hup", 129), ("guardian", 143), ("key", 0)])
def test_however_the_cockpit_ends_the_terminal_is_put_right(runs_folder: Path, end: str, code: int) -> None:
    run = write_run(runs_folder / "done", steps=40)
    terminal = RealTerminal(OPEN.format(str(run.path)), TRIMTAB_LANGUAGE="en")
    before = terminal.modes()
    assert terminal.read(30, until=b"press c to chat")
    terminal.screen = b""
    if end == "key":
        terminal.press(b"q")
    elif end == "guardian":
        os.kill(terminal.pid, signal.SIGTERM)
    else:
        os.kill(terminal.child(), {"kill": signal.SIGKILL, "term": signal.SIGTERM, "hup": signal.SIGHUP}[end])
    assert terminal.wait() == code
    for sequence in RESTORED:
        assert sequence in terminal.screen
    assert terminal.modes() == before
    if end == "kill":
        assert b"Your runs go on" in terminal.screen


def test_a_closed_terminal_ends_the_cockpit_and_nothing_else(runs_folder: Path) -> None:
    run = write_run(runs_folder / "done", steps=40)
    terminal = RealTerminal(OPEN.format(str(run.path)), TRIMTAB_LANGUAGE="en")
    assert terminal.read(30, until=b"press c to chat")
    terminal.hang_up()
    _, status = os.waitpid(terminal.pid, 0)
    assert os.waitstatus_to_exitcode(status) != 0
    assert run.state().value == "finished"


def test_where_nothing_can_be_drawn_the_cockpit_says_what_to_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert cockpit.open_cockpit() == 0
    assert "trimtab runs" in capsys.readouterr().out


def test_an_unknown_screen_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="expected one of setup, dashboard"):
        cockpit.open_cockpit(screen="nowhere")


def test_the_environment_of_the_user_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "full")
    for name in ("TEXTUAL_SMOOTH_SCROLL", "TEXTUAL_FPS"):
        monkeypatch.setenv(name, "")  # remembered, so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    cockpit.prepare_environment()
    assert (os.environ["TEXTUAL_ANIMATIONS"], os.environ["TEXTUAL_SMOOTH_SCROLL"]) == ("full", "0")
    assert os.environ["TEXTUAL_FPS"] == "30"
