"""The chat worker seen from the terminal side: a subprocess `python -m trainer chat`, JSON lines over its pipes.

`ChatClient` is used by the Chat and Score screens, `trimtab chat` and `trimtab score`; it knows nothing of textual and
of torch. The worker dies with us, because its standard input closes. Not for runs: those outlive the cockpit
(`trainer.run.launch`).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trainer.errors import UserError
from tui.chat_target import ChatTarget, chat_target
from tui.locale import text
from tui.worker_process import WorkerProcess

__all__ = ["ChatClient", "ChatTarget", "Done", "Loaded", "Token", "chat_target"]

Messages = Sequence[Mapping[str, object]]
"""Turns of a dialogue, each with `role` and `content`."""


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


class ChatClient:
    """A chat worker process: start, load, generate or score, stop, close. One request at a time; any thread may stop
    or close it.

    A worker that ended is started again by the next `load`.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = tuple(command or (sys.executable, "-P", "-m", "trainer", "chat"))
        self._worker: WorkerProcess | None = None
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
            self._worker = WorkerProcess(self._command, "chat")

    def load(self, target: ChatTarget, loading: Mapping[str, object] | None = None, *, scores: bool = False) -> Loaded:
        """Load a model and wait until it is there, starting the worker if need be; with `scores`, a reward model.

        `loading` says how (`infer_dtype`, `quantization_bit` ...), in the place of what a checkpoint says itself.

        Raises:
            UserError: the worker refused, or ended.
        """
        self.start()
        self._loaded = None
        wanted: dict[str, object] = {"model": target.model, "adapter": target.adapter}
        if target.base is not None:
            wanted["base"] = target.base
        if scores:
            wanted["scores"] = True
        if loading:
            wanted["loading"] = dict(loading)
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

    def score(
        self, messages: Messages, answers: Sequence[Messages], tools: Sequence[object] = ()
    ) -> Iterator[tuple[int, float]]:
        """The number of each answer to a dialogue, as they come: its place among the answers, and the number.

        Leaving the iteration early stops it.

        Raises:
            UserError: the worker reported an error, or ended.
        """
        wanted: dict[str, object] = {"messages": list(messages), "answers": [list(answer) for answer in answers]}
        if tools:
            wanted["tools"] = list(tools)
        with self._living().request("score", wanted) as replies:
            try:
                for reply in replies:
                    if reply.get("event") == "score":
                        yield int(_number(reply.get("answer"))), _number(reply.get("score"))
                    elif reply.get("event") == "done":
                        return
            except GeneratorExit:
                self.stop()
                raise

    def stop(self) -> None:
        """Ask the worker to end what it is answering; harmless when it answers nothing."""
        if self._worker is not None:
            with contextlib.suppress(UserError):
                self._worker.send({"do": "stop"})

    def close(self) -> None:
        """End the worker. Whoever waits for an answer gets a UserError."""
        worker, self._worker, self._loaded = self._worker, None, None
        if worker is not None:
            worker.end()

    def _living(self) -> WorkerProcess:
        if self._worker is None:
            raise UserError(text("chat.not_started"))
        return self._worker


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
