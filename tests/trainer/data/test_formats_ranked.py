"""Preference rows: the prompt, and the two ways to go on, from every form in which they are published."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trainer.data.converting import convert, openai, refusal, said, sharegpt, stated
from trainer.data import Message, Row
from trainer.data.registry import DatasetEntry

PROMPT = [("user", "C")]
GOOD, BAD = [("assistant", "D")], [("assistant", "E")]
TALK = [("user", "A"), ("assistant", "B"), ("user", "C")]
REGISTERED = {"prompt": "instruction", "query": "input", "chosen": "chosen", "rejected": "rejected"}
IN_MESSAGES = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}


def answer(text: str) -> dict[str, str]:
    """One message of the assistant."""
    return {"role": "assistant", "content": text}


def parts(row: Row) -> tuple[list[Any], list[Any], list[Any]]:
    """Prompt, chosen and rejected."""
    return said(row.messages), said(row.chosen), said(row.rejected)


@pytest.mark.parametrize("stage", ["dpo", "rm"])
@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "C", "input": "", "chosen": "D", "rejected": "E"},
        {"prompt": "C", "chosen": "D", "rejected": "E"},
        {"question": "C", "chosen": "D", "rejected": "E", "score": 3},
        {"prompt": "C", "chosen": answer("D"), "rejected": answer("E")},
        {"prompt": "C", "chosen": [answer("D")], "rejected": [answer("E")]},
        {"prompt": openai("C"), "chosen": [answer("D")], "rejected": [answer("E")]},
        {"prompt": openai("C"), "chosen": "D", "rejected": "E"},
        {"messages": openai("C"), "chosen": answer("D"), "rejected": answer("E")},
        {"conversations": sharegpt("C"), "chosen": sharegpt("", "D")[1], "rejected": sharegpt("", "E")[1]},
        {"conversations": sharegpt("C"), "chosen": "D", "rejected": "E"},
        {"chosen": openai("C", "D"), "rejected": openai("C", "E")},
        {"prompt": "C", "chosen": openai("C", "D"), "rejected": openai("C", "E"), "messages": openai("C", "D")},
    ],
    ids=[
        "alpaca", "texts", "question", "a message each", "a list of one each", "messages and lists",
        "messages and texts", "openai", "sharegpt", "sharegpt and texts", "whole conversations",
        "whole with prompt",
    ],
)  # fmt: skip
def test_every_form_means_the_same(row: dict[str, Any], stage: str) -> None:
    converted = convert(row, stage)
    assert parts(converted) == (PROMPT, GOOD, BAD)
    assert (converted.kto_tag, converted.reference, converted.text) == (None, None, None)


@pytest.mark.parametrize(
    ("entry", "row"),
    [
        (stated(columns=REGISTERED, ranking=True), {"instruction": "C", "input": "", "chosen": "D", "rejected": "E"}),
        (stated(columns=REGISTERED), {"instruction": "C", "input": "", "chosen": "D", "rejected": "E"}),
        (stated(ranking=True), {"instruction": "C", "chosen": "D", "rejected": "E"}),
        (stated("alpaca", ranking=True), {"instruction": "C", "chosen": "D", "rejected": "E"}),
        (
            stated("sharegpt", IN_MESSAGES, ranking=True),
            {"conversations": sharegpt("C"), "chosen": sharegpt("", "D")[1], "rejected": sharegpt("", "E")[1]},
        ),
        (
            stated("sharegpt", IN_MESSAGES),
            {"conversations": sharegpt("C"), "chosen": sharegpt("", "D")[1], "rejected": sharegpt("", "E")[1]},
        ),
        (
            stated("sharegpt", {"chosen": "yes", "rejected": "no"}, ranking=True),
            {"yes": openai("C", "D"), "no": openai("C", "E")},
        ),
        (
            stated(None, {"chosen": "yes", "rejected": "no"}, ranking=True),
            {"yes": openai("C", "D"), "no": openai("C", "E")},
        ),
        (
            stated(None, {"prompt": "ask", "chosen": "yes", "rejected": "no"}, ranking=True),
            {"ask": openai("C"), "yes": [answer("D")], "no": [answer("E")]},
        ),
    ],
    ids=[
        "alpaca", "ranking forgotten", "ranking alone", "formatting alone", "sharegpt", "sharegpt, ranking forgotten",
        "whole conversations", "whole without formatting", "own names",
    ],
)  # fmt: skip
def test_registered_ranked_sets(entry: DatasetEntry, row: dict[str, Any]) -> None:
    assert parts(convert(row, "dpo", entry)) == (PROMPT, GOOD, BAD)


def test_history_and_system_belong_to_the_prompt() -> None:
    row = {"instruction": "C", "history": [["A", "B"]], "system": "Be brief.", "chosen": "D", "rejected": "E"}
    assert parts(convert(row, "dpo")) == ([("system", "Be brief."), *TALK], GOOD, BAD)


def test_the_common_beginning_of_two_conversations_is_the_prompt() -> None:
    row = {"chosen": openai("A", "B", "C", "D"), "rejected": openai("A", "B", "C", "E")}
    assert parts(convert(row, "dpo")) == (TALK, GOOD, BAD)


def test_a_prompt_that_names_only_the_last_question_does_not_cut_whole_conversations() -> None:
    row = {"prompt": "C", "chosen": openai("A", "B", "C", "D"), "rejected": openai("A", "B", "C", "E")}
    assert parts(convert(row, "rm")) == (TALK, GOOD, BAD)


def test_answers_with_tool_calls_go_on_to_the_final_answer() -> None:
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}
    row = {
        "chosen": [*openai("C"), call, {"role": "tool", "content": "21"}, answer("D")],
        "rejected": openai("C", "E"),
        "tools": [{"name": "look"}],
    }
    converted = convert(row, "dpo")
    assert said(converted.messages) == PROMPT
    assert [turn.role for turn in converted.chosen] == ["assistant", "tool", "assistant"]
    assert converted.chosen[0].tool_calls[0]["function"]["name"] == "look"
    assert said(converted.rejected) == BAD
    assert len(converted.tools) == 1


def test_one_conversation_that_ends_where_the_other_goes_on() -> None:
    call = {"role": "assistant", "content": "D", "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}
    shared = [*openai("C"), call]
    row = {"chosen": [*shared, {"role": "tool", "content": "21"}, answer("F")], "rejected": shared}
    converted = convert(row, "dpo")
    assert said(converted.messages) == PROMPT
    assert [turn.content for turn in converted.chosen] == ["D", "21", "F"]
    assert [turn.content for turn in converted.rejected] == ["D"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": openai("C", "B"), "chosen": "D", "rejected": "E"}, "roles_out_of_order"),
        ({"prompt": openai("A") * 2, "chosen": "D", "rejected": "E"}, "roles_out_of_order"),
        ({"prompt": openai("C"), "chosen": openai("D"), "rejected": [answer("E")]}, "wrong_answer_role"),
        ({"prompt": "C", "chosen": [answer("D"), answer("D")], "rejected": "E"}, "roles_out_of_order"),
        ({"prompt": "C", "chosen": [answer("D"), {"role": "tool", "content": "1"}], "rejected": "E"}, "no_answer"),
        ({"prompt": "C", "chosen": 1, "rejected": 0}, "not_text"),
        ({"prompt": "C", "chosen": answer(" "), "rejected": answer("E")}, "empty_answer"),
        ({"chosen": [{"role": "system", "content": "S"}, answer("D")], "rejected": openai("C", "E")}, "prompts_differ"),
    ],
)
def test_rows_that_cannot_be_ranked(row: dict[str, Any], reason: str) -> None:
    assert refusal(row, "dpo").reason == reason


def test_one_row_can_serve_two_stages() -> None:
    row = {"instruction": "C", "output": "F", "chosen": "D", "rejected": "E"}
    assert parts(convert(row, "dpo")) == (PROMPT, GOOD, BAD)
    learned = convert(row, "sft")
    assert learned == Row((Message("user", "C"), Message("assistant", "F")), learned.source)
