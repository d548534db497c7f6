"""What `enable_thinking` and `preserve_thinking` do to rows and their rendering. Not for finding answers (`spans`).

Which thoughts a dialogue shows, and where an empty one stands, is the template's business, as it is when somebody chats
with the model: most show the last answer's thought and leave earlier ones out; `preserve_thinking` asks for all of
them. How much of a thought is learned follows from the generation prompt: what that holds already is not.

- `True`: the generation prompt is the template's usual one, and the model must write its thought, an empty one too.
- `False`: thoughts are taken out of the rows, and the generation prompt already holds the empty one.
- `"mixed"`: a row with a thought is treated as with `True`, a row without one as with `False`.

A template that came with the model is told only what it asks for by name (`enable_thinking`, `thinking`,
`preserve_thinking`); one that has no such switch is rendered as it is. With a template that has no place for thoughts
they are text of the answer, between <think> and </think>.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from trainer.data.messages import Message, Row
from trainer.data.templates import ChatTemplate, stated_defaults

EnableThinking = Literal[True, False, "mixed"]

_USUAL_WORDS = ("<think>", "</think>")
_SWITCHES = {name: re.compile(rf"\b{name}\b") for name in ("enable_thinking", "thinking")}
"""What templates call the switch: the first is Qwen's and that of the shipped templates, the second DeepSeek's."""


class Thinking:
    """How rows are rendered with one template in one mode."""

    def __init__(
        self, template: ChatTemplate, enable_thinking: EnableThinking = True, preserve_thinking: bool = False
    ) -> None:
        opening, closing = template.thought_words or _USUAL_WORDS
        self._words = (opening.strip(), closing.strip())
        self._thought = _thought_pattern(*self._words)
        self._mode = enable_thinking
        self._has_place = knows_thoughts(template)
        self._on = template.with_variables(default_variables(template, True, preserve_thinking))
        self._off = template.with_variables(default_variables(template, False, preserve_thinking))

    @property
    def words(self) -> tuple[str, str]:
        """What stands before and after a thought."""
        return self._words

    def row(self, row: Row) -> Row:
        """The row as it is rendered: without its thoughts where thinking is off, else with all of them."""
        change: Callable[[Message], Message]
        if self._mode is False and self._has_thought(row):
            change = self._without_thought
        elif self._mode is not False and not self._has_place and _has_thought_apart(row):
            change = _with_thought_as_text
        else:
            return row
        return replace(
            row,
            messages=tuple(change(message) for message in row.messages),
            chosen=tuple(change(message) for message in row.chosen),
            rejected=tuple(change(message) for message in row.rejected),
        )

    def template(self, row: Row) -> ChatTemplate:
        """The template, told in which mode it is; one of two objects."""
        is_on = self._has_thought(row) if self._mode == "mixed" else self._mode
        return self._on if is_on else self._off

    def _has_thought(self, row: Row) -> bool:
        return any(
            message.role == "assistant"
            and (message.reasoning_content or any(word in (message.content or "") for word in self._words))
            for turns in (row.messages, row.chosen, row.rejected)
            for message in turns
        )

    def _without_thought(self, message: Message) -> Message:
        if message.role != "assistant":
            return message
        content = message.content
        if content is not None and any(word in content for word in self._words):
            content = self._thought.sub("", content).lstrip("\n")
        return replace(message, content=content, reasoning_content=None)


def knows_thoughts(template: ChatTemplate) -> bool:
    """Whether a template has a place for thoughts."""
    if template.name is not None:
        return template.thought_words is not None
    return "reasoning_content" in template.text or any(word in template.text for word in _USUAL_WORDS)


def default_variables(
    template: ChatTemplate, enable_thinking: EnableThinking, preserve_thinking: bool
) -> Mapping[str, object]:
    """What the template is told where no row is at hand, as in chats with the trained model."""
    variables: dict[str, object] = {}
    if not knows_thoughts(template):
        return variables
    # The model may come from an earlier run, whose mode its template has as the default.
    earlier = stated_defaults(template.text)
    for name, pattern in _SWITCHES.items():
        if name in earlier or (enable_thinking is False and pattern.search(template.text)):
            variables[name] = enable_thinking is not False
    if preserve_thinking or "preserve_thinking" in earlier:
        variables["preserve_thinking"] = preserve_thinking
    return variables


def _has_thought_apart(row: Row) -> bool:
    for turns in (row.messages, row.chosen, row.rejected):
        for message in turns:
            if message.reasoning_content:
                return True
    return False


def _with_thought_as_text(message: Message) -> Message:
    if message.role != "assistant" or not message.reasoning_content:
        return message
    opening, closing = _USUAL_WORDS
    thought = message.reasoning_content.strip("\n")
    content = f"{opening}\n{thought}\n{closing}\n\n{message.content or ''}"
    return replace(message, content=content, reasoning_content=None)


def _thought_pattern(opening: str, closing: str) -> re.Pattern[str]:
    """A whole thought, or the end of one that a generation prompt has opened."""
    start, end = re.escape(opening), re.escape(closing)
    return re.compile(f"{start}.*?{end}|\\A(?:(?!{start}).)*?{end}", re.DOTALL)
