"""A reward service that hangs, fails, answers nonsense or slowly: what is told, and that the run can be stopped."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import torch

from tests.trainer.stages.answering import answering, log_of
from tests.trainer.stages.conftest import MakeRun
from tests.training_runs import TrainingRuns, events_of, losses_of, same_weights, wait_for, weights_of
from trainer.errors import UserError
from trainer.run import RunDirectory, list_checkpoints
from trainer.stages import reward_service
from trainer.stages.reward_service import RewardService
from trainer.stages.rollouts import Answer

Respond = Callable[[socket.socket, int], None]
"""Answers the request of this number over its connection, which is closed afterwards."""


@contextmanager
def service(respond: Respond) -> Iterator[tuple[str, list[int]]]:
    """The address of a server that speaks to each connection as told, and a list that grows with the requests."""
    listening = socket.create_server(("127.0.0.1", 0))
    asked: list[int] = []

    def serve(connection: socket.socket, number: int) -> None:
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            head, _, body = request.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(65536)
            with suppress(OSError):  # whoever asked has given up
                respond(connection, number)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            asked.append(len(asked))
            threading.Thread(target=serve, args=(connection, asked[-1]), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/score", asked
    finally:
        listening.close()


def reply(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


GOOD = reply(json.dumps({"scores": [1, 2.5]}).encode())


def sends(*contents: bytes) -> Respond:
    """One content for each request, the last for all further ones."""
    return lambda connection, number: connection.sendall(contents[min(number, len(contents) - 1)])


def hangs(connection: socket.socket, number: int) -> None:
    time.sleep(600)


def drips(connection: socket.socket, number: int) -> None:
    """A byte now and then, which no limit on single reads would notice."""
    for byte in GOOD:
        connection.sendall(bytes([byte]))
        time.sleep(0.15)


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reward_service, "_FIRST_WAIT_SECONDS", 0.01)


ANSWERS = [Answer(torch.tensor([1]), torch.tensor([2]), True, "Hi? ", text, "") for text in ("yes", "no")]


def asked_of(address: str, timeout: float = 5.0, waiting: Callable[[], None] = lambda: None) -> list[float]:
    found: list[float] = RewardService(address, timeout).scores(ANSWERS, waiting).tolist()
    return found


@pytest.mark.parametrize(
    "first",
    [reply(b"", "500 Broken"), reply(b"", "503 Busy"), b"", b"garbage\r\n\r\n", GOOD[:-3], reply(b"<html>")],
    ids=["500", "503", "closed", "no-http", "cut", "no-json"],
)
def test_what_fails_for_a_moment_is_asked_again(first: bytes) -> None:
    with service(sends(first, GOOD)) as (address, asked):
        assert asked_of(address) == [1, 2.5]
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("answer", "requests", "told"),
    [
        (reply(b"", "500 Broken"), 4, "does not answer: HTTP Error 500: Broken"),
        (reply(b"", "404 Not Found"), 1, "HTTP Error 404"),
        (reply(b"<html>"), 4, "it answers '<html>', which is no JSON"),
        (reply(b"[" * 100_000), 4, "does not answer"),
        (b"\x00\xff\x00", 4, "does not answer"),
        (reply(b'{"scores": [1]}'), 1, 'answers {"scores": [1]}, expected {"scores": [2 numbers]}'),
        (reply(b'{"scores": [1, NaN]}'), 1, "expected"),
        (reply(b'{"scores": [1, "2"]}'), 1, "expected"),
        (reply(b'{"scores": [1, 1e300]}'), 1, "expected"),
        (reply(b'{"scores": [1, 1' + b"0" * 400 + b"]}"), 1, "expected"),
        (reply(b"null"), 1, "answers null, expected"),
    ],
)
def test_what_keeps_failing_is_named_in_one_line(answer: bytes, requests: int, told: str) -> None:
    with service(sends(answer)) as (address, asked), pytest.raises(UserError) as caught:
        asked_of(address)
    assert told in str(caught.value)
    assert address in str(caught.value)
    assert len(asked) == requests


@pytest.mark.parametrize("respond", [hangs, drips], ids=["hangs", "drips"])
def test_the_time_limit_is_for_the_whole_request(respond: Respond) -> None:
    with service(respond) as (address, asked), pytest.raises(UserError, match=r"no answer within 0\.3 seconds"):
        asked_of(address, timeout=0.3)
    assert len(asked) == 4


def test_a_pause_takes_nothing_of_the_time_limit() -> None:
    def late(connection: socket.socket, number: int) -> None:
        time.sleep(0.6)
        connection.sendall(GOOD)

    paused = iter([1.0])
    with service(late) as (address, asked):
        assert asked_of(address, timeout=0.9, waiting=lambda: time.sleep(next(paused, 0.0))) == [1, 2.5]
    assert len(asked) == 1


def test_a_service_that_hangs_holds_up_neither_a_stop_nor_what_was_learned(
    runs: TrainingRuns, stage_run: MakeRun
) -> None:
    """It scores two buffers (of two batches each) and hangs from the third on; it is well again for the resume."""
    ill = threading.Event()
    ill.set()

    def scores(connection: socket.socket, number: int) -> None:
        if ill.is_set() and number >= 5:
            hangs(connection, number)
        connection.sendall(reply(json.dumps({"scores": [number % 3, 1]}).encode()))

    def run_of(name: str, address: str) -> RunDirectory:
        model = {"reward_model": address, "reward_model_type": "api", "ppo_epochs": 1}
        none = {"reward_funcs": [], "reward_regex": None}
        return answering(stage_run, "ppo", name=name, ppo=model, reward=none, train={"save_steps": 100})

    with service(scores) as (address, asked):
        run = run_of("run", address)
        process = runs.start(run)
        wait_for(lambda: len(asked) == 6)
        run.send("stop")
        process.join(50)  # the request itself would have 60 seconds
        assert process.exitcode == 0, log_of(run)
        assert events_of(run, "end")[0].reason == "stopped"
        assert [found.step for found in list_checkpoints(run.checkpoints_folder, verify="size")] == [2]
        # The half-scored buffer is written anew.
        ill.clear()
        del asked[4:]
        assert runs.train(run, resume=True) == 0, log_of(run)
        del asked[:]
        straight = run_of("straight", address)
        assert runs.train(straight) == 0, log_of(straight)
    assert losses_of(run) == losses_of(straight)
    assert same_weights(weights_of(run, 6), weights_of(straight, 6))
