"""One conversation with a model, and the transcript on disk of what was said or judged. No textual, no process.

Not the worker (`tui.workers`) and not what is drawn (`tui.widgets.chat_log`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trainer.errors import UserError
from trainer.paths import state_folder
from tui.judgement import Judgement
from tui.workers import Done

Source = Literal["tuned", "base"]


@dataclass
class Answer:
    """One answer to a prompt, from the tuned model or from the untuned base; grows while it streams."""

    source: Source
    text: str = ""
    done: Done | None = None
    error: str = ""

    @property
    def complete(self) -> bool:
        """Whether nothing more will come."""
        return self.done is not None or bool(self.error)


@dataclass
class Exchange:
    """A prompt and the answers to it: the first carries the conversation on, the others stand beside it."""

    prompt: str
    answers: list[Answer] = field(default_factory=list)

    def answer(self, source: Source) -> Answer | None:
        """The newest answer from this source."""
        return next((answer for answer in reversed(self.answers) if answer.source == source), None)


@dataclass
class Conversation:
    """The exchanges so far. The base sees the same history as the tuned model, so that the two answers compare."""

    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def last(self) -> Exchange | None:
        """The newest exchange."""
        return self.exchanges[-1] if self.exchanges else None

    def ask(self, prompt: str) -> Exchange:
        """Add a prompt."""
        exchange = Exchange(prompt)
        self.exchanges.append(exchange)
        return exchange

    def begin_answer(self, source: Source) -> Answer:
        """A new answer to the last prompt, in place of the one from the same source."""
        if self.last is None:
            raise ValueError("no prompt to answer")
        answer = Answer(source)
        self.last.answers = sorted(
            [*(old for old in self.last.answers if old.source != source), answer], key=lambda one: one.source == "base"
        )
        return answer

    def messages(self, system: str = "") -> list[dict[str, str]]:
        """What to send so that the last prompt is answered."""
        found = [{"role": "system", "content": system}] if system.strip() else []
        for exchange in self.exchanges[:-1]:
            found.append({"role": "user", "content": exchange.prompt})
            kept = next((answer for answer in exchange.answers if answer.text and not answer.error), None)
            if kept is None:
                found.pop()  # a prompt that nobody answered would put two user turns in a row
            else:
                found.append({"role": "assistant", "content": kept.text})
        if self.last is not None:
            found.append({"role": "user", "content": self.last.prompt})
        return found


class Transcript:
    """One `chat-*.jsonl` or `score-*.jsonl` file: a line for each answer or judgement, with what was asked."""

    def __init__(self, run_folder: Path | None, now: float | None = None, *, kind: str = "chat") -> None:
        folder = state_folder() / "chats" if run_folder is None else run_folder / "samples"
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
        self.file = folder / f"{kind}-{stamp}.jsonl"

    def add(
        self,
        *,
        model: str,
        answer: Answer,
        messages: Sequence[Mapping[str, str]],
        settings: Mapping[str, object],
    ) -> None:
        """Append one answer.

        Raises:
            UserError: the file cannot be written.
        """
        done = answer.done
        record = {
            "time": time.time(),
            "model": model,
            "source": answer.source,
            "messages": [*messages, {"role": "assistant", "content": answer.text}],
            "settings": dict(settings),
            "new_tokens": None if done is None else done.new_tokens,
            "seconds": None if done is None else done.seconds,
            "stopped": None if done is None else done.stopped,
        }
        self._append(record)

    def add_judgement(self, judgement: Judgement) -> None:
        """Append the numbers of the answers to one prompt.

        Raises:
            UserError: the file cannot be written.
        """
        answers = [{"answer": answer.text, "score": answer.score} for answer in judgement.ranked()]
        model = judgement.model
        self._append({"time": time.time(), "model": model, "messages": judgement.messages(), "answers": answers})

    def _append(self, record: Mapping[str, object]) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(record, ensure_ascii=False) + "\n")
        except OSError as error:
            raise UserError(error.strerror or str(error), file=self.file) from error
