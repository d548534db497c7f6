"""The chat client against a real subprocess that speaks the protocol."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui import fake_chat_worker
from trainer.errors import UserError
from tui.workers import ChatClient, ChatTarget, Done, Token, chat_target

COMMAND = (sys.executable, fake_chat_worker.__file__)


def says(content: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": content}]


@pytest.fixture
def client() -> Iterator[ChatClient]:
    client = ChatClient(COMMAND)
    yield client
    client.close()


def wait_until_gone(pid: int) -> None:
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")


def test_an_answer_streams_and_ends_with_counts(client: ChatClient) -> None:
    loaded = client.load(ChatTarget("demo", adapter="step-1"))
    assert (loaded.name, loaded.device, loaded.has_adapter) == ("demo", "cpu", True)
    pieces = list(client.generate(says("hello")))
    assert "".join(piece.text for piece in pieces if isinstance(piece, Token)) == "tuned: hello"
    done = pieces[-1]
    assert isinstance(done, Done)
    assert (done.text, done.new_tokens, done.prompt_tokens, done.stopped) == ("tuned: hello", 2, 5, False)


def test_the_base_answers_when_the_adapter_is_off(client: ChatClient) -> None:
    client.load(ChatTarget("demo", adapter="step-1"))
    done = list(client.generate(says("hello"), adapter=False))[-1]
    assert isinstance(done, Done)
    assert done.text == "base: hello"


def test_settings_and_unicode_arrive(client: ChatClient) -> None:
    client.load(ChatTarget("demo"))
    done = list(client.generate(says("settings"), settings={"temperature": 0.5}))[-1]
    assert json.loads(done.text) == {"temperature": 0.5}
    done = list(client.generate([{"role": "system", "content": "说中文"}, *says("messages")]))[-1]
    assert json.loads(done.text)[0] == {"role": "system", "content": "说中文"}


def test_stop_from_another_thread_ends_the_answer(client: ChatClient) -> None:
    client.load(ChatTarget("demo"))
    done = None
    for piece in client.generate(says("slow")):
        if isinstance(piece, Token):
            threading.Thread(target=client.stop).start()
        else:
            done = piece
    assert done is not None
    assert done.stopped
    assert done.text.startswith("word")


def test_leaving_the_iteration_stops_the_answer_and_the_next_one_works(client: ChatClient) -> None:
    client.load(ChatTarget("demo"))
    for _piece in client.generate(says("slow")):
        break
    assert list(client.generate(says("next")))[-1].text == "tuned: next"


def test_an_error_of_the_worker_is_one_line_and_the_worker_lives_on(client: ChatClient) -> None:
    client.load(ChatTarget("demo"))
    with pytest.raises(UserError, match="the model cannot do this"):
        list(client.generate(says("refuse")))
    assert client.alive
    with pytest.raises(UserError, match="no such model"):
        client.load(ChatTarget("missing"))
    assert client.loaded is None


def test_a_crash_is_told_with_the_last_line_of_the_log_and_load_starts_again(client: ChatClient) -> None:
    client.load(ChatTarget("demo"))
    first = client.pid
    with pytest.raises(UserError, match=r"exit status 3.*RuntimeError: out of memory"):
        list(client.generate(says("crash")))
    assert client.loaded is None
    client.load(ChatTarget("demo"))
    assert client.pid != first
    assert list(client.generate(says("again")))[-1].text == "tuned: again"


def test_close_ends_the_worker_and_frees_whoever_waits() -> None:
    client = ChatClient(COMMAND)
    errors: list[str] = []

    def load() -> None:
        try:
            client.load(ChatTarget("slow model"))
        except UserError as error:
            errors.append(str(error))

    waiting = threading.Thread(target=load)
    waiting.start()
    while client.pid is None:
        time.sleep(0.01)
    pid = client.pid
    client.close()
    waiting.join(timeout=20)
    assert not waiting.is_alive()
    assert len(errors) == 1
    wait_until_gone(pid)


def test_the_worker_dies_with_a_parent_that_is_killed() -> None:
    program = (
        "import sys, time\n"
        "from tui.workers import ChatClient, ChatTarget\n"
        f"client = ChatClient({COMMAND!r})\n"
        "client.load(ChatTarget('demo'))\n"
        "print(client.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until_gone(pid)


def test_a_program_that_is_missing_is_a_user_error() -> None:
    with pytest.raises(UserError):
        ChatClient(("/no/such/program",)).load(ChatTarget("demo"))


def test_targets_of_checkpoints_and_models(tmp_path: Path) -> None:
    base, other, adapter, full = (str(tmp_path / name) for name in ("base", "other", "adapter", "full"))
    for folder in (base, other, adapter, full):
        Path(folder).mkdir()
    Path(adapter, "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": other}))
    assert chat_target(adapter) == ChatTarget(other, adapter=adapter)
    Path(adapter, "trimtab.json").write_text(json.dumps({"base_model": base, "finetuning_type": "lora"}))
    assert chat_target(adapter) == ChatTarget(base, adapter=adapter)
    assert chat_target(full) == ChatTarget(full)
    Path(full, "trimtab.json").write_text(json.dumps({"base_model": base, "finetuning_type": "full"}))
    assert chat_target(full) == ChatTarget(full, base=base)
    assert chat_target(full).has_base
    assert chat_target("Qwen/Qwen3-0.6B") == ChatTarget("Qwen/Qwen3-0.6B")


def test_a_base_model_that_is_gone_is_told_for_adapters_and_does_without_for_whole_models(tmp_path: Path) -> None:
    (tmp_path / "trimtab.json").write_text('{"base_model": "/gone"}')
    assert chat_target(tmp_path) == ChatTarget(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="/gone"):
        chat_target(tmp_path)


def test_relative_base_models_are_found_from_the_folder_that_the_run_was_made_in(tmp_path: Path) -> None:
    (tmp_path / "work" / "models" / "demo").mkdir(parents=True)
    checkpoint = tmp_path / "runs" / "one" / "checkpoints" / "step-00000001"
    checkpoint.mkdir(parents=True)
    (checkpoint / "adapter_config.json").write_text("{}")
    (checkpoint / "trimtab.json").write_text('{"base_model": "models/demo"}')
    (tmp_path / "runs" / "one" / "run.json").write_text(json.dumps({"working_folder": str(tmp_path / "work")}))
    assert chat_target(checkpoint).model == str(tmp_path / "work" / "models" / "demo")


@pytest.mark.parametrize("path", ["/no/such/folder", "./nothing", "nothing", "a/b/c"])
def test_a_folder_that_is_not_there_is_told_at_once(path: str) -> None:
    with pytest.raises(UserError, match="no such model"):
        chat_target(path)


def test_the_client_needs_neither_textual_nor_torch() -> None:
    program = (
        "import sys, tui.workers, tui.conversation, tui.chat_session\n"
        "print([name for name in ('textual', 'torch', 'transformers', 'peft') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
