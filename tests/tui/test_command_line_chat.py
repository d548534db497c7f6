"""`trimtab chat` and the answers of `trimtab demo`, against a worker process that speaks the protocol without torch."""

from __future__ import annotations

import functools
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.run.fake_trainer import write_run
from tests.tui import fake_chat_worker
from tests.tui.command_line_world import World, a_world
from tui import workers
from tui.commands import chat


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    command = (sys.executable, fake_chat_worker.__file__)
    monkeypatch.setattr(chat, "ChatClient", functools.partial(workers.ChatClient, command))
    monkeypatch.setattr(workers, "ChatClient", functools.partial(workers.ChatClient, command))
    with a_world(tmp_path, monkeypatch, capsys) as made:
        yield made


def say(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """A person types these lines, then Ctrl-D."""
    typed = io.StringIO("".join(line + "\n" for line in lines))
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)


def test_a_run_answers_with_its_newest_checkpoint(world: World) -> None:
    write_run(world.runs_folder / "one", steps=10, save_steps=5)
    assert world.trimtab("chat", "one", "--prompt", "hello").out == "tuned: hello\n"
    assert world.trimtab("chat", "one", "--prompt", "hello", "--base").out == "base: hello\n"


def test_a_shipped_model_and_one_of_the_hub_answer(world: World) -> None:
    assert world.trimtab("chat", "shipped:demo_model", "--prompt", "hello").code == 0
    assert world.trimtab("chat", "someone/model", "--prompt", "hello").code == 0
    missing = world.trimtab("chat", "shipped:nothing", "--prompt", "hello")
    assert (missing.code, "there is no run" in missing.err) == (2, False)


def test_without_a_name_the_newest_run_answers(world: World) -> None:
    none = world.trimtab("chat", "--prompt", "hello")
    assert (none.code, "trimtab demo" in none.err) == (2, True)
    write_run(world.runs_folder / "one", steps=10)
    result = world.trimtab("chat", "--prompt", "hello")
    assert (result.code, result.out) == (0, "tuned: hello\n")
    assert "one" in result.err


def test_settings_and_system_prompt_reach_the_worker(world: World) -> None:
    write_run(world.runs_folder / "one", steps=10)
    settings = json.loads(world.trimtab("chat", "one", "--prompt", "settings", "temperature=0.25", "top_k=7").out)
    assert (settings["temperature"], settings["top_k"]) == (0.25, 7)
    messages = json.loads(world.trimtab("chat", "one", "--system", "be brief", "--prompt", "messages").out)
    assert messages == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "messages"}]


def test_how_the_model_is_loaded_reaches_the_worker(world: World) -> None:
    write_run(world.runs_folder / "one", steps=10)
    words = ("infer_dtype=bfloat16", "quantization_bit=4", "use_kv_cache=false", "temperature=0.5")
    loading = json.loads(world.trimtab("chat", "one", "--prompt", "loading", *words).out)
    assert loading == {"infer_dtype": "bfloat16", "quantization_bit": 4, "use_kv_cache": False}
    assert json.loads(world.trimtab("chat", "one", "--prompt", "loading").out) == {}


@pytest.mark.parametrize("word", ["temprature=1", "lora_rank=4", "temperature=hot", "temperature"])
def test_a_wrong_setting_is_one_line(world: World, word: str) -> None:
    write_run(world.runs_folder / "one", steps=10)
    result = world.trimtab("chat", "one", "--prompt", "hello", word)
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1


def test_a_prompt_may_come_through_a_pipe(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(world.runs_folder / "one", steps=10)
    monkeypatch.setattr(sys, "stdin", io.StringIO("from a pipe\n"))
    assert world.trimtab("chat", "one").out == "tuned: from a pipe\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert world.trimtab("chat", "one").code == 2


def test_a_conversation_remembers_clears_and_switches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(world.runs_folder / "one", steps=10)
    say(monkeypatch, "hello", "messages", "/base", "hello", "/clear", "messages", "/help", "/quit", "never asked")
    out = world.trimtab("chat", "one").out
    assert '"tuned: hello"' in out
    assert "base: hello" in out
    assert '[{"role": "user", "content": "messages"}]' in out
    assert "never asked" not in out


def test_a_refused_prompt_does_not_end_the_conversation(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(world.runs_folder / "one", steps=10)
    say(monkeypatch, "refuse", "messages")
    result = world.trimtab("chat", "one")
    assert result.code == 0
    assert "error: the model cannot do this" in result.out
    assert '[{"role": "user", "content": "messages"}]' in result.out


def test_a_worker_that_dies_is_told_in_one_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(world.runs_folder / "one", steps=10)
    result = world.trimtab("chat", "one", "--prompt", "crash")
    assert result.code == 2
    assert "out of memory" in result.err
    assert result.err.count("\n") == 1


def test_what_there_is_not_gets_a_hint(world: World) -> None:
    write_run(world.runs_folder / "one", steps=10)
    assert "Did you mean one?" in world.trimtab("chat", "oone", "--prompt", "hello").err
    write_run(world.runs_folder / "young", steps=10, end="lost", until=3, save_steps=10)
    result = world.trimtab("chat", "young", "--prompt", "hello")
    assert (result.code, "no whole checkpoint" in result.err) == (2, True)


def test_the_demo_lets_both_models_answer_the_same_question(world: World) -> None:
    world.fake_trainer(steps=10)
    result = world.trimtab("demo", "--headless", "--name", "shown")
    assert result.code == 0
    lines = result.out.splitlines()
    question = next(line.partition(": ")[2] for line in lines if line.startswith("question: "))
    assert f"base model: base: {question}" in lines
    assert f"tuned model: tuned: {question}" in lines


def test_a_demo_that_fails_exits_1(world: World) -> None:
    world.fake_trainer(steps=10, fail_at=5)
    result = world.trimtab("demo", "--headless")
    assert result.code == 1
    assert "tuned model" not in result.out
