"""Turns raw rows (alpaca, history, sharegpt, OpenAI messages) into dialogues. Not for tokens, nor for preferences."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.data.messages import BadRowError, Message, RawRow, Row
from trainer.data.registry import Columns, DatasetEntry, Tags
from trainer.errors import UserError

_CONVERSATION_COLUMNS = ("messages", "conversations", "conversation")
_QUESTION_COLUMNS = ("instruction", "prompt", "question", "query", "input")
_ANSWER_COLUMNS = ("output", "response", "answer", "completion")
_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function_call": "function_call",
}
_EXAMPLES = '{"instruction": ..., "output": ...} or {"messages": [{"role": "user", "content": ...}, ...]}'


@dataclass(frozen=True)
class RowFormat:
    """How the rows of one data set are read: the shape, the column names and, for conversations, the tags."""

    shape: str
    """`alpaca` (a question and an answer in columns) or `conversation` (a list of messages in one column)."""
    columns: Columns
    tags: Tags = field(default_factory=Tags)

    def describe(self) -> str:
        """One line for people: `conversation (messages: conversations, from, value)`."""
        if self.shape == "conversation":
            names = [f"messages: {self.columns.messages}", self.tags.role_tag, self.tags.content_tag]
        else:
            names = [name for name in (self.columns.prompt, self.columns.query, self.columns.response) if name]
        return f"{self.shape} ({', '.join(names)})"


def row_format(entry: DatasetEntry, sample: Mapping[str, Any]) -> RowFormat:
    """The format that the registry states for `entry`; what it leaves open is detected from the row `sample`.

    Raises: UserError when the rows are of no format that sft can use.
    """
    file = entry.files[0]
    if entry.ranking:
        problem = "a ranked data set (chosen, rejected) cannot be used for sft"
        raise UserError(problem, field="dataset", value=entry.name, hint="Choose one with a single answer a row")
    shape = entry.formatting
    if shape is None and entry.columns is not None:
        shape = "sharegpt" if entry.columns.messages else "alpaca"
    if shape is None:
        return _detected(entry, sample)
    if shape == "alpaca":
        columns = entry.columns or Columns()
        if not columns.prompt or not columns.response:
            missing = "prompt" if not columns.prompt else "response"
            hint = f'Add "{missing}": "<column>" to its columns'
            raise UserError(f"the columns of {entry.name} name no {missing}", file=file, hint=hint)
        return RowFormat("alpaca", columns)
    columns = entry.columns or Columns(messages=_conversation_column(sample) or "conversations")
    if not columns.messages:
        columns = Columns(**{**vars(columns), "messages": "messages" if shape == "openai" else "conversations"})
    tags = entry.tags or _detected_tags(sample.get(str(columns.messages)))
    return RowFormat("conversation", columns, tags)


def _detected(entry: DatasetEntry, sample: Mapping[str, Any]) -> RowFormat:
    messages = _conversation_column(sample)
    if messages is not None:
        return RowFormat("conversation", Columns(messages=messages), entry.tags or _detected_tags(sample[messages]))
    question = next((name for name in _QUESTION_COLUMNS if name in sample), None)
    answer = next((name for name in _ANSWER_COLUMNS if name in sample), None)
    if question and answer:
        query = "input" if question != "input" and "input" in sample else None
        return RowFormat("alpaca", Columns(prompt=question, query=query, response=answer))
    file = entry.files[0]
    found = ", ".join(sample) or "nothing"
    if "chosen" in sample or "rejected" in sample:
        raise UserError("preference rows (chosen, rejected) cannot be used for sft", file=file, hint="They are for dpo")
    if "text" in sample:
        raise UserError("plain text rows cannot be used for sft", file=file, hint=f"Expected {_EXAMPLES}")
    hint = f"Expected {_EXAMPLES}, or register the file with its column names"
    raise UserError(f"no known columns in the rows (found: {found})", file=file, hint=hint)


def _conversation_column(sample: Mapping[str, Any]) -> str | None:
    return next((name for name in _CONVERSATION_COLUMNS if isinstance(sample.get(name), list)), None)


def _detected_tags(messages: object) -> Tags:
    first = messages[0] if isinstance(messages, list) and messages else None
    if isinstance(first, dict) and "from" not in first and "role" in first:
        return Tags("role", "content", "user", "assistant", "tool", "function_call", "system")
    return Tags()


class RowConverter:
    """Converts the raw rows of one data set; built once, called for each row."""

    def __init__(self, row_format: RowFormat, default_system: str | None = None) -> None:
        self.format = row_format
        self._default_system = default_system
        tags = row_format.tags
        # The common names are understood beside the registered ones: a wrong tag is the usual cause of lost rows.
        self._roles = {
            **_ROLES,
            tags.user_tag: "user",
            tags.assistant_tag: "assistant",
            tags.observation_tag: "tool",
            tags.function_tag: "function_call",
            tags.system_tag: "system",
        }

    def convert(self, raw: RawRow) -> Row:
        """The dialogue of a raw row.

        Raises: BadRowError with the reason and the remedy.
        """
        value, columns = raw.value, self.format.columns
        for name in (columns.images, columns.videos, columns.audios):
            if name and value.get(name):
                raise BadRowError("media", f"{name} in a row cannot be trained on yet", f"Remove {name}")
        messages = self._conversation(value) if self.format.shape == "conversation" else self._alpaca(value)
        system = _optional_text(value, columns.system)
        if messages and messages[0].role != "system" and (system or self._default_system):
            messages.insert(0, Message("system", system or self._default_system))
        _check_order(messages)
        return Row(tuple(messages), raw.source, _tools(value.get(columns.tools) if columns.tools else None))

    def _alpaca(self, value: Mapping[str, Any]) -> list[Message]:
        columns = self.format.columns
        messages: list[Message] = []
        for pair in (value.get(columns.history) if columns.history else None) or ():
            if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
                hint = f'Write "{columns.history}": [["question", "answer"]]'
                raise BadRowError("history", f"{columns.history} is not a list of pairs", hint)
            messages += (Message("user", pair[0]), Message("assistant", pair[1]))
        question = _text(value, str(columns.prompt))
        query = _optional_text(value, columns.query)
        messages.append(Message("user", f"{question}\n{query}" if question and query else question or query or ""))
        messages.append(Message("assistant", _text(value, str(columns.response))))
        return messages

    def _conversation(self, value: Mapping[str, Any]) -> list[Message]:
        column = str(self.format.columns.messages)
        turns = value.get(column)
        if turns is None:
            raise _missing(column, value)
        if not isinstance(turns, list) or not turns:
            raise BadRowError("no_messages", f"{column} is not a list of messages", f"Fill {column} or drop the row")
        return [self._turn(turn, number) for number, turn in enumerate(turns, start=1)]

    def _turn(self, turn: Any, number: int) -> Message:
        tags = self.format.tags
        if not isinstance(turn, dict) or tags.role_tag not in turn:
            hint = f'Each message needs "{tags.role_tag}" and "{tags.content_tag}"; other names go into tags'
            raise BadRowError("wrong_tags", f"message {number} has no {tags.role_tag}", hint)
        name = turn[tags.role_tag]
        role = self._roles.get(name) if isinstance(name, str) else None
        if role is None:
            known = ", ".join(dict.fromkeys((tags.user_tag, tags.assistant_tag, tags.system_tag, tags.observation_tag)))
            raise BadRowError("unknown_role", f"message {number} has the role {name!r}", f"Known roles: {known}")
        content = turn.get(tags.content_tag)
        if role == "function_call":
            return Message("assistant", "", tool_calls=_function_calls(content, number))
        tool_calls = _tool_calls(turn.get("tool_calls"), number)
        if not isinstance(content, str):
            content = _content_text(content, number, may_be_missing=bool(tool_calls))
        return Message(
            role,
            content,
            turn.get("reasoning_content"),
            tool_calls,
            turn.get("name"),
            turn.get("tool_call_id"),
            _train_flag(turn, role, number),
        )


def _text(value: Mapping[str, Any], column: str) -> str:
    if column not in value:
        raise _missing(column, value)
    text = value[column]
    if not isinstance(text, str):
        kind = "null" if text is None else type(text).__name__
        raise BadRowError("not_text", f"{column} is {kind}, not text", f"Make {column} a string or drop the row")
    return text


def _optional_text(value: Mapping[str, Any], column: str | None) -> str | None:
    return _text(value, column) if column and value.get(column) is not None else None


def _missing(column: str, value: Mapping[str, Any]) -> BadRowError:
    found = ", ".join(value) or "none"
    return BadRowError("missing_column", f"no column {column} (found: {found})", "Set columns in dataset_info.json")


def _check_order(messages: Sequence[Message]) -> None:
    previous = ""
    for number, message in enumerate(messages, start=1):
        role = message.role
        if role == "system":
            wrong = previous != ""
        elif role == "user":
            wrong = previous == "user"
        elif role == "assistant":
            wrong = previous not in ("user", "tool")
        else:
            wrong = previous not in ("assistant", "tool")
        if wrong:
            after = f"after {previous}" if previous else "first"
            hint = "Turns must go system, user, assistant, user, assistant and so on"
            raise BadRowError("roles_out_of_order", f"message {number} ({role}) comes {after}", hint)
        previous = role
    if previous != "assistant":
        hint = "Add the answer or drop the last turn"
        raise BadRowError("no_answer", "the dialogue does not end with an answer", hint)
    for message in messages:
        if message.role == "assistant" and not message.tool_calls and not (message.content or "").strip():
            hint = "The model would learn to say nothing; drop the row"
            raise BadRowError("empty_answer", "an answer is empty", hint)


def _content_text(content: Any, number: int, *, may_be_missing: bool) -> str | None:
    """Content that is not a plain string: OpenAI's text parts, or nothing beside tool calls."""
    if content is None and may_be_missing:
        return None
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        if all(part.get("type") == "text" and isinstance(part.get("text"), str) for part in content):
            return "".join(part["text"] for part in content)
        raise BadRowError("media", f"message {number} has parts that are not text", "Only text can be trained on yet")
    kind = "null" if content is None else type(content).__name__
    raise BadRowError("not_text", f"the content of message {number} is {kind}, not text", "Make it a string")


