"""Talks to the chat worker as the cockpit does: a real process, JSON lines both ways."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


class Worker:
    """Talks to `python -m trainer chat`."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trainer", "chat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        assert self.read()["event"] == "ready"

    def send(self, **request: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and read up to the answer that is not a piece of text."""
        self.send(**request)
        pieces = []
        while (answer := self.read())["event"] == "token":
            pieces.append(answer["text"])
        return {**answer, "streamed": "".join(pieces)}
