"""The inspect worker: a process with torch imported that answers "will it fit?" again and again, JSON lines over pipes.

It ends when stdin closes, so it can never outlive the cockpit. Of several requests the newest is answered. The protocol
stands in docs/inspect-worker-protocol.md; what is told, in `trainer.estimate`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict
from typing import IO, Any

from trainer.answer_lines import AnswerLines
from trainer.config import Recipe
from trainer.errors import UserError


class InspectWorker:
    """Reads requests in a thread, answers the newest one."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self._requests = requests
        self._say = AnswerLines(answers).say
        self._newest: dict[str, Any] | None = None
        self._over = False
        self._changed = threading.Condition()

    def serve(self) -> int:
        """Answer until the end of stdin."""
        threading.Thread(target=self._read, daemon=True, name="requests").start()
        # The imports take seconds: they come before the first request.
        import trainer.estimate  # noqa: F401

        self._say(event="ready")
        while (request := self._next()) is not None:
            self._answer(request)
        return 0

    def _read(self) -> None:
        for line in self._requests:
            request = _parsed(line)
            if request is None:
                self._say(event="error", id=None, text="a request was not a JSON object with an id")
                continue
            with self._changed:
                if self._newest is not None:
                    self._say(event="dropped", id=self._newest["id"])
                self._newest = request
                self._changed.notify()
        with self._changed:
            self._over = True
            self._changed.notify()
        # A simulation that is under way is of no use to anybody.
        os._exit(0)

    def _next(self) -> dict[str, Any] | None:
        with self._changed:
            while self._newest is None and not self._over:
                self._changed.wait()
            request, self._newest = self._newest, None
            return request

    def _is_old(self) -> bool:
        with self._changed:
            return self._newest is not None

    def _answer(self, request: dict[str, Any]) -> None:
        """One answer or more to one request, whatever happens."""
        number = request["id"]
        try:
            self._estimate(number, request)
        except UserError as error:
            self._say(event="error", id=number, text=str(error), field=error.field)
        except Exception as error:
            # A bug must not end the worker: the next request is another one. The log has all of it.
            sys.excepthook(type(error), error, error.__traceback__)
            self._say(event="error", id=number, text=f"{type(error).__name__}: {error}")

    def _estimate(self, number: int, request: dict[str, Any]) -> None:
        from trainer.advice import ranked
        from trainer.estimate import first_answer, training_devices, ways_out

        recipe = Recipe.model_validate(request.get("recipe") or {})
        length = request.get("length")
        told = first_answer(recipe, training_devices(), length=length)
        self._say(event="estimate", id=number, **told.to_json())
        found = []
        for saving in ways_out(recipe, told, length=length):
            if self._is_old():
                self._say(event="dropped", id=number)
                return
            found.append(saving)
            self._say_savings(number, ranked(found), complete=False)
        self._say_savings(number, ranked(found), complete=True)

    def _say_savings(self, number: int, found: list[Any], *, complete: bool) -> None:
        self._say(event="savings", id=number, savings=[asdict(saving) for saving in found], complete=complete)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) and isinstance(message.get("id"), int) else None


def serve() -> int:
    """Serve on this process's stdin and stdout; whatever libraries print goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests = os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8", errors="surrogateescape")
    return InspectWorker(requests, answers).serve()
