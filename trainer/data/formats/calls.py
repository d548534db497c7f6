"""Tool descriptions and tool calls in the one form that chat templates take. Not for how a template writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from trainer.data.formats.values import parsed_json, shown
from trainer.data.messages import BadRowError

_CALL_HINT = 'Write {"name": ..., "arguments": {...}}'
_TOOLS_HINT = 'Write [{"name": ..., "description": ..., "parameters": {...}}]'
_MARKED_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)


def tool_calls(calls: Any, place: str) -> tuple[Mapping[str, Any], ...]:
    """The `tool_calls` of an OpenAI message; `place` names the message where they are broken.

    Raises: BadRowError.
    """
    if not calls:
        return ()
    calls = _parsed(calls, f"tool_calls of {place}", _CALL_HINT)
    if not isinstance(calls, list):
        raise BadRowError("wrong_tools", f"tool_calls of {place} is not a list", f"{_CALL_HINT} in a list")
    return tuple(_call(call, place) for call in calls)


def function_turn(content: Any, place: str) -> tuple[str, tuple[Mapping[str, Any], ...]]:
    """What a function-call turn says beside its calls (its thought), and the calls.

    The calls are one JSON object or a list of them: the whole text, what follows `<think>...</think>`, or what stands
    between `<tool_call>` and `</tool_call>`, as LLaMA-Factory reads them.
    Raises: BadRowError.
    """
    subject = f"the function call in {place}"
    if not isinstance(content, str):
        return "", _calls(content, place)
    marked = _MARKED_CALL.findall(content)
    if marked:
        calls = (call for text in marked for call in _calls(_parsed(text, subject, _CALL_HINT), place))
        return _MARKED_CALL.sub("", content).strip(), tuple(calls)
    thought = _THOUGHT.match(content)
    said = thought.group() if thought else ""
    return said.strip(), _calls(_parsed(content[len(said) :], subject, _CALL_HINT), place)


def tools_of(tools: Any, column: str) -> tuple[Mapping[str, Any], ...]:
    """The tools column: a list of JSON schemas, or its text; a bare function is wrapped as OpenAI does.

    Raises: BadRowError.
    """
    if not tools or (isinstance(tools, str) and not tools.strip()):
        return ()
    parsed = _parsed(tools, f"the {column} column", _TOOLS_HINT)
    if not isinstance(parsed, list):
        raise BadRowError("wrong_tools", f"{column} is not a list of objects", _TOOLS_HINT)
    return tuple(_tool(_parsed(tool, f"the {column} column", _TOOLS_HINT), column) for tool in parsed)


def _tool(tool: Any, column: str) -> Mapping[str, Any]:
    if not isinstance(tool, Mapping):
        raise BadRowError("wrong_tools", f"{column} is not a list of objects", _TOOLS_HINT)
    function = tool.get("function", tool)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise BadRowError("wrong_tools", f"a tool in {column} has no name", _TOOLS_HINT)
    return tool if function is not tool else {"type": "function", "function": tool}


def _calls(value: Any, place: str) -> tuple[Mapping[str, Any], ...]:
    calls = value if isinstance(value, list) else [value]
    if not calls:
        raise BadRowError("wrong_tools", f"the function call in {place} is an empty list", _CALL_HINT)
    return tuple(_call(call, place) for call in calls)


def _call(call: Any, place: str) -> Mapping[str, Any]:
    function = call.get("function", call) if isinstance(call, Mapping) else call
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise BadRowError("wrong_tools", f"a function call in {place} has no name", _CALL_HINT)
    name = function["name"]
    # A call without arguments is often written as null or as an empty string.
    arguments = _parsed(function.get("arguments") or {}, f"the arguments of {shown(name)} in {place}", _CALL_HINT)
    if not isinstance(arguments, Mapping):
        raise BadRowError("wrong_tools", f"the arguments of {shown(name)} in {place} are not an object", _CALL_HINT)
    converted: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": arguments}}
    if isinstance(call.get("id"), str):
        converted["id"] = call["id"]
    return converted


def _parsed(value: Any, subject: str, hint: str) -> Any:
    return parsed_json(value, "wrong_tools", subject, hint) if isinstance(value, str) else value
