"""The Chat screen in the real app: with a small stand-in for the worker, and once with the worker itself."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input, Label, OptionList, Static

from tests.trainer.run.fake_trainer import write_run
from tests.tui import fake_chat_worker
from tests.tui.cockpit_world import speaking
from trainer.paths import shipped_folder
from trainer.run import RunDirectory
from tui import workers
from tui.app import TrimtabApp
from tui.conversation import Conversation
from tui.locale import set_language
from tui.screens.chat import ChatScreen
from tui.widgets.chat_log import ChatLog
from tui.widgets.chat_settings import ChatSettings
from tui.widgets.model_picker import ModelPicker
from tui.widgets.prompt_area import PromptArea

SIZE = (100, 30)
COUNT_SIGN = " tok/s"


@pytest.fixture
def fake_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = workers.ChatClient.__init__
    command = (sys.executable, fake_chat_worker.__file__)
    monkeypatch.setattr(workers.ChatClient, "__init__", lambda self: begin(self, command))


@pytest.fixture
def run(tmp_path: Path, fake_worker: None) -> RunDirectory:
    """A finished run whose checkpoints name a base model that is there."""
    run = write_run(tmp_path / "runs" / "demo-1", steps=60, save_steps=30)
    base = tmp_path / "base"
    base.mkdir()
    for checkpoint in run.checkpoints_folder.glob("step-*"):
        write_again(checkpoint, {"base_model": str(base), "run": "demo-1"})
    return run


def write_again(checkpoint: Path, details: dict[str, str]) -> None:
    """Write the checkpoint again with other details, as the trainer would."""
    from trainer.run import write_checkpoint

    step = int(checkpoint.name.removeprefix("step-"))

    def fill(folder: Path) -> None:
        (folder / "trimtab.json").write_text(json.dumps(details))
        (folder / "adapter_config.json").write_text("{}")

    write_checkpoint(checkpoint.parent, step, fill)


async def until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    """Let the app work until something holds."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await pilot.pause(0.02)
    await pilot.pause(0.05)


def chat_of(app: TrimtabApp) -> ChatScreen:
    screen = app.screen
    assert isinstance(screen, ChatScreen)
    return screen


def shown(app: TrimtabApp) -> str:
    return app.screen.query_one(ChatLog).plain


async def type_text(pilot: Pilot[Any], words: str) -> None:
    for sign in words:
        await pilot.press(sign)


async def open_chat(app: TrimtabApp, pilot: Pilot[Any], run: RunDirectory) -> ChatScreen:
    app.open_chat(None, run.path)
    await until(pilot, lambda: isinstance(app.screen, ChatScreen) and app.screen.session.phase == "ready")
    return chat_of(app)


async def ask(app: TrimtabApp, pilot: Pilot[Any], prompt: str) -> None:
    app.screen.query_one(PromptArea).load_text(prompt)
    await pilot.press("enter")
    await answered(app, pilot)


async def answered(app: TrimtabApp, pilot: Pilot[Any]) -> None:
    """Wait until every answer is there and drawn with its counts."""
    screen = chat_of(app)
    await pilot.pause(0.1)

    def drawn() -> bool:
        answers = [answer for exchange in screen.conversation.exchanges for answer in exchange.answers]
        counted = sum(answer.done is not None for answer in answers)
        return bool(answers) and not screen.session.busy and shown(app).count(COUNT_SIGN) == counted

    await until(pilot, drawn)


