"""Whatever stands in a row: it is converted, or it is a bad row with a reason. It is never an error of the program."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.trainer.data.converting import UNREGISTERED, convert_all, openai, sharegpt
from trainer.data import BadRow, Row, SourceReference
from trainer.data.formats import REASONS, row_format
from trainer.data.messages import RawRow
from trainer.errors import UserError

CALL = '{"name": "look", "arguments": {"city": "Rome"}}'
TOOL_TALK = [
    {"from": "human", "value": "C"},
    {"from": "function_call", "value": f"Hm. <tool_call>{CALL}</tool_call>"},
    {"from": "observation", "value": "21"},
    {"from": "gpt", "value": "D", "weight": 1},
]
OPENAI_CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"city": "Rome"}'}}
PARTS = [{"type": "text", "text": "C"}, {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
GOOD: list[tuple[str, dict[str, Any]]] = [
    ("sft", {"instruction": "C", "input": "", "output": "D", "system": "S", "history": [["A", "B"]]}),
    ("sft", {"conversations": TOOL_TALK, "tools": [{"name": "look", "parameters": {}}], "system": "S"}),
    (
        "sft",
        {
            "messages": [
                {"role": "user", "content": PARTS},
                {"role": "assistant", "content": None, "tool_calls": [OPENAI_CALL], "reasoning_content": "Hm."},
                {"role": "tool", "content": "21", "name": "look", "tool_call_id": "1"},
                {"role": "assistant", "content": "D", "train": True},
            ]
        },
    ),
    ("dpo", {"prompt": openai("C"), "chosen": openai("", "D")[1:], "rejected": openai("", "E")[1:]}),
    ("dpo", {"chosen": openai("A", "B", "C", "D"), "rejected": openai("A", "B", "C", "E")}),
    ("dpo", {"conversations": sharegpt("C"), "chosen": sharegpt("", "D")[1], "rejected": sharegpt("", "E")[1]}),
    ("kto", {"messages": openai("C", "D"), "label": True}),
    ("grpo", {"prompt": openai("C"), "answer": "D"}),
    ("pt", {"text": "T"}),
]
JUNK: list[Any] = [
    None, True, 0, -1.5, float("nan"), 10**40, "", " ", "C", "[", "{}", "[{}]", "\ud800", "<image>", [], [None], [[]],
    ["C"], {}, {"role": "user"}, {"from": {}}, [{"role": []}], [{"role": "user", "content": [{}]}], {"": None},
    [[["a", "b"]]],
]  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a value with every key in it."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from places(item)


def spoiled(row: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The row with one to three of its values replaced, removed or renamed."""
    row = copy.deepcopy(row)
    for _ in range(chance.randint(1, 3)):
        found = list(places(row))
        if not found:
            break
        container, key = chance.choice(found)
        if isinstance(container, dict) and chance.random() < 0.2:
            container[f"{key}s"] = container.pop(key)
        elif chance.random() < 0.2:
            del container[key]
        else:
            container[key] = copy.deepcopy(chance.choice(JUNK))
    return row


@pytest.mark.parametrize(("stage", "good"), GOOD)
@pytest.mark.parametrize("allow_media", [False, True])
def test_spoiled_rows_are_converted_or_bad(stage: str, good: dict[str, Any], allow_media: bool) -> None:
    chance = random.Random(7)
    rows = [good, *(spoiled(good, chance) for _ in range(400))]
    raw = [RawRow(row, SourceReference("rows.jsonl", number)) for number, row in enumerate(rows, start=1)]
    converted = convert_all(raw[:1] * 20 + raw[1:], stage, allow_media=allow_media)[20:]
    for row in converted:
        assert isinstance(row, (Row, BadRow))
        if isinstance(row, BadRow):
            assert row.reason in REASONS
            assert row.text
            assert row.hint
            assert str(row).encode()
        else:
            assert all(isinstance(turn.content, (str, type(None))) for turn in (*row.messages, *row.chosen))
    assert 20 < sum(isinstance(row, BadRow) for row in converted) < 400


def test_formats_of_spoiled_rows_are_found_or_refused() -> None:
    chance = random.Random(11)
    for _ in range(600):
        stage, good = chance.choice(GOOD)
        samples = [spoiled(good, chance) for _ in range(chance.randint(1, 4))]
        try:
            found = row_format(UNREGISTERED, samples, chance.choice([stage, None, "sft"]))
        except UserError:
            continue
        assert found.describe()
        assert found.as_entry()["columns"]
        assert found.mapping
