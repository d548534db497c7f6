"""Tools: calls and observations of every spelling become what chat templates take."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.trainer.data.converting import convert, stated
from trainer.data import Message

TOOL = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
WRAPPED = {"type": "function", "function": TOOL}
ROME = {"type": "function", "function": {"name": "look", "arguments": {"city": "Rome"}}}
BERN = {"type": "function", "function": {"name": "look", "arguments": {"city": "Bern"}}}
TEXT_ROME = '{"name": "look", "arguments": {"city": "Rome"}}'
TEXT_BERN = '{"name": "look", "arguments": {"city": "Bern"}}'


def sharegpt(call: Any, observation: str = '{"t": 21}', **columns: Any) -> dict[str, Any]:
    """The row of LLaMA-Factory's documentation."""
    turns = [("human", "weather in Rome?"), ("function_call", call), ("observation", observation), ("gpt", "21 °C")]
    return {"conversations": [{"from": role, "value": value} for role, value in turns], **columns}


@pytest.mark.parametrize("tools", [json.dumps([TOOL]), [TOOL], [json.dumps(TOOL)], [WRAPPED], json.dumps([WRAPPED])])
def test_sharegpt_with_tools(tools: Any) -> None:
    entry = stated("sharegpt", {"messages": "conversations", "system": "system", "tools": "tools"})
    converted = convert(sharegpt(TEXT_ROME, tools=tools, system="Be brief."), entry=entry)
    assert converted.messages == (
        Message("system", "Be brief."),
        Message("user", "weather in Rome?"),
        Message("assistant", "", tool_calls=(ROME,)),
        Message("tool", '{"t": 21}'),
        Message("assistant", "21 °C"),
    )
    assert converted.tools == (WRAPPED,)
    assert convert(sharegpt(TEXT_ROME, tools=tools, system="Be brief.")) == converted


@pytest.mark.parametrize(
    ("call", "said", "calls"),
    [
        (TEXT_ROME, "", (ROME,)),
        (json.loads(TEXT_ROME), "", (ROME,)),
        (f"[{TEXT_ROME}, {TEXT_BERN}]", "", (ROME, BERN)),
        (f"<tool_call>\n{TEXT_ROME}\n</tool_call>", "", (ROME,)),
        (f"I look it up.\n<tool_call>{TEXT_ROME}</tool_call>", "I look it up.", (ROME,)),
        (f"<tool_call>{TEXT_ROME}</tool_call>\n<tool_call>{TEXT_BERN}</tool_call>", "", (ROME, BERN)),
        (f"<tool_call>[{TEXT_ROME}, {TEXT_BERN}]</tool_call>", "", (ROME, BERN)),
        (f"<think>\nHm.\n</think>\n\n{TEXT_ROME}", "<think>\nHm.\n</think>", (ROME,)),
        (f"<think>Hm.</think><tool_call>{TEXT_ROME}</tool_call>", "<think>Hm.</think>", (ROME,)),
        ('{"name": "look", "arguments": "{\\"city\\": \\"Rome\\"}"}', "", (ROME,)),
    ],
    ids=[
        "text", "object", "parallel", "marked", "said before", "two marks", "marked parallel", "thought",
        "thought and mark", "arguments as text",
    ],
)  # fmt: skip
def test_spellings_of_a_function_call(call: Any, said: str, calls: tuple[Any, ...]) -> None:
    turn = convert(sharegpt(call)).messages[1]
    assert turn == Message("assistant", said, tool_calls=calls)


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}])
def test_the_function_calls_that_openai_had_first(content: dict[str, Any]) -> None:
    row = {
        "messages": [
            {"role": "user", "content": "weather in Rome?"},
            {"role": "assistant", "function_call": {"name": "look", "arguments": '{"city": "Rome"}'}, **content},
            {"role": "function", "name": "look", "content": "21"},
            {"role": "assistant", "content": "21 °C"},
        ],
        "functions": [TOOL],
    }
    converted = convert(row)
    assert [message.role for message in converted.messages] == ["user", "assistant", "tool", "assistant"]
    assert converted.messages[1].tool_calls == (ROME,)
    assert converted.tools == (WRAPPED,)


@pytest.mark.parametrize("arguments", ['{"city": "Rome"}', {"city": "Rome"}])
def test_openai_tool_calls(arguments: Any) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": arguments}}
    row = {
        "messages": [
            {"role": "user", "content": "weather in Rome?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "name": "look", "content": "21"},
            {"role": "tool", "content": [{"type": "text", "text": "sunny"}]},
            {"role": "assistant", "content": "21 °C and sunny"},
        ],
        "tools": [WRAPPED],
    }
    converted = convert(row)
    assert converted.messages == (
        Message("user", "weather in Rome?"),
        Message("assistant", None, tool_calls=({**ROME, "id": "call_1"},)),
        Message("tool", "21", name="look", tool_call_id="call_1"),
        Message("tool", "sunny"),
        Message("assistant", "21 °C and sunny"),
    )
    assert converted.tools == (WRAPPED,)


@pytest.mark.parametrize("arguments", [None, "", {}, "{}"])
def test_calls_without_arguments(arguments: Any) -> None:
    turns = [
        {"role": "user", "content": "Time?"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "now", "arguments": arguments}}]},
    ]
    [call] = convert({"messages": turns}).messages[1].tool_calls
    assert call == {"type": "function", "function": {"name": "now", "arguments": {}}}


def test_the_answer_may_end_with_a_call_and_speak_beside_it() -> None:
    turns = [{"role": "user", "content": "Time?"}, {"role": "assistant", "content": "I look.", "tool_calls": [ROME]}]
    assert convert({"messages": turns}).messages[1] == Message("assistant", "I look.", tool_calls=(ROME,))


@pytest.mark.parametrize("role", ["tool", "observation", "function", "ipython", "tool_response", "function_response"])
def test_names_of_what_a_tool_says(role: str) -> None:
    row = sharegpt(TEXT_ROME)
    row["conversations"][2]["from"] = role
    assert convert(row).messages[2] == Message("tool", '{"t": 21}')


@pytest.mark.parametrize("empty", [None, "", " ", [], "[]"])
def test_no_tools(empty: Any) -> None:
    assert convert(sharegpt(TEXT_ROME, tools=empty)).tools == ()


def test_a_call_can_be_left_out_of_the_training() -> None:
    row = sharegpt(TEXT_ROME)
    row["conversations"][1]["weight"] = 0
    assert [message.train for message in convert(row).messages] == [None, False, None, None]


def test_the_prompt_before_a_final_answer_keeps_its_calls() -> None:
    converted = convert(sharegpt(TEXT_ROME, tools=[TOOL]), "ppo")
    assert [message.role for message in converted.messages] == ["user", "assistant", "tool"]
    assert (converted.reference, converted.tools) == ("21 °C", (WRAPPED,))
