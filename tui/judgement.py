"""A prompt with the answers that a reward model puts in order. No textual, no process: the Score screen drives it.

Not the worker (`tui.workers`) and not what is drawn (`tui.widgets.score_blocks`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

Turn = dict[str, str]
"""One turn of a dialogue: `role` and `content`."""


@dataclass
class RatedAnswer:
    """An answer and its number, the reward; None while it is not known."""

    text: str
    score: float | None = None


@dataclass
class Judgement:
    """What was asked, of which model, and what it said of each answer."""

    model: str
    """The checkpoint's folder, or the model's."""
    prompt: str
    system: str = ""
    before: tuple[Turn, ...] = ()
    """The turns before the prompt, without the system prompt."""
    answers: list[RatedAnswer] = field(default_factory=list)
    error: str = ""
    """Why numbers are missing, in one line."""

    @property
    def complete(self) -> bool:
        """Whether nothing more will come."""
        return bool(self.error) or all(answer.score is not None for answer in self.answers)

    def messages(self) -> list[Turn]:
        """The dialogue that the answers answer."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, *self.before, {"role": "user", "content": self.prompt}]

    def asks_the_same(self, other: Judgement) -> bool:
        """Whether model and dialogue are the same, so that numbers hold for both."""
        return self.model == other.model and self.messages() == other.messages()

    def take_numbers(self, other: Judgement) -> None:
        """Take over the same answers, with what is known of them or comes yet."""
        known = {answer.text: answer for answer in other.answers}
        self.answers = [known.get(answer.text, answer) for answer in self.answers]

    def ranked(self) -> list[RatedAnswer]:
        """The best first; what has no number, or NaN, at the end."""
        return sorted(self.answers, key=_place)


def _place(answer: RatedAnswer) -> float:
    return math.inf if answer.score is None or math.isnan(answer.score) else -answer.score


def shares(scores: Sequence[float]) -> list[float]:
    """How likely each answer is the best one, from 0 to 1, in sum 1: what stage rm takes differences of rewards for.

    Source: Bradley and Terry 1952; for more than two answers Luce 1959.
    """
    best = max(scores)
    weights = [math.exp(score - best) for score in scores]
    return [weight / sum(weights) for weight in weights]
