"""Finds which characters of a rendered dialogue are the assistant's, for any template. Not for tokens (`encode`).

No generation markers are needed: the template itself is asked. What it writes for the messages before an answer, with
the generation prompt, is what the model will be given; what it adds from there to the end of the turn is what it must
learn. Four renderings an answer are slow, so this is done once for each sequence of roles, with marks in place of the
contents. A real dialogue is rendered once and compared with that pattern; where a character differs, it takes the slow
way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trainer.data.messages import BadRowError, Message, Row, SourceReference
from trainer.data.templates import ChatTemplate, TemplateRefusedError

_MARK = "qzanswerxmark"
_PADDING = (" \n", "\n ")


@dataclass(frozen=True, slots=True)
class Rendering:
    """The text of a dialogue and, for each assistant message in order, where its answer begins and ends in it."""

    text: str
    answers: tuple[tuple[int, int], ...]
    endless: bool = False
    """Some answer has no end-of-turn token, so nothing teaches the model to stop there."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What a template writes around the contents of one sequence of roles."""

    pieces: tuple[str, ...]
    """The text before, between and after the contents; one more than there are messages."""
    trimmed: tuple[tuple[bool, bool], ...]
    """For each message, whether the template strips its content on the left and on the right."""
    answers: tuple[tuple[int, int, int], ...]
    """For each answer: the message, and how many characters before and after its content belong to it."""
    endless: bool

    def match(self, messages: Sequence[Message], text: str) -> tuple[tuple[int, int], ...] | None:
        """The answers in `text`, provided that it is exactly this pattern filled with these messages."""
        parts, places, position = [self.pieces[0]], [], len(self.pieces[0])
        for message, (left, right), piece in zip(messages, self.trimmed, self.pieces[1:], strict=True):
            content = message.content or ""
            if left:
                content = content.lstrip()
            if right:
                content = content.rstrip()
            places.append((position, position + len(content)))
            parts += (content, piece)
            position += len(content) + len(piece)
        if "".join(parts) != text:
            return None
        return tuple((places[number][0] - before, places[number][1] + after) for number, before, after in self.answers)


class AnswerFinder:
    """Renders dialogues with one template and finds the answers in them."""

    def __init__(self, template: ChatTemplate, special_tokens: frozenset[str]) -> None:
        self._template = template
        longest_first = sorted((token for token in special_tokens if token), key=len, reverse=True)
        self._special = re.compile("|".join(re.escape(token) for token in longest_first) or "(?!)")
        self._patterns: dict[tuple[str, ...], _Pattern | None] = {}

    def render(self, row: Row) -> Rendering:
        """The text of a row and its answers.

        Raises: BadRowError when the template refuses the dialogue, or an answer cannot be found in what it writes.
        """
        try:
            text = self._template.render(row.messages, tools=row.tools)
            if not row.tools and all(message.is_plain() for message in row.messages):
                pattern = self._pattern(tuple(message.role for message in row.messages))
                answers = None if pattern is None else pattern.match(row.messages, text)
                if pattern is not None and answers is not None:
                    return Rendering(text, answers, pattern.endless)
            return _SlowSearch(self._template, self._special, row).search(text)
        except TemplateRefusedError as error:
            hint = "Change the row, or choose a model whose template takes it"
            raise BadRowError("template_refused", f"the chat template refuses it: {error}", hint) from error

    def _pattern(self, roles: tuple[str, ...]) -> _Pattern | None:
        if roles not in self._patterns:
            try:
                self._patterns[roles] = self._learn_pattern(roles)
            except (TemplateRefusedError, BadRowError):
                self._patterns[roles] = None
        return self._patterns[roles]

    def _learn_pattern(self, roles: tuple[str, ...]) -> _Pattern | None:
        marks = [f"{_MARK}{number}{_MARK}" for number in range(len(roles))]
        left, right = _PADDING
        dialogue = tuple(Message(role, f"{left}{mark}{right}") for role, mark in zip(roles, marks, strict=True))
        text = self._template.render(dialogue)
        pieces, trimmed, places, position = [], [], [], 0
        for mark in marks:
            start = text.find(mark, position)
            if start < 0 or text.count(mark) != 1:
                return None
            end = start + len(mark)
            keeps_left, keeps_right = text.endswith(left, position, start), text.startswith(right, end)
            start -= len(left) if keeps_left else 0
            end += len(right) if keeps_right else 0
            pieces.append(text[position:start])
            trimmed.append((not keeps_left, not keeps_right))
            places.append((start, end))
            position = end
        pieces.append(text[position:])
        found = _SlowSearch(self._template, self._special, Row(dialogue, SourceReference("", 0))).search(text)
        numbers = [number for number, role in enumerate(roles) if role == "assistant"]
        answers = tuple(
            (number, places[number][0] - start, end - places[number][1])
            for number, (start, end) in zip(numbers, found.answers, strict=True)
        )
        if any(before < 0 or after < 0 for _, before, after in answers):
            return None
        return _Pattern(tuple(pieces), tuple(trimmed), answers, found.endless)


class _SlowSearch:
    """The search by several renderings, for one dialogue."""

    def __init__(self, template: ChatTemplate, special: re.Pattern[str], row: Row) -> None:
        self._template = template
        self._special = special
        self._messages = row.messages
        self._tools = row.tools

    def search(self, text: str) -> Rendering:
        answers: list[tuple[int, int]] = []
        endless = False
        previous = 0
        for number, message in enumerate(self._messages):
            if message.role != "assistant":
                continue
            start = self._start(text, number, previous)
            end, has_end = self._end(text, number, start)
            if not previous <= start <= end <= len(text):
                raise _not_found(number)
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
            raise _not_found(number)
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
            raise _not_found(number)
        return place + len(token.group()), True

    def _content(self, text: str, number: int) -> tuple[int, int]:
        """Where the content of a message stands: all that changes when a mark is put in its place."""
        messages = list(self._messages)
        messages[number] = self._marked(number)
        before, found, after = self._render(messages).partition(_MARK)
        if not found or not text.startswith(before) or not text.endswith(after) or len(before) + len(after) > len(text):
            raise _not_found(number)
        return len(before), len(text) - len(after)


def _shared_prefix(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    for position, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return position
    return min(len(one), len(other))


def _not_found(number: int) -> BadRowError:
    text = f"the answer in message {number + 1} cannot be found in what the chat template writes"
    return BadRowError("answer_not_found", text, "The template rewrites it; look at the row with trimtab preview")