async def test_a_prompt_is_answered_by_the_tuned_model_and_then_by_the_base(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_chat(app, pilot, run)
        await ask(app, pilot, "Who are you?")
        await pilot.press("f2")
        await answered(app, pilot)
        lines = [line.split(maxsplit=1) for line in shown(app).splitlines() if line.strip()]
        assert ["you", "Who are you?"] in lines
        assert ["tuned", "tuned: Who are you?"] in lines
        assert ["base", "base: Who are you?"] in lines
        assert "2 tokens" in shown(app)
        assert screen.conversation.last is not None
        assert len(screen.conversation.exchanges) == 1


async def test_enter_alone_asks_what_the_run_suggests(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        await open_chat(app, pilot, run)
        assert app.screen.query_one(PromptArea).placeholder == "Who are you?"
        await ask(app, pilot, "")
        assert "tuned: Who are you?" in shown(app)


async def test_escape_stops_the_answer_and_keeps_what_was_said(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_chat(app, pilot, run)
        await type_text(pilot, "slow")
        await pilot.press("enter")
        await until(pilot, lambda: "word word" in shown(app))
        await pilot.press("escape")
        await answered(app, pilot)
        assert "stopped" in shown(app)
        assert screen.session.phase == "ready"


async def test_what_was_said_before_goes_along_and_retry_replaces_the_answer(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_chat(app, pilot, run)
        screen.query_one(ChatSettings).system = "Be brief."
        await ask(app, pilot, "one")
        await ask(app, pilot, "messages")
        assert screen.conversation.last is not None
        sent = json.loads(screen.conversation.last.answers[0].text)
        assert [message["content"] for message in sent] == ["Be brief.", "one", "tuned: one", "messages"]
        await pilot.press("ctrl+y")
        await answered(app, pilot)
        assert len(screen.conversation.last.answers) == 1


async def test_chinese_is_typed_and_shown(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        await open_chat(app, pilot, run)
        await type_text(pilot, "你是谁")
        await pilot.press("enter")
        await answered(app, pilot)
        assert "tuned: 你是谁" in shown(app)


async def test_a_paste_of_several_lines_is_one_prompt(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_chat(app, pilot, run)
        app.post_message(Paste("first\nsecond\nthird"))
        await pilot.pause()
        await pilot.press("ctrl+j")
        await type_text(pilot, "end")
        await pilot.press("enter")
        await answered(app, pilot)
        assert screen.conversation.last is not None
        assert screen.conversation.last.prompt == "first\nsecond\nthird\nend"


async def test_enter_followed_at_once_by_more_is_a_paste_without_brackets(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_chat(app, pilot, run)
        prompt = screen.query_one(PromptArea)
        from textual.events import Key

        for key, sign in (("a", "a"), ("enter", "\r"), ("b", "b")):
            prompt.post_message(Key(key, sign))
        await pilot.pause(0.3)
        assert prompt.text == "a\nb"
        assert not screen.conversation.exchanges


async def test_a_crash_is_one_line_with_its_cause_and_retry_starts_a_new_worker(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_chat(app, pilot, run)
        await ask(app, pilot, "crash")
        await until(pilot, lambda: "exit status 3" in shown(app))
        assert "out of memory" in shown(app)
        screen.conversation = Conversation()
        await ask(app, pilot, "again")
        assert "tuned: again" in shown(app)


def is_loading(screen: ChatScreen, folder: Path) -> bool:
    session = screen.session
    return session.target is not None and session.target.model == str(folder) and session.client.alive


async def test_the_run_that_is_found_at_the_start_does_not_replace_what_was_asked_for(
    run: RunDirectory, tmp_path: Path
) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        app.current_run = None
        app.open_chat(slow, None)
        # The search for a run ends while the folder is still being looked up.
        app._take_found_run(run.path)
        await until(pilot, lambda: is_loading(chat_of(app), slow))
        assert chat_of(app).session.phase == "loading"


async def test_escape_gives_up_a_load_with_the_question_that_waits_for_it(run: RunDirectory, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        app.open_chat(slow, None)
        await until(pilot, lambda: isinstance(app.screen, ChatScreen) and is_loading(app.screen, slow))
        screen = chat_of(app)
        screen.query_one(PromptArea).load_text("hello")
        await pilot.press("enter")
        await until(pilot, lambda: screen.conversation.last is not None)
        await pilot.press("escape")
        assert isinstance(screen.focused, ChatLog)
        assert screen.session.phase == "loading"
        await pilot.press("escape")
        await until(pilot, lambda: not screen.session.busy)
        assert screen.session.phase == "failed"
        assert screen.conversation.last is not None
        assert screen.conversation.last.answers[0].error == "given up"
        assert not screen.session.client.alive


@pytest.mark.parametrize(("stage", "temperature"), [("sft", 1.3), ("ppo", 0.95)])
async def test_how_answers_are_drawn_comes_from_the_run_unless_it_explored(
    run: RunDirectory, stage: str, temperature: float
) -> None:
    recipe = run.recipe_file.read_text()
    for before, after in (('stage = "sft"', f'stage = "{stage}"'), ("temperature = 0.95", "temperature = 1.3")):
        assert before in recipe
        recipe = recipe.replace(before, after)
    run.recipe_file.write_text(recipe)
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_chat(app, pilot, run)
        assert screen.query_one(ChatSettings).values["temperature"] == temperature


async def test_who_comes_back_to_the_same_model_may_write_at_once(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        await open_chat(app, pilot, run)
        await pilot.press("escape", "3")
        await until(pilot, lambda: not isinstance(app.screen, ChatScreen))
        await open_chat(app, pilot, run)
        await type_text(pilot, "Hello")
        assert app.screen.query_one(PromptArea).text == "Hello"


async def test_settings_are_checked_and_sent(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_chat(app, pilot, run)
        settings = screen.query_one(ChatSettings)
        await pilot.press("ctrl+g")
        temperature = screen.query_one("#setting-temperature", Input)
        assert screen.focused is temperature
        before = settings.values["temperature"]
        temperature.value = "0.9"
        temperature.value = "-1"
        await pilot.pause()
        assert "temperature" in settings.problem
        await pilot.press("ctrl+g")
        await pilot.pause()
        assert any("temperature: expected" in one.message for one in app._notifications)
        assert settings.values["temperature"] == before
        assert temperature.value == str(before)
        await pilot.press("ctrl+g")
        temperature.value = "-1"
        await pilot.pause()
        screen.query_one(PromptArea).load_text("settings")
        screen.query_one(PromptArea).focus()
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert not screen.conversation.exchanges
        temperature.value = "0.5"
        await pilot.pause()
        await pilot.press("enter")
        await answered(app, pilot)
        assert screen.conversation.last is not None
        assert json.loads(screen.conversation.last.answers[0].text)["temperature"] == 0.5


async def test_what_does_not_act_without_sampling_says_so(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_chat(app, pilot, run)
        settings = screen.query_one(ChatSettings)
        settings.set_values({"do_sample": False})
        await pilot.press("ctrl+g")
        await pilot.pause()
        assert screen.focused is screen.query_one("#setting-do_sample")
        assert screen.query_one("#row-temperature").has_class("-idle")
        screen.query_one("#setting-top_p").focus()
        await pilot.pause()
        assert "top_p: act only with do_sample on" in str(screen.query_one("#setting-help", Static).content)


async def test_a_newer_checkpoint_is_offered(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_chat(app, pilot, run)
        write_again(run.checkpoints_folder / "step-00000090", {"base_model": "base", "run": "demo-1"})
        screen._look_for_newer()
        await until(pilot, lambda: "step 90 is newer: ^o" in str(screen.query_one("#chat-head", Label).content))
        with speaking("zh"):
            screen.relabel()
            assert "第 60 步" in str(screen.query_one("#chat-head", Label).content)


async def test_the_picker_lists_checkpoints_newest_first_and_takes_a_path(run: RunDirectory, tmp_path: Path) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker))
        options = app.screen.query_one(OptionList)
        await until(pilot, lambda: options.option_count >= 2)
        titles = [str(options.get_option_at_index(at).prompt) for at in range(2)]
        assert ["step 60" in titles[0], "step 30" in titles[1]] == [True, True]
        await type_text(pilot, "step 30")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen) and app.screen.session.phase == "ready")
        screen = chat_of(app)
        assert screen.session.target is not None
        assert str(screen.session.target.adapter).endswith("step-00000030")
        await pilot.press("escape")
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker))
        app.screen.query_one(Input).value = str(tmp_path / "base")
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen) and not screen.session.busy)
        assert screen.session.target.model == str(tmp_path / "base")
        await ask(app, pilot, "hello")
        await pilot.press("f2")
        await pilot.pause()
        assert screen.conversation.last is not None
        assert len(screen.conversation.last.answers) == 1, "a model without tuning has no other side"


async def test_the_transcript_lies_with_the_run(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        await open_chat(app, pilot, run)
        await ask(app, pilot, "hello")
        await pilot.press("f2")
        await answered(app, pilot)
    files = list(run.samples_folder.glob("chat-*.jsonl"))
    assert len(files) == 1
    records = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert [record["source"] for record in records] == ["tuned", "base"]
    assert records[0]["messages"][-1] == {"role": "assistant", "content": "tuned: hello"}


async def test_the_worker_stays_over_a_switch_of_screens_and_goes_with_the_app(run: RunDirectory) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_chat(app, pilot, run)
        pid = screen.session.client.pid
        assert pid is not None
        app.show_screen("runs")
        await pilot.pause(0.3)
        app.show_screen("chat")
        await pilot.pause(0.3)
        assert screen.session.client.pid == pid
        assert screen.session.client.alive
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (20, 10)])
async def test_every_size_and_both_languages(run: RunDirectory, size: tuple[int, int]) -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=size) as pilot:
        await open_chat(app, pilot, run)
        await ask(app, pilot, "a long question " * 8)
        app.action_switch_language()
        await pilot.pause(0.3)
        assert "微调" in shown(app)
        await pilot.press("ctrl+g")
        await pilot.pause()
        await pilot.press("ctrl+g")
        await pilot.press("ctrl+l")
        await pilot.pause()
    set_language("en")


@pytest.mark.usefixtures("fake_worker")
async def test_a_missing_model_is_told_without_a_worker() -> None:
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        app.open_chat(Path("/no/such/checkpoint"), None)
        await until(pilot, lambda: bool(app._notifications))
        assert not chat_of(app).session.client.alive


async def test_the_real_worker_answers_with_the_demo_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    app = TrimtabApp(screen="chat")
    async with app.run_test(size=SIZE) as pilot:
        app.open_chat(shipped_folder("data") / "demo_model", None)
        await until(pilot, lambda: isinstance(app.screen, ChatScreen) and app.screen.session.phase == "ready")
        screen = chat_of(app)
        screen.query_one(ChatSettings).set_values({"do_sample": False, "max_new_tokens": 24})
        await ask(app, pilot, "Who are you?")
        assert screen.conversation.last is not None
        answer = screen.conversation.last.answers[0]
        assert answer.error == ""
        assert answer.done is not None
        assert answer.done.new_tokens > 3
