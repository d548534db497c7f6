"""The data worker process: requests as JSON lines on stdin, answers as JSON lines on stdout. It imports no torch.

It ends when stdin closes, so it can never outlive the cockpit. The protocol stands in docs/data-worker-protocol.md;
what the requests do, in `worker_requests`.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

from trainer.answer_lines import AnswerLines
from trainer.data.worker_requests import CancelledError, DataRequests, RefusedError, Request
from trainer.errors import UserError

_LANES = {"open": "rows", "rows": "rows", "view": "rows", "list": "sets", "register": "sets", "templates": "sets"}
"""Requests of one lane are answered in order by one thread; `search` and `check` have a thread each."""
_EXIT_SECONDS = 2.0


class DataWorker:
    """Hears requests and answers them in threads, so that a long one never holds up a quick one."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self._requests = requests
        self._say = AnswerLines(answers).say
        self._lanes: dict[str, queue.Queue[Request | None]] = {}
        self._threads: list[threading.Thread] = []
        self._active: dict[int, Request] = {}
        self._data = DataRequests(self._say)

    def serve(self) -> int:
        """Answer until `quit` or the end of stdin."""
        self._say(event="ready")
        for line in self._requests:
            message = _parsed(line)
            if message is None:
                self._say(event="error", id=None, code=None, text="a request was not a JSON object")
            elif message.get("do") == "quit":
                break
            elif message.get("do") == "cancel":
                self._cancel(message.get("id"))
            else:
                self._take(message)
        self._end()
        return 0

    def _take(self, message: dict[str, Any]) -> None:
        verb, number = message.get("do"), message.get("id")
        if not isinstance(number, int) or isinstance(number, bool):
            self._say(event="error", id=None, code=None, text="a request needs an id: a whole number")
            return
        request = Request(str(verb), number, message, self._say)
        self._active[number] = request
        lane = _LANES.get(request.verb)
        if lane is None:
            self._start(lambda: self._answer(request))
            return
        if lane not in self._lanes:
            waiting: queue.Queue[Request | None] = queue.Queue()
            self._lanes[lane] = waiting
            self._start(lambda: self._serve_lane(waiting))
        self._lanes[lane].put(request)

    def _start(self, work: Callable[[], None]) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve_lane(self, waiting: queue.Queue[Request | None]) -> None:
        while (request := waiting.get()) is not None:
            self._answer(request)

    def _answer(self, request: Request) -> None:
        """One answer to one request, whatever happens."""
        try:
            request.go_on()
            answer = self._data.answer(request)
        except CancelledError:
            answer = {"event": "cancelled"}
        except RefusedError as refusal:
            answer = {"event": "error", "code": refusal.code, "text": str(refusal)}
        except UserError as error:
            answer = {"event": "error", "code": None, "text": str(error)}
        except Exception as error:
            # A bug must not end the worker, which others still wait for; the log has all of it.
            sys.excepthook(type(error), error, error.__traceback__)
            answer = {"event": "error", "code": None, "text": f"{type(error).__name__}: {error}"}
        self._active.pop(request.id, None)
        self._say(id=request.id, **answer)

    def _cancel(self, number: object) -> None:
        request = self._active.get(number) if isinstance(number, int) else None
        if request is not None:
            request.cancel()

    def _end(self) -> None:
        """Give up what is under way and wait a moment for it."""
        for request in list(self._active.values()):
            request.cancel()
        for lane in self._lanes.values():
            lane.put(None)
        self._data.close()
        for thread in self._threads:
            thread.join(_EXIT_SECONDS / max(len(self._threads), 1))


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def serve() -> int:
    """Serve on this process's stdin and stdout; whatever libraries print goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests = os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8", errors="surrogateescape")
    code = DataWorker(requests, answers).serve()
    answers.flush()
    # Threads that sit in a slow disk or in the tokenizer must not keep the process.
    os._exit(code)
