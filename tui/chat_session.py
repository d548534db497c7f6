"""The chat worker driven from a screen: work is queued and done in a thread; the screen looks a few times a second.

No textual: the screen polls `phase` and the growing `Answer` or `Judgement`. Not the worker's protocol (`tui.workers`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import Literal

from trainer.errors import UserError
from tui.conversation import Answer
from tui.judgement import Judgement
from tui.locale import text
from tui.workers import ChatClient, ChatTarget, Done, Loaded, Token

Phase = Literal["empty", "loading", "ready", "answering", "failed"]


class ChatSession:
    """One worker and the model in it; with `scores`, a reward model. All methods return at once."""

    def __init__(self, client: ChatClient | None = None, *, scores: bool = False) -> None:
        self._scores = scores
        self.client = client or ChatClient()
        self.phase: Phase = "empty"
        self.error = ""
        """Why the last load failed, in one line."""
        self.target: ChatTarget | None = None
        self.since = time.monotonic()
        """When the phase began, in monotonic seconds."""
        self.tokens = 0
        """Pieces received of the answer that is streaming, or numbers of the answers that are judged."""
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._waiting = 0
        # Goes up when a load is given up: questions that waited for it are not asked any more.
        self._round = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether something is under way or waits for its turn."""
        return self._waiting > 0

    @property
    def loaded(self) -> Loaded | None:
        """The model in the living worker."""
        return self.client.loaded

    def load(self, target: ChatTarget) -> None:
        """Load another model; what is under way is given up."""
        self.give_up()
        self.target = target
        self._queue(lambda: self._load(target))
        self._enter("loading")

    def answer(
        self,
        answer: Answer,
        messages: Sequence[Mapping[str, str]],
        settings: Mapping[str, object],
        finished: Callable[[], None],
    ) -> None:
        """Fill `answer`; a worker that died is started again first. `finished` is called in the session's thread."""
        self._ask(answer, lambda: self._answer(answer, messages, settings), finished)

    def score(self, judgement: Judgement, finished: Callable[[], None]) -> None:
        """Give the answers of `judgement` the numbers that they lack; otherwise as `answer`."""
        self._ask(judgement, lambda: self._score(judgement), finished)

    def give_up(self) -> None:
        """Stop the answer that streams; a model that is being loaded is dropped with its worker."""
        if self.phase == "loading":
            self._round += 1
            self.client.close()
        elif self.phase == "answering":
            self.client.stop()

    def close(self) -> None:
        """End the worker and the thread."""
        self._closed = True
        self._jobs.put(None)
        self.client.close()

    def _ask(self, asked: Answer | Judgement, fill: Callable[[], None], finished: Callable[[], None]) -> None:
        asked_in = self._round

        def work() -> None:
            if asked_in != self._round:
                asked.error = text("chat.given_up")
                return
            try:
                if self.client.loaded is None and self.target is not None:
                    self._load(self.target)
                if self.client.loaded is None:
                    asked.error = self.error
                    return
                self._enter("answering")
                try:
                    fill()
                except UserError as error:
                    asked.error = str(error)
                self._enter("ready" if self.client.alive else "failed")
            finally:
                finished()

        self._queue(work)

    def _queue(self, job: Callable[[], None]) -> None:
        self._waiting += 1
        self._jobs.put(job)
        if self._thread is None:
            # A daemon: a model that takes minutes to load must not keep the cockpit from leaving.
            self._thread = threading.Thread(target=self._work, name="chat-session", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None and not self._closed:
            job()
            self._waiting -= 1

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.since = time.monotonic()

    def _load(self, target: ChatTarget) -> None:
        if target is not self.target:
            return  # another one was chosen meanwhile
        self._enter("loading")
        self.error = ""
        begun_in = self._round
        try:
            self.client.load(target, scores=self._scores)
        except UserError as error:
            if target is self.target and not self._closed:
                self.error = str(error) if begun_in == self._round else text("chat.given_up")
                self._enter("failed")
            return
        self._enter("ready")

    def _answer(self, answer: Answer, messages: Sequence[Mapping[str, str]], settings: Mapping[str, object]) -> None:
        self.tokens = 0
        for piece in self.client.generate(messages, adapter=answer.source == "tuned", settings=settings):
            match piece:
                case Token():
                    self.tokens += 1
                    answer.text += piece.text
                case Done():
                    answer.text, answer.done = piece.text or answer.text, piece

    def _score(self, judgement: Judgement) -> None:
        without = [answer for answer in judgement.answers if answer.score is None]
        turns = [[{"role": "assistant", "content": answer.text}] for answer in without]
        self.tokens = 0
        if not without:
            return
        for place, number in self.client.score(judgement.messages(), turns):
            self.tokens += 1
            without[place].score = number
        if not judgement.complete:
            judgement.error = text("chat.stopped")
