"""Finds which characters of a rendered dialogue are the assistant's, by asking the template: slow, for any template.
Not for many rows (`spans` learns patterns from it), and not for tokens (`encode`).

What a template writes for the messages before an answer, with the generation prompt, is what the model will be given;
what it adds from there to the end of the turn is what it must learn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trainer.data.messages import BadRowError, Message, Row
from trainer.data.templates import ChatTemplate

_MARK = "qzanswerxmark"


@dataclass(frozen=True, slots=True)
class Rendering:
    """The text of a dialogue and, for each assistant message in order, where its answer begins and ends in it."""

    text: str
    answers: tuple[tuple[int, int], ...]
    endless: bool = False
    """Some answer has no end-of-turn token, so nothing teaches the model to stop there."""


class AnswerSearch:
    """The search by several renderings, for one dialogue."""

    def __init__(self, template: ChatTemplate, special: re.Pattern[str], row: Row) -> None:
        self._template = template
        self._special = special
        self._messages = row.messages
        self._tools = row.tools

    def search(self, text: str) -> Rendering:
        """The answers in `text`, which is the rendered dialogue.

        Raises: BadRowError when one cannot be found; TemplateRefusedError.
        """
        answers: list[tuple[int, int]] = []
        endless = False
        previous = 0
        for number, message in enumerate(self._messages):
            if message.role != "assistant":
                continue
            start = self._start(text, number, previous)
            end, has_end = self._end(text, number, start)
            if not previous <= start <= end <= len(text):
                raise not_found(number)
            endless |= not has_end
            answers.append((start, end))
            previous = end
        return Rendering(text, tuple(answers), endless)

    def _render(self, messages: Sequence[Message], *, prompt: bool = False) -> str:
        return self._template.render(messages, add_generation_prompt=prompt, tools=self._tools)

    def _marked(self, number: int) -> Message:
        return replace(self._messages[number], content=_MARK)

    def _start(self, text: str, number: int, previous: int) -> int:
        """Where the model takes over: the end of what it is given when it is asked for this answer."""
        before = self._messages[:number]
        given = self._render(before, prompt=True)
        if text.startswith(given):
            return len(given)
        # Some generation prompts say more than what stands in a finished dialogue (an opened or an empty thought).
        history = self._render(before)
        shared = _shared_prefix(text, given)
        if given.startswith(history) and shared > len(history):
            return shared
        # Others write earlier turns differently once later ones follow: look in front of the content itself.
        content_start, _ = self._content(text, number)
        prompt = given[len(history) :] if given.startswith(history) else ""
        while prompt.strip():
            place = text.rfind(prompt, previous, content_start)
            if place >= 0:
                return place + len(prompt)
            prompt = prompt.rstrip().rpartition("\n")[0] + "\n" if "\n" in prompt.rstrip() else ""
        return content_start

    def _end(self, text: str, number: int, start: int) -> tuple[int, bool]:
        """Where the turn ends, with its end-of-turn token and without the white space after; and whether it has one."""
        turn = self._render(self._messages[: number + 1])
        if not self._messages[number].is_plain():
            return self._end_by_token(text, turn, number, start)
        tail = self._render([*self._messages[:number], self._marked(number)]).rpartition(_MARK)[2]
        if not turn.endswith(tail):
            return self._end_by_token(text, turn, number, start)
        ending = self._ending(tail)
        if text.startswith(turn):
            return len(turn) - len(tail) + len(ending), bool(ending)
        _, content_end = self._content(text, number)
        if not text.startswith(ending, content_end):
            ending = self._other_ending(ending, text[content_end:])
        if not ending and tail.strip():
            raise not_found(number)
        return content_end + len(ending), bool(ending)

    def _ending(self, tail: str) -> str:
        """What of the text after a content ends the turn: up to the first special token and those that follow it
        directly, else all but white space.
        """
        token = self._special.search(tail)
        if token is None:
            return tail.rstrip()
        end = token.end()
        while following := self._special.match(tail, end):
            end = following.end()
        return tail[:end]

    def _other_ending(self, ending: str, rest: str) -> str:
        """The ending of a turn that closes with another token in the middle of a dialogue than at its end."""
        expected, token = self._special.search(ending), self._special.search(rest)
        if expected is None or token is None or rest[: token.start()] != ending[: expected.start()]:
            return ""
        return rest[: token.end()]

    def _end_by_token(self, text: str, turn: str, number: int, start: int) -> tuple[int, bool]:
        """The end of a turn that holds more than its content, such as tool calls."""
        turn = turn.rstrip()
        token = max((match for match in self._special.finditer(turn)), key=lambda match: match.end(), default=None)
        has_end = token is not None and token.end() == len(turn)
        if text.startswith(turn):
            return len(turn), has_end
        place = text.find(token.group(), start) if token is not None and has_end else -1
        if token is None or place < 0:
            raise not_found(number)
        return place + len(token.group()), True

    def _content(self, text: str, number: int) -> tuple[int, int]:
        """Where the content of a message stands: all that changes when a mark is put in its place."""
        messages = list(self._messages)
        messages[number] = self._marked(number)
        before, found, after = self._render(messages).partition(_MARK)
        if not found or not text.startswith(before) or not text.endswith(after) or len(before) + len(after) > len(text):
            raise not_found(number)
        return len(before), len(text) - len(after)


def _shared_prefix(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    for position, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return position
    return min(len(one), len(other))


def not_found(number: int) -> BadRowError:
    """The error for an answer that a template hides."""
    text = f"the answer in message {number + 1} cannot be found in what the chat template writes"
    return BadRowError("answer_not_found", text, "The template rewrites it; look at the row with trimtab preview")
