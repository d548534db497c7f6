"""Messages of a conversation column as `Message`s: tags, roles, content parts, training marks. Not for their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.data.formats.calls import function_turn, tool_calls
from trainer.data.formats.media import FoundMedia
from trainer.data.formats.values import kind_of, listed, parsed_json, shown
from trainer.data.messages import BadRowError, Message
from trainer.data.registry import Tags

COMMON_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "function": "tool",
    "ipython": "tool",
    "observation": "tool",
    "tool_response": "tool",
    "function_response": "tool",
    "function_call": "function_call",
    "tool_call": "function_call",
}
"""Role names that are understood beside the registered ones: a wrong tag is the usual cause of lost rows."""

ROLE_KEYS = ("role", "from")
"""Usual keys of the role."""

_THOUGHT_KEYS = ("reasoning_content", "thinking", "reasoning")
_TRAIN_KEYS = ("train", "weight", "loss_weight")


class TurnReader:
    """Reads messages that have the given keys and role names."""

    def __init__(self, tags: Tags) -> None:
        self._tags = tags
        self._roles = {
            **COMMON_ROLES,
            tags.user_tag: "user",
            tags.assistant_tag: "assistant",
            tags.observation_tag: "tool",
            tags.function_tag: "function_call",
            tags.system_tag: "system",
        }
        self._plain_roles = {name: role for name, role in self._roles.items() if role != "function_call"}

    def read(self, turns: Any, column: str, media: FoundMedia | None) -> list[Message]:
        """The messages of one row; `column` is named where they cannot be read. `media` None: no media are taken.

        Raises: BadRowError.
        """
        if type(turns) is not list:
            turns = _turn_list(turns, column)
        if not turns:
            raise BadRowError("no_messages", f"{column} is an empty list", f"Fill {column} or drop the row")
        role_tag, content_tag, roles = self._tags.role_tag, self._tags.content_tag, self._plain_roles
        messages = []
        for number, turn in enumerate(turns, start=1):
            # Most messages have a role and a text and nothing else.
            if type(turn) is dict and len(turn) == 2:
                content = turn.get(content_tag)
                name = turn.get(role_tag)
                if type(content) is str and type(name) is str and name in roles:
                    messages.append(Message(roles[name], content))
                    continue
            messages.append(self._turn(turn, f"message {number}" if len(turns) > 1 else column, media))
        return messages

    def is_turn(self, value: object) -> bool:
        """Whether a value is meant to be a message: an object that names a role."""
        return isinstance(value, Mapping) and any(key in value for key in (self._tags.role_tag, *ROLE_KEYS))

    def _turn(self, turn: Any, place: str, media: FoundMedia | None) -> Message:
        role = self._role_of(turn, place)
        content = turn.get(self._tags.content_tag)
        train = _train_flag(turn, role, place)
        if role == "function_call":
            text, calls = function_turn(content, place)
            return Message("assistant", text, tool_calls=calls, train=train)
        calls = tool_calls(turn.get("tool_calls") or _old_calls(turn), place)
        if not isinstance(content, str):
            content = _content(content, place, media, may_be_missing=bool(calls))
        thought = next((turn[key] for key in _THOUGHT_KEYS if turn.get(key)), None)
        texts = {"the thought": thought, "name": turn.get("name"), "tool_call_id": turn.get("tool_call_id")}
        for what, text in texts.items():
            if text is not None and not isinstance(text, str):
                problem = f"{what} of {place} is {kind_of(text)}, not text"
                raise BadRowError("not_text", problem, "Make it a string or leave it out")
        return Message(role, content, thought, calls, texts["name"], texts["tool_call_id"], train)

    def _role_of(self, turn: Any, place: str) -> str:
        tags = self._tags
        if not isinstance(turn, Mapping):
            hint = f'Write {{"{tags.role_tag}": "{tags.user_tag}", "{tags.content_tag}": ...}}'
            raise BadRowError("wrong_tags", f"{place} is {kind_of(turn)}, not an object", hint)
        name = turn.get(tags.role_tag)
        if name is None or (tags.content_tag not in turn and not turn.get("tool_calls") and not _old_calls(turn)):
            missing = tags.role_tag if name is None else tags.content_tag
            hint = f'Each message needs "{tags.role_tag}" and "{tags.content_tag}"; other names go into tags'
            raise BadRowError("wrong_tags", f"{place} has no {missing} (found: {listed(turn)})", hint)
        role = self._roles.get(name) if isinstance(name, str) else None
        if role is None:
            known = ", ".join(dict.fromkeys((tags.user_tag, tags.assistant_tag, tags.system_tag, tags.observation_tag)))
            hint = f"Known roles: {known}; other names go into tags"
            raise BadRowError("unknown_role", f"{place} has the role {shown(name)}", hint)
        return role


def _old_calls(turn: Mapping[str, Any]) -> list[Any]:
    """What OpenAI's messages had before `tool_calls`: one call, in `function_call`."""
    call = turn.get("function_call")
    return [call] if call else []


def _turn_list(value: Any, column: str) -> Sequence[Any]:
    """A list of messages that is not one yet: JSON text (CSV files have no lists), or one message alone."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        value = parsed_json(value, "no_messages", column, "Write a list of messages, or drop the row")
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        hint = f'Write "{column}": [{{"role": "user", "content": ...}}, ...]'
        raise BadRowError("no_messages", f"{column} is not a list of messages but {kind_of(value)}", hint)
    return value


def _content(content: Any, place: str, media: FoundMedia | None, *, may_be_missing: bool) -> str | None:
    """Content that is not a plain string: a list of parts, or nothing beside tool calls."""
    if content is None and may_be_missing:
        return None
    if not isinstance(content, list) or not all(isinstance(part, Mapping) for part in content):
        hint = "Make it a string or drop the row"
        raise BadRowError("not_text", f"the content of {place} is {kind_of(content)}, not text", hint)
    return "".join(_part(part, place, media) for part in content)


def _part(part: Mapping[str, Any], place: str, media: FoundMedia | None) -> str:
    kind = part.get("type")
    if kind in ("text", "input_text", "output_text") or (kind is None and "text" in part):
        if not isinstance(part.get("text"), str):
            raise BadRowError("not_text", f"a text part of {place} holds no text", "Make it a string or drop the row")
        return str(part["text"])
    if media is None:
        raise BadRowError("media", f"{place} has parts that are not text ({kind})", "Only text can be trained on yet")
    return media.part(part, place)


def _train_flag(turn: Mapping[str, Any], role: str, place: str) -> bool | None:
    flag = next((turn[key] for key in _TRAIN_KEYS if turn.get(key) is not None), None)
    if flag is None:
        return None
    if not isinstance(flag, (bool, int, float)) or flag not in (0, 1):
        hint = "weight may be 0 or 1: learned or not"
        raise BadRowError("wrong_weight", f"{place} has the weight {shown(flag)}", hint)
    if flag and role not in ("assistant", "function_call"):
        raise BadRowError("wrong_weight", f"{place} ({role}) is to be trained", "Only answers can be chosen")
    return bool(flag)
