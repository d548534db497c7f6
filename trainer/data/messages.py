"""What a row of any format becomes: a dialogue that knows its place on disk. Not for reading or rendering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class SourceReference:
    """Where a row stands: the file, the number of the row in it (from 1) and the line on which it begins (from 1)."""

    file: str
    row: int
    line: int = 0

    def __str__(self) -> str:
        line = self.line or self.row
        # Several rows on one line, as in an array without line breaks: the line alone would not tell which.
        return f"{self.file}:{line}" if self.row <= line else f"{self.file}:{line} (row {self.row})"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a dialogue, with the names that chat templates use."""

    role: str
    content: str | None
    reasoning_content: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    name: str | None = None
    tool_call_id: str | None = None
    train: bool | None = None
    """Set in the row (`train`, `weight`) to say whether this answer is learned; None: as the recipe says."""

    def is_plain(self) -> bool:
        """Whether role and content say it all."""
        return not (self.reasoning_content or self.tool_calls or self.name or self.tool_call_id)

    def for_template(self) -> dict[str, Any]:
        """The dictionary that a chat template sees; what is unset is left out, as transformers does."""
        values: dict[str, Any] = {"role": self.role}
        if self.content is not None:
            values["content"] = self.content
        if self.reasoning_content is not None:
            values["reasoning_content"] = self.reasoning_content
            values["thinking"] = self.reasoning_content  # the name that gpt-oss templates read
        if self.tool_calls:
            values["tool_calls"] = list(self.tool_calls)
        if self.name is not None:
            values["name"] = self.name
        if self.tool_call_id is not None:
            values["tool_call_id"] = self.tool_call_id
        return values

    @classmethod
    def from_template(cls, values: Mapping[str, Any]) -> Message:
        """The turn that `for_template` made these of."""
        return cls(
            str(values["role"]),
            values.get("content"),
            reasoning_content=values.get("reasoning_content"),
            tool_calls=tuple(values.get("tool_calls") or ()),
            name=values.get("name"),
            tool_call_id=values.get("tool_call_id"),
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One row of any format as its stage needs it.

    sft: `messages` ends with an answer. dpo, rm: `messages` is the prompt, `chosen` and `rejected` the two ways to go
    on. kto: `messages` ends with the answer that `kto_tag` judges. ppo, grpo: `messages` is the prompt, `reference` the
    answer that the row had. pt: `text`, and no messages.
    """

    messages: tuple[Message, ...]
    source: SourceReference
    tools: tuple[Mapping[str, Any], ...] = ()
    chosen: tuple[Message, ...] = ()
    rejected: tuple[Message, ...] = ()
    kto_tag: bool | None = None
    text: str | None = None
    reference: str | None = None
    images: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    audios: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """Characters of text and messages, without what the template adds and without tool calls."""
        turns = (*self.messages, *self.chosen, *self.rejected)
        return len(self.text or "") + sum(len(message.content or "") for message in turns)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: the reason (an identifier), what is wrong in words, and the remedy."""

    reason: str
    text: str
    hint: str
    source: SourceReference
    fatal: bool = False
    """The rest of the file cannot be read either."""

    def __str__(self) -> str:
        return f"{self.source}: {self.text}. {self.hint}"


class BadRowError(Exception):
    """Raised while a row is converted or encoded; the pipeline turns it into a `BadRow` with its place."""

    def __init__(self, reason: str, text: str, hint: str) -> None:
        # Names from the row may hold lone surrogates, which no terminal and no file takes.
        self.text = text.encode("utf-8", "backslashreplace").decode()
        super().__init__(self.text)
        self.reason = reason
        self.hint = hint

    def at(self, source: SourceReference) -> BadRow:
        """The record of this error for the row at `source`."""
        return BadRow(self.reason, self.text, self.hint, source)


@dataclass(frozen=True, slots=True)
class RawRow:
    """One JSON object as it stands in the file."""

    value: Mapping[str, Any] = field(repr=False)
    source: SourceReference