def _train_flag(turn: Mapping[str, Any], role: str, number: int) -> bool | None:
    flag = turn.get("train", turn.get("weight"))
    if flag is None:
        return None
    if flag not in (0, 1):
        raise BadRowError("wrong_weight", f"message {number} has the weight {flag!r}", "weight may be 0 or 1")
    if flag and role != "assistant":
        raise BadRowError("wrong_weight", f"message {number} ({role}) is to be trained", "Only answers can be chosen")
    return bool(flag)


def _tool_calls(calls: Any, number: int) -> tuple[Mapping[str, Any], ...]:
    if not calls:
        return ()
    if not isinstance(calls, list):
        raise BadRowError("wrong_tools", f"tool_calls of message {number} is not a list", "Write a list of calls")
    return tuple(_call(call.get("function", call) if isinstance(call, dict) else call, number) for call in calls)


def _function_calls(content: Any, number: int) -> tuple[Mapping[str, Any], ...]:
    calls = _parsed(content, f"the function call in message {number}")
    return tuple(_call(call, number) for call in (calls if isinstance(calls, list) else [calls]))


def _call(call: Any, number: int) -> Mapping[str, Any]:
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        hint = 'Write {"name": ..., "arguments": {...}}'
        raise BadRowError("wrong_tools", f"a function call in message {number} has no name", hint)
    arguments = _parsed(call.get("arguments", {}), f"the arguments of {call['name']} in message {number}")
    return {"type": "function", "function": {"name": call["name"], "arguments": arguments}}


def _tools(tools: Any) -> tuple[Mapping[str, Any], ...]:
    if not tools:
        return ()
    parsed = _parsed(tools, "the tools column")
    if not isinstance(parsed, list) or not all(isinstance(tool, dict) for tool in parsed):
        raise BadRowError("wrong_tools", "tools is not a list of objects", "Write a list of JSON schemas")
    return tuple(tool if "function" in tool else {"type": "function", "function": tool} for tool in parsed)


def _parsed(value: Any, subject: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        text = f"{subject} is not valid JSON: {error.msg} (column {error.colno})"
        raise BadRowError("wrong_tools", text, 'Write {"name": ..., "arguments": {...}}') from error
