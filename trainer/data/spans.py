"""Renders dialogues and finds the assistant's characters in them, for any template. Not for tokens (`encode`).

No generation markers are needed: the template itself is asked (`answer_search`). That takes several renderings an
answer, so it is done once for each sequence of roles, with marks in place of the contents. What the template writes
around the marks is a pattern; where nothing in a dialogue makes the template leave it (`template_constants`), the
pattern is filled in without asking the template. Every so often it is asked all the same, and a difference ends the
short way (`ShortWayError`). All other dialogues are rendered, and compared with the pattern or searched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trainer.data.answer_search import AnswerSearch, Rendering
from trainer.data.messages import BadRowError, Message, Row, SourceReference
from trainer.data.template_constants import content_constants
from trainer.data.templates import ChatTemplate, TemplateRefusedError

AUDIT_INTERVAL = 64
"""Every how many rows that went a short way also go the long one, to compare."""

_MARK = "qzcontentxmark"
_PADDING = (" \n", "\n ")


class ShortWayError(Exception):
    """A short way gave another result than the long one: it may not be used for this template and tokenizer."""


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

    def filled(self, contents: Sequence[str]) -> Rendering:
        """The pattern with these contents."""
        parts, places, position = [self.pieces[0]], [], len(self.pieces[0])
        for content, piece in zip(contents, self.pieces[1:], strict=True):
            end = position + len(content)
            places.append((position, end))
            parts += (content, piece)
            position = end + len(piece)
        answers = tuple(
            [(places[number][0] - before, places[number][1] + after) for number, before, after in self.answers]
        )
        return Rendering("".join(parts), answers, self.endless)

    def match(self, messages: Sequence[Message], text: str) -> Rendering | None:
        """The answers in `text`, provided that it is exactly this pattern filled with these messages."""
        contents = []
        for message, (left, right) in zip(messages, self.trimmed, strict=True):
            content = message.content or ""
            content = content.lstrip() if left else content
            contents.append(content.rstrip() if right else content)
        filled = self.filled(contents)
        return filled if filled.text == text else None


class AnswerFinder:
    """Renders dialogues with one template and finds the answers in them."""

    def __init__(self, template: ChatTemplate, special_tokens: frozenset[str], *, short_way: bool = False) -> None:
        """`short_way` allows to fill patterns in without rendering."""
        self._template = template
        longest_first = sorted((token for token in special_tokens if token), key=len, reverse=True)
        self._special = re.compile("|".join(re.escape(token) for token in longest_first) or "(?!)")
        self._patterns: dict[tuple[tuple[str, ...], bool], _Pattern | None] = {}
        self._constants = content_constants(template) if short_way else None
        self._filled = 0

    def render(self, row: Row, *, prompt: bool = False) -> Rendering:
        """The text of a row and its answers; with `prompt`, the text up to where the model begins to answer.

        Raises: BadRowError when the template refuses the dialogue, or an answer cannot be found in what it writes;
        ShortWayError when the template turns out to be one that patterns cannot stand in for.
        """
        try:
            filled = self._filled_in(row, prompt)
            if filled is not None:
                self._filled += 1
                if self._filled % AUDIT_INTERVAL == 1 and self._render(row, prompt) != filled.text:
                    raise ShortWayError("the template writes something else than its pattern")
                return filled
            return self._rendered(row, prompt)
        except TemplateRefusedError as error:
            hint = "Change the row, or choose a model whose template takes it"
            raise BadRowError("template_refused", f"the chat template refuses it: {error}", hint) from error

    def _filled_in(self, row: Row, prompt: bool) -> Rendering | None:
        """The rendering by the pattern alone, for a dialogue in which the template sees nothing but roles."""
        constants = self._constants
        if constants is None or row.tools:
            return None
        contents, roles = [], []
        for message in row.messages:
            content = message.content
            if content is None or not message.is_plain() or not constants.leave_alone(content):
                return None
            contents.append(content)
            roles.append(message.role)
        pattern = self._pattern(tuple(roles), prompt)
        return None if pattern is None else pattern.filled(contents)

    def _rendered(self, row: Row, prompt: bool) -> Rendering:
        text = self._render(row, prompt)
        if prompt:
            return Rendering(text, ())
        if not row.tools and all(message.is_plain() for message in row.messages):
            pattern = self._pattern(tuple(message.role for message in row.messages), prompt)
            found = None if pattern is None else pattern.match(row.messages, text)
            if found is not None:
                return found
        return AnswerSearch(self._template, self._special, row).search(text)

    def _render(self, row: Row, prompt: bool) -> str:
        return self._template.render(row.messages, tools=row.tools, add_generation_prompt=prompt)

    def _pattern(self, roles: tuple[str, ...], prompt: bool) -> _Pattern | None:
        key = (roles, prompt)
        if key not in self._patterns:
            try:
                self._patterns[key] = self._learn_pattern(roles, prompt)
            except (TemplateRefusedError, BadRowError):
                self._patterns[key] = None
        return self._patterns[key]

    def _learn_pattern(self, roles: tuple[str, ...], prompt: bool) -> _Pattern | None:
        marks = [f"{_MARK}{number}{_MARK}" for number in range(len(roles))]
        left, right = _PADDING
        dialogue = tuple(Message(role, f"{left}{mark}{right}") for role, mark in zip(roles, marks, strict=True))
        text = self._template.render(dialogue, add_generation_prompt=prompt)
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
        if prompt:
            return _Pattern(tuple(pieces), tuple(trimmed), (), False)
        found = AnswerSearch(self._template, self._special, Row(dialogue, SourceReference("", 0))).search(text)
        numbers = [number for number, role in enumerate(roles) if role == "assistant"]
        answers = tuple(
            (number, places[number][0] - start, end - places[number][1])
            for number, (start, end) in zip(numbers, found.answers, strict=True)
        )
        if any(before < 0 or after < 0 for _, before, after in answers):
            return None
        return _Pattern(tuple(pieces), tuple(trimmed), answers, found.endless)
