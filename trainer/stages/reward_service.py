"""Asking a reward service by HTTP, in the form that LLaMA-Factory's reward servers speak. Not for models of ours."""

from __future__ import annotations

import http.client
import json
import math
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from trainer.errors import UserError

from .rollouts import Answer

_TRIES = 4
_FIRST_WAIT_SECONDS = 1.0
_SLICE_SECONDS = 0.1
"""The run looks at its commands so often while it waits."""
_GIVE_UP_AT_ONCE = (400, 401, 403, 404, 405, 413, 422)
_CHUNK_BYTES = 65536
_LARGEST = torch.finfo(torch.float32).max


@dataclass(frozen=True)
class RewardService:
    """POST {"model": "model", "messages": [prompt and answer as one text, ...]} -> {"scores": [number, ...]}."""

    address: str
    timeout: float
    """Seconds that one request may take from its start to its end."""

    def scores(self, answers: Sequence[Answer], waiting: Callable[[], None]) -> torch.Tensor:
        """(answers,) float32. What fails for a moment is tried again, after 1, 2 and 4 seconds.

        `waiting` is called many times a second meanwhile; what it raises gives the request up. The time that it takes
        itself, as in a pause, counts for nothing.

        Raises:
            UserError: when the service refuses, answers something else, or does not answer after all tries.
        """
        texts = [answer.prompt + answer.text for answer in answers]
        body = json.dumps({"model": "model", "messages": texts}, ensure_ascii=False).encode()
        for number in range(_TRIES):
            try:
                return self._read(self._asked(body, waiting), len(answers))
            except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
                refused = isinstance(error, urllib.error.HTTPError) and error.code in _GIVE_UP_AT_ONCE
                if refused or number == _TRIES - 1:
                    raise self._failed(error) from error
                print(f"reward service: {_told(error)}; trying again", flush=True)
                _wait_for(threading.Event(), _FIRST_WAIT_SECONDS * 2**number, waiting)
        raise AssertionError

    def _failed(self, error: Exception) -> UserError:
        return UserError(
            f"the reward service does not answer: {_told(error)}",
            field="reward_model",
            value=self.address,
            hint="Look whether it runs; then `trimtab resume` goes on from the last checkpoint.",
        )

    def _asked(self, body: bytes, waiting: Callable[[], None]) -> object:
        """What the service answers to one request.

        Raises:
            OSError | ValueError | HTTPException: when it fails, takes too long, or does not answer JSON.
        """
        request = _Request(self.address, body, self.timeout)
        request.start()
        try:
            if not _wait_for(request.done, self.timeout, waiting):
                raise self._too_late()
        finally:
            request.given_up = True
        if request.error is not None:
            raise self._too_late() if _is_late(request.error) else request.error
        try:
            return json.loads(request.content)
        except ValueError as error:
            start = request.content[:40].decode(errors="replace")
            raise ValueError(f"it answers {start!r}, which is no JSON") from error

    def _too_late(self) -> TimeoutError:
        return TimeoutError(f"no answer within {self.timeout:g} seconds")

    def _read(self, told: object, count: int) -> torch.Tensor:
        numbers = told.get("scores") if isinstance(told, dict) else None
        if not isinstance(numbers, list) or len(numbers) != count or not all(map(_is_number, numbers)):
            raise UserError(
                f'the reward service answers {json.dumps(told)[:80]}, expected {{"scores": [{count} numbers]}}',
                field="reward_model",
                value=self.address,
            )
        return torch.tensor(numbers, dtype=torch.float32)


class _Request(threading.Thread):
    """One request on its way; a thread, because nothing else lets the run look at its commands meanwhile."""

    def __init__(self, address: str, body: bytes, timeout: float) -> None:
        super().__init__(daemon=True, name="reward service")
        self._address, self._body, self._timeout = address, body, timeout
        self.content = b""
        self.error: Exception | None = None
        self.done = threading.Event()
        self.given_up = False
        """Nobody waits for it any more: it ends with the next bytes that come, or with its time."""

    def run(self) -> None:
        try:
            request = urllib.request.Request(self._address, self._body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                chunks = []
                while not self.given_up and (chunk := response.read1(_CHUNK_BYTES)):
                    chunks.append(chunk)
                self.content = b"".join(chunks)
        except Exception as error:
            self.error = error
        self.done.set()


def _wait_for(event: threading.Event, seconds: float, waiting: Callable[[], None]) -> bool:
    """Whether the event came within that time; `waiting` is called before each slice of it."""
    for _ in range(math.ceil(seconds / _SLICE_SECONDS)):
        waiting()
        if event.wait(min(seconds, _SLICE_SECONDS)):
            return True
    return event.is_set()


def _is_late(error: Exception) -> bool:
    """Whether the connection ran out of time, which may be a moment before we do; urllib wraps it while it connects."""
    return isinstance(error.reason if isinstance(error, urllib.error.URLError) else error, TimeoutError)


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def _is_number(value: object) -> bool:
    # Not `isfinite`: JSON has numbers that no float32 holds, and integers that no float does.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST
