"""The chat worker seen from the terminal side: a subprocess `python -m trainer chat`, JSON lines over its pipes.

`ChatClient` is used by the Chat screen and by `trimtab chat`; it knows nothing of textual and nothing of torch. The
worker dies with us, because its standard input closes. Not for runs: those outlive the cockpit (`trainer.run.launch`).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import trainer
from trainer.errors import UserError
from tui.chat_target import ChatTarget, chat_target
from tui.locale import text

__all__ = ["ChatClient", "ChatTarget", "Done", "Loaded", "Token", "chat_target"]

_EXIT_SECONDS = 3.0
_LOG_TAIL_BYTES = 8192


@dataclass(frozen=True)
class Loaded:
    """The worker holds the model: its name, the device it is on, and whether an adapter can be switched off."""

    name: str
    device: str
    has_adapter: bool


@dataclass(frozen=True)
class Token:
    """A piece of the answer, in order."""

    text: str


@dataclass(frozen=True)
class Done:
    """The whole answer with its counts; `stopped` when the user ended it early."""

    text: str
    prompt_tokens: int
    new_tokens: int
    seconds: float
    stopped: bool


@dataclass(frozen=True)
class _Ended:
    """Sent to whoever waits when the worker is gone."""

    code: int | None


_Reply = dict[str, object] | _Ended


class ChatClient:
    """A chat worker process: start, load, generate, stop, close. One request at a time; any thread may stop or close.

    A worker that ended is started again by the next `load`.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = tuple(command or (sys.executable, "-P", "-m", "trainer", "chat"))
        self._worker: _Worker | None = None
        self._loaded: Loaded | None = None

    @property
    def alive(self) -> bool:
        """Whether the worker process runs."""
        return self._worker is not None and self._worker.alive

    @property
    def loaded(self) -> Loaded | None:
        """The model that the living worker holds."""
        return self._loaded if self.alive else None

    @property
    def pid(self) -> int | None:
        """The worker's process id; None when none was started."""
        return None if self._worker is None else self._worker.process.pid

    def start(self) -> None:
        """Start the process if it does not run. It answers a few seconds later; `load` may be called at once.

        Raises:
            UserError: the process cannot be started.
        """
        if not self.alive:
            self.close()
            self._worker = _Worker(self._command)

    def load(self, target: ChatTarget) -> Loaded:
        """Load a model and wait until it is there, starting the worker if need be.

        Raises:
            UserError: the worker refused, or ended.
        """
        self.start()
        self._loaded = None
        wanted: dict[str, object] = {"model": target.model, "adapter": target.adapter}
        if target.base is not None:
            wanted["base"] = target.base
        with self._living().request("load", wanted) as replies:
            reply = next(reply for reply in replies if reply.get("event") == "loaded")
        self._loaded = Loaded(
            name=str(reply.get("name") or target.model),
            device=str(reply.get("device") or "?"),
            has_adapter=bool(reply.get("has_adapter")) or target.base is not None,
        )
        return self._loaded

    def generate(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        adapter: bool = True,
        settings: Mapping[str, object] | None = None,
    ) -> Iterator[Token | Done]:
        """Answer a conversation: tokens as they come, then one `Done`. `adapter=False` asks the untuned base.

        Leaving the iteration early stops the answer.

        Raises:
            UserError: the worker reported an error, or ended.
        """
        wanted = {
            "messages": [dict(message) for message in messages],
            "adapter": adapter,
            "settings": dict(settings or {}),
        }
        with self._living().request("generate", wanted) as replies:
            try:
                for reply in replies:
                    if reply.get("event") == "token":
                        yield Token(str(reply.get("text", "")))
                    elif reply.get("event") == "done":
                        yield _done(reply)
                        return
            except GeneratorExit:
                self.stop()
                raise

    def stop(self) -> None:
        """Ask the worker to end the answer it is giving; harmless when it gives none."""
        if self._worker is not None:
            with contextlib.suppress(UserError):
                self._worker.send({"do": "stop"})

    def close(self) -> None:
        """End the worker. Whoever waits for an answer gets a UserError."""
        worker, self._worker, self._loaded = self._worker, None, None
        if worker is not None:
            worker.end()

    def _living(self) -> _Worker:
        if self._worker is None:
            raise UserError(text("chat.not_started"))
        return self._worker


