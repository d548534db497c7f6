"""Rows of every format become the same dialogues; bad rows are named with file, line, reason and remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue
from trainer.data import load_tokenizer, prepare
from trainer.errors import UserError

CHAT = (
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n"
    "<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\nD<|im_end|>\n"
)
QUESTION = "<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\nD<|im_end|>\n"
LONG_QUESTION = "<|im_start|>user\nC\nmore<|im_end|>\n<|im_start|>assistant\nD<|im_end|>\n"
PARTS = [{"type": "text", "text": "C"}]
OPENAI_TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}


def rendered(model: Path, recipe: Any) -> list[str]:
    """The texts of the training rows."""
    tokenizer = load_tokenizer(model)
    return [tokenizer.decode(example.input_ids) for example in prepare(recipe).train]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"instruction": "C", "input": "", "output": "D"}, QUESTION),
        ({"instruction": "C", "input": "more", "output": "D"}, LONG_QUESTION),
        ({"instruction": "", "input": "C", "output": "D"}, QUESTION),
        ({"instruction": "C", "output": "D", "system": "Be brief.", "history": [["A", "B"]]}, CHAT),
        ({"input": "C", "output": "D", "history": [["A", "B"]], "system": "Be brief."}, CHAT),
        ({"prompt": "C", "response": "D"}, QUESTION),
        ({"question": "C", "answer": "D"}, QUESTION),
        (dialogue("A", "B", "C", "D", system="Be brief."), CHAT),
        ({"conversations": dialogue("A", "B", "C", "D", system="Be brief.")["messages"]}, CHAT),
        ({"messages": [{"role": "user", "content": PARTS}, {"role": "assistant", "content": "D"}]}, QUESTION),
        (
            {
                "conversations": [
                    {"from": role, "value": value}
                    for role, value in (("human", "A"), ("gpt", "B"), ("human", "C"), ("gpt", "D"))
                ],
                "system": "Be brief.",
            },
            CHAT,
        ),
    ],
    ids=[
        "alpaca", "with input", "input only", "alpaca history", "history", "prompt", "question", "messages",
        "conversations with roles", "content parts", "sharegpt",
    ],
)  # fmt: skip
def test_detected_formats(make_model: MakeModel, make_recipe: MakeRecipe, row: dict[str, Any], text: str) -> None:
    model = make_model()
    assert rendered(model, make_recipe(model, [row])) == [text]


@pytest.mark.parametrize(
    ("entry", "row"),
    [
        ({"columns": {"prompt": "q", "response": "a"}}, {"q": "C", "a": "D", "instruction": "not this"}),
        (
            {"formatting": "sharegpt", "columns": {"messages": "chat"}, "tags": OPENAI_TAGS},
            {"chat": dialogue("C", "D")["messages"]},
        ),
        ({"formatting": "openai", "columns": {"messages": "chat"}}, {"chat": dialogue("C", "D")["messages"]}),
        (
            {
                "formatting": "sharegpt",
                "columns": {"messages": "talk"},
                "tags": {"role_tag": "who", "content_tag": "says", "user_tag": "me", "assistant_tag": "bot"},
            },
            {"talk": [{"who": "me", "says": "C"}, {"who": "bot", "says": "D"}]},
        ),
        (
            {"formatting": "sharegpt"},
            {"conversations": [{"from": "human", "value": "C"}, {"from": "gpt", "value": "D"}]},
        ),
        ({}, dialogue("C", "D")),
    ],
    ids=["columns", "sharegpt with tags", "openai", "own tags", "sharegpt defaults", "nothing but the file"],
)
def test_registered_formats(
    tmp_path: Path, make_model: MakeModel, make_recipe: MakeRecipe, entry: dict[str, Any], row: dict[str, Any]
) -> None:
    model = make_model()
    recipe = make_recipe(model, [row], dataset=["mine"])
    info = {"mine": {"file_name": "rows.jsonl", **entry}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    assert rendered(model, recipe) == [QUESTION]


GOOD = {"instruction": "C", "output": "D"}
TALK = dialogue("C", "D")


@pytest.mark.parametrize(
    ("good", "bad", "reason", "text"),
    [
        (GOOD, '{"instruction": "C", "outp', "invalid_json", "Unterminated string starting at (column 22)"),
        (GOOD, "[1, 2]", "not_an_object", "the row is a JSON list, not an object"),
        (GOOD, {"instruction": "C"}, "missing_column", "no column output (found: instruction)"),
        (GOOD, {"instruction": "C", "output": None}, "not_text", "output is null, not text"),
        (GOOD, {"instruction": "C", "output": 5}, "not_text", "output is int, not text"),
        (GOOD, {"instruction": "C", "output": " "}, "empty_answer", "an answer is empty"),
        (GOOD, {**GOOD, "history": ["A", "B"]}, "history", "history is not a list of pairs"),
        (TALK, {"messages": []}, "no_messages", "messages is not a list of messages"),
        (TALK, {"messages": TALK["messages"][:1]}, "no_answer", "does not end with an answer"),
        (TALK, {"messages": TALK["messages"][::-1]}, "roles_out_of_order", "message 1 (assistant) comes first"),
        (TALK, {"messages": TALK["messages"][:1] * 2}, "roles_out_of_order", "message 2 (user) comes after user"),
        (TALK, {"messages": [{"role": "wizard", "content": "C"}]}, "unknown_role", "has the role 'wizard'"),
        (TALK, {"messages": [{"from": "human", "value": "C"}]}, "wrong_tags", "message 1 has no role"),
        (TALK, {"messages": [{"role": "user", "content": None}]}, "not_text", "the content of message 1 is null"),
        (
            TALK,
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "media",
            "message 1 has parts that are not text",
        ),
        (TALK, {"messages": [{"role": "user", "content": "C", "weight": 1}]}, "wrong_weight", "is to be trained"),
        (
            TALK,
            {"messages": [{"role": "assistant", "content": "D", "weight": 0.5}]},
            "wrong_weight",
            "has the weight 0.5",
        ),
        (TALK, {**TALK, "tools": "not json"}, "wrong_tools", "the tools column is not valid JSON"),
        (
            TALK,
            {"messages": [TALK["messages"][0], {"role": "function_call", "content": "look(北京)"}]},
            "wrong_tools",
            "the function call in message 2 is not valid JSON",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else None,
)
def test_bad_rows_are_named_and_the_others_are_used(
    make_model: MakeModel, make_recipe: MakeRecipe, good: Any, bad: Any, reason: str, text: str
) -> None:
    lines = [json.dumps(good), "", bad if isinstance(bad, str) else json.dumps(bad), json.dumps(good)]
    recipe = make_recipe(make_model(), "\n".join(lines), on_bad_row="skip")
    prepared = prepare(recipe)
    assert len(prepared.train) == 2
    [found] = prepared.report.bad
    assert (found.reason, found.count) == (reason, 1)
    example = found.examples[0]
    assert str(example.source).endswith("rows.jsonl:3")
    assert text in example.text
    assert example.hint
    with pytest.raises(UserError) as stopped:
        prepare(recipe.with_values({"data.on_bad_row": "stop"}))
    assert stopped.value.line == 3
    assert "on_bad_row=skip" in str(stopped.value)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"text": "A document."}, "plain text rows cannot be used for sft"),
        ({"prompt": "C", "chosen": "D", "rejected": "E"}, "preference rows (chosen, rejected)"),
        ({"frage": "C", "antwort": "D"}, "no known columns in the rows (found: frage, antwort)"),
    ],
)
def test_rows_of_another_kind(make_model: MakeModel, make_recipe: MakeRecipe, row: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError) as refused:
        prepare(make_recipe(make_model(), [row]))
    assert text in str(refused.value)