class _Worker:
    """One life of the process: its pipes, the thread that reads them, and the requests that wait for a reply."""

    def __init__(self, command: Sequence[str]) -> None:
        self._replies: dict[int, SimpleQueue[_Reply]] = {}
        self._number = 0
        # Two locks: the reader must go on while a long request is being written, else both sides wait for each other.
        self._replies_lock = threading.Lock()
        self._write_lock = threading.Lock()
        # It has no name: however we end, nothing is left behind.
        self._log = tempfile.TemporaryFile("w+b", prefix="trimtab-chat-")  # noqa: SIM115 - closed by end()
        try:
            # A session of its own: Ctrl-C in the terminal must stop an answer, not the worker that gives it.
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                env=_environment(),
            )
        except OSError as error:
            self._log.close()
            raise UserError(text("chat.cannot_start", error=error.strerror or error)) from error
        threading.Thread(target=self._read, name="chat-reader", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    @contextlib.contextmanager
    def request(self, verb: str, arguments: Mapping[str, object]) -> Iterator[Iterator[dict[str, object]]]:
        """Send one numbered request and hand out its replies; an error among them is raised as UserError."""
        inbox: SimpleQueue[_Reply] = SimpleQueue()
        with self._replies_lock:
            self._number += 1
            number = self._number
            self._replies[number] = inbox
        try:
            self.send({"do": verb, **arguments, "id": number})
            yield self._answers(inbox)
        finally:
            with self._replies_lock:
                self._replies.pop(number, None)

    def send(self, request: Mapping[str, object]) -> None:
        """Write one line to the worker.

        Raises:
            UserError: the worker is gone.
        """
        line = json.dumps(request, ensure_ascii=False) + "\n"
        try:
            with self._write_lock:
                if self.process.stdin is not None:
                    self.process.stdin.write(line)
                    self.process.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._ended(self._exit_code()) from error

    def end(self) -> None:
        """Close the worker's input, which is its sign to leave; insist if it stays."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self.process.stdin.close()
        for insist, seconds in ((self.process.terminate, 0.3), (self.process.kill, 1.0)):
            try:
                self.process.wait(timeout=seconds)
                break
            except subprocess.TimeoutExpired:
                insist()
        self.process.wait()
        self._log.close()

    def _answers(self, inbox: SimpleQueue[_Reply]) -> Iterator[dict[str, object]]:
        while True:
            reply = inbox.get()
            if isinstance(reply, _Ended):
                raise self._ended(reply.code)
            if reply.get("event") == "error":
                raise UserError(" ".join(str(reply.get("text") or text("chat.unknown_error")).split()))
            yield reply

    def _ended(self, code: int | None) -> UserError:
        return UserError(text("chat.worker_ended", code="?" if code is None else code), hint=self._last_line() or None)

    def _last_line(self) -> str:
        """The last line that says something in the worker's log: with Python, the exception itself."""
        try:
            # Not seek and read: the worker writes at the same place in the file.
            descriptor = self._log.fileno()
            start = max(0, os.fstat(descriptor).st_size - _LOG_TAIL_BYTES)
            lines = os.pread(descriptor, _LOG_TAIL_BYTES, start).decode("utf-8", "replace").splitlines()
        except (OSError, ValueError):
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _exit_code(self) -> int | None:
        """The exit status of a worker whose pipes are closed; killed when it lives on without them."""
        try:
            return self.process.wait(timeout=_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _read(self) -> None:
        """The reader thread: hands each reply to the request it belongs to, until the pipe closes."""
        if self.process.stdout is not None:
            with contextlib.suppress(OSError, ValueError), self.process.stdout as lines:
                for line in lines:
                    self._deliver(line)
        code = self._exit_code()
        with self._replies_lock:
            waiting = list(self._replies.values())
        for inbox in waiting:
            inbox.put(_Ended(code))

    def _deliver(self, line: str) -> None:
        try:
            reply = json.loads(line)
        except ValueError:
            return  # a library printed on standard output: not ours to show
        if not isinstance(reply, dict):
            return
        number = reply.get("id")
        with self._replies_lock:
            if isinstance(number, int):
                inboxes = [self._replies[number]] if number in self._replies else []
            else:
                # An error that belongs to no request concerns whoever waits.
                inboxes = list(self._replies.values()) if reply.get("event") == "error" else []
        for inbox in inboxes:
            inbox.put(reply)


def _environment() -> dict[str, str]:
    """Ours, with the package that we were imported from in front: `-P` keeps a `trainer` of the current folder out."""
    places = [str(Path(trainer.__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in places if place)}


def _done(reply: Mapping[str, object]) -> Done:
    return Done(
        text=str(reply.get("text", "")),
        prompt_tokens=int(_number(reply.get("prompt_tokens"))),
        new_tokens=int(_number(reply.get("new_tokens"))),
        seconds=_number(reply.get("seconds")),
        stopped=bool(reply.get("stopped")),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
