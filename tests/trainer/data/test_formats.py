"""Each shape that rows have on disk becomes the dialogue that it stands for, registered or not."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.converting import OPENAI_TAGS, convert, convert_all, openai, refusal, said, sharegpt, stated
from trainer.data import BadRow, Row
from trainer.data.messages import RawRow, SourceReference
from trainer.data.registry import Tags, find_dataset, list_datasets
from trainer.data.sources import read_rows
from trainer.paths import shipped_folder

TURNS = [("user", "C"), ("assistant", "D")]
CHAT = [("system", "Be brief."), ("user", "A"), ("assistant", "B"), *TURNS]
OPENAI = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}


def from_disk(folder: Path, row: dict[str, Any], entry: dict[str, Any], stage: str = "sft") -> Row:
    """The row as it comes from a registered file."""
    (folder / "rows.json").write_text(json.dumps([row]), encoding="utf-8")
    info = {"mine": {"file_name": "rows.json", **entry}}
    (folder / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    registered = find_dataset("mine", folder)
    [converted] = convert_all(list(read_rows(registered.files[0])), stage, registered)
    assert isinstance(converted, Row), str(converted)
    assert converted.source == SourceReference(str(folder / "rows.json"), 1, 1)
    return converted


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ({"instruction": "C", "input": "", "output": "D"}, TURNS),
        ({"instruction": "C", "input": "more", "output": "D"}, [("user", "C\nmore"), ("assistant", "D")]),
        ({"instruction": "", "input": "C", "output": "D"}, TURNS),
        ({"instruction": "C", "input": None, "output": "D", "system": None, "history": None}, TURNS),
        ({"instruction": "C", "output": "D", "system": "Be brief.", "history": [["A", "B"]]}, CHAT),
        ({"instruction": "C", "output": "D", "system": "Be brief.", "history": '[["A", "B"]]'}, CHAT),
        ({"input": "C", "output": "D", "history": [["A", "B"]], "system": "Be brief."}, CHAT),
        ({"prompt": "C", "response": "D"}, TURNS),
        ({"prompt": "C", "completion": "D"}, TURNS),
        ({"question": "C", "answer": "D"}, TURNS),
        ({"question": "C", "input": "more", "answer": "D"}, [("user", "C\nmore"), ("assistant", "D")]),
        ({"problem": "C", "solution": "D", "id": 7}, TURNS),
        ({"prompt": openai("A", "B", "C"), "completion": openai("", "D")[1:], "system": "Be brief."}, CHAT),
        ({"prompt": openai("C"), "completion": "D"}, TURNS),
        ({"messages": openai("C", "D")}, TURNS),
        ({"messages": [{"role": "system", "content": "Be brief."}, *openai("A", "B", "C", "D")]}, CHAT),
        ({"messages": [{"role": "developer", "content": "Be brief."}, *openai("A", "B", "C", "D")]}, CHAT),
        ({"messages": json.dumps(openai("C", "D"))}, TURNS),
        ({"conversations": openai("A", "B", "C", "D"), "system": "Be brief."}, CHAT),
        ({"conversations": sharegpt("A", "B", "C", "D"), "system": "Be brief."}, CHAT),
        ({"conversations": [{"from": "system", "value": "Be brief."}, *sharegpt("A", "B", "C", "D")]}, CHAT),
        ({"conversation": [{"from": "user", "content": "C"}, {"from": "bot", "content": "D"}]}, TURNS),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "C"}]}, openai("", "D")[1]]}, TURNS),
        ({"messages": [{**turn, "tool_calls": None, "name": None} for turn in openai("C", "D")]}, TURNS),
    ],
    ids=[
        "alpaca", "with input", "input only", "nulls", "alpaca with history", "history as text", "input and output",
        "prompt and response", "prompt and completion", "question and answer", "question with input", "problem",
        "lists of messages", "list and text", "messages", "messages with system", "developer", "messages as text",
        "conversations with roles", "sharegpt", "sharegpt with system", "mixed names", "content parts", "empty fields",
    ],
)  # fmt: skip
def test_shapes_that_need_no_registration(row: dict[str, Any], messages: list[tuple[str, str]]) -> None:
    converted = convert(row)
    assert said(converted.messages) == messages
    assert converted == Row(converted.messages, converted.source)


@pytest.mark.parametrize(
    ("entry", "row"),
    [
        (
            {
                "columns": {
                    "prompt": "instruction",
                    "query": "input",
                    "response": "output",
                    "system": "system",
                    "history": "history",
                }
            },
            {"instruction": "C", "input": "", "output": "D", "system": "Be brief.", "history": [["A", "B"]]},
        ),
        (
            {
                "formatting": "sharegpt",
                "columns": {"messages": "messages"},
                "tags": {**OPENAI, "system_tag": "system"},
            },
            {"messages": [{"role": "system", "content": "Be brief."}, *openai("A", "B", "C", "D")]},
        ),
        (
            {"formatting": "sharegpt", "columns": {"messages": "conversations", "system": "prompt"}},
            {"conversations": sharegpt("A", "B", "C", "D"), "prompt": "Be brief."},
        ),
        ({"formatting": "sharegpt"}, {"conversations": sharegpt("A", "B", "C", "D"), "system": "Be brief."}),
        ({"formatting": "alpaca"}, {"instruction": "C", "output": "D", "system": "Be brief.", "history": [["A", "B"]]}),
        (
            {
                "formatting": "sharegpt",
                "columns": {"messages": "talk", "system": "rule"},
                "tags": {"role_tag": "who", "content_tag": "says", "user_tag": "me", "assistant_tag": "it"},
            },
            {
                "talk": [{"who": who, "says": text} for who, text in zip(("me", "it") * 2, "ABCD", strict=True)],
                "rule": "Be brief.",
            },
        ),
    ],
    ids=["alpaca", "messages", "sharegpt", "sharegpt alone", "alpaca alone", "own tags"],
)  # fmt: skip
def test_registered_shapes(tmp_path: Path, entry: dict[str, Any], row: dict[str, Any]) -> None:
    assert said(from_disk(tmp_path, row, entry).messages) == CHAT


def test_only_the_registered_columns_are_read(tmp_path: Path) -> None:
    row = {"q": "C", "a": "D", "instruction": "not this", "system": "nor this", "input": "nor that"}
    assert said(from_disk(tmp_path, row, {"columns": {"prompt": "q", "response": "a"}}).messages) == TURNS


def test_openai_formatting_adds_no_system_prompt(tmp_path: Path) -> None:
    entry = {"formatting": "openai", "columns": {"messages": "chat"}, "tags": OPENAI}
    assert said(from_disk(tmp_path, {"chat": openai("C", "D")}, entry).messages) == TURNS
    row = {"chat": [{"role": "system", "content": "Be brief."}, *openai("A", "B", "C", "D")]}
    assert said(from_disk(tmp_path, row, entry).messages) == CHAT


def test_pretraining_text_as_registered(tmp_path: Path) -> None:
    converted = from_disk(tmp_path, {"text": "A document.\n"}, {"columns": {"prompt": "text"}}, "pt")
    assert (converted.text, converted.messages) == ("A document.\n", ())


@pytest.mark.parametrize("column", ["text", "content", "document"])
def test_pretraining_text_unregistered(column: str) -> None:
    converted = convert({column: "A document.", "title": "No part of it"}, "pt")
    assert converted == Row((), converted.source, text="A document.")


@pytest.mark.parametrize("tag", [True, False])
def test_judged_answers(tmp_path: Path, tag: bool) -> None:
    entry = {"formatting": "sharegpt", "columns": {"messages": "messages", "kto_tag": "label"}, "tags": OPENAI}
    for converted in (
        from_disk(tmp_path, {"messages": openai("C", "D"), "label": tag}, entry, "kto"),
        from_disk(
            tmp_path,
            {"instruction": "C", "output": "D", "kto_tag": tag},
            {"columns": {"prompt": "instruction", "response": "output", "kto_tag": "kto_tag"}},
            "kto",
        ),
        convert({"messages": openai("C", "D"), "label": tag}, "kto"),
        convert({"prompt": "C", "completion": "D", "label": tag}, "kto"),
        convert({"instruction": "C", "output": "D", "kto_tag": tag}, "kto"),
        convert({"prompt": "C", "completion": "D", "kto_tag": str(tag)}, "kto"),
    ):
        assert said(converted.messages) == TURNS
        assert converted.kto_tag is tag


@pytest.mark.parametrize("stage", ["ppo", "grpo"])
@pytest.mark.parametrize(
    ("row", "reference"),
    [
        ({"instruction": "C", "output": "D"}, "D"),
        ({"messages": openai("C", "D")}, "D"),
        ({"messages": openai("C")}, None),
        ({"prompt": "C"}, None),
        ({"prompt": openai("C")}, None),
        ({"prompt": openai("C"), "answer": "D"}, "D"),
        ({"question": "C", "answer": 42}, "42"),
        ({"question": "C", "answer": ""}, None),
    ],
)
def test_prompts_keep_the_answer_as_reference(stage: str, row: dict[str, Any], reference: str | None) -> None:
    converted = convert(row, stage)
    assert said(converted.messages) == TURNS[:1]
    assert converted.reference == reference


def test_prompts_of_a_conversation_end_with_its_last_question(tmp_path: Path) -> None:
    converted = convert({"messages": openai("A", "B", "C", "D"), "system": "Be brief."}, "ppo")
    assert said(converted.messages) == CHAT[:-1]
    registered = from_disk(tmp_path, {"q": "C"}, {"columns": {"prompt": "q"}}, "ppo")
    assert (said(registered.messages), registered.reference) == (TURNS[:1], None)


@pytest.mark.parametrize(
    ("row", "stage"),
    [
        ({"instruction": "C", "output": "D"}, "sft"),
        ({"messages": openai("C", "D")}, "sft"),
        ({"messages": openai("C", "D"), "label": True}, "kto"),
        ({"prompt": "C", "chosen": "D", "rejected": "E"}, "dpo"),
        ({"prompt": "C"}, "ppo"),
    ],
)
def test_the_default_system_prompt_is_for_rows_without_their_own(row: dict[str, Any], stage: str) -> None:
    assert said(convert(row, stage, default_system="Be kind.").messages)[0] == ("system", "Be kind.")
    own = convert({**row, "system": "Be brief."}, stage, default_system="Be kind.")
    assert said(own.messages)[0] == ("system", "Be brief.")
    assert said(convert(row, stage).messages)[0] == TURNS[0]


def test_an_empty_system_turn_is_none() -> None:
    turns = {"messages": [{"role": "system", "content": ""}, *openai("C", "D")]}
    assert said(convert(turns).messages) == TURNS
    assert said(convert(turns, default_system="Be brief.").messages) == [CHAT[0], *TURNS]


def test_messages_are_counted_as_they_stand_in_the_row() -> None:
    bad = refusal({"messages": openai("C", "D")[::-1], "system": "Be brief."}, default_system="Be kind.")
    assert bad.text == "message 1 (assistant) comes first"


def test_the_system_turn_of_a_conversation_wins_over_the_column() -> None:
    row = {"messages": [{"role": "system", "content": "Be brief."}, *openai("A", "B", "C", "D")], "system": "Be long."}
    assert said(convert(row).messages) == CHAT


@pytest.mark.parametrize(
    ("mark", "train"),
    [
        ({}, None),
        ({"train": True}, True),
        ({"train": False}, False),
        ({"weight": 1}, True),
        ({"weight": 0}, False),
        ({"weight": 0.0}, False),
        ({"loss_weight": 1.0}, True),
        ({"loss_weight": 0, "weight": None}, False),
    ],
)
def test_answers_are_marked_as_learned_or_not(mark: dict[str, Any], train: bool | None) -> None:
    question, answer = openai("C", "D")
    converted = convert({"messages": [{**question, "weight": 0}, {**answer, **mark}]})
    assert [message.train for message in converted.messages] == [False, train]


@pytest.mark.parametrize("key", ["reasoning_content", "thinking", "reasoning"])
def test_thoughts_of_messages(key: str) -> None:
    question, answer = openai("C", "D")
    converted = convert({"messages": [question, {**answer, key: "Hm."}]})
    assert converted.messages[1].reasoning_content == "Hm."
    assert converted.messages[1].content == "D"


def test_common_role_names_are_understood_beside_the_registered_ones() -> None:
    tags = Tags("role", "content", "me", "it", "tool", "call", "rule")
    turns = [{"role": role, "content": text} for role, text in (("me", "A"), ("it", "B"), ("user", "C"), ("gpt", "D"))]
    entry = stated("sharegpt", {"messages": "messages"}, tags)
    assert said(convert({"messages": turns}, entry=entry).messages) == CHAT[1:]


def test_rows_of_one_data_set_may_leave_columns_out() -> None:
    rows = [{"instruction": "C", "output": "D"}, {"instruction": "C", "output": "D", "system": "Be brief."}]
    raw = [RawRow(row, SourceReference("rows.jsonl", number)) for number, row in enumerate(rows, start=1)]
    plain, with_system = convert_all(raw)
    assert isinstance(plain, Row)
    assert isinstance(with_system, Row)
    assert said(plain.messages) == TURNS
    assert said(with_system.messages) == [CHAT[0], *TURNS]


def test_a_column_that_the_first_rows_lack_is_still_read() -> None:
    rows = [{"messages": openai("C", "D")}] * 30 + [{"messages": openai("C", "D"), "system": "Be brief."}]
    converted = convert_all([RawRow(row, SourceReference("rows.jsonl", 1)) for row in rows])
    assert isinstance(converted[-1], Row)
    assert said(converted[-1].messages) == [CHAT[0], *TURNS]


def test_registered_tags_are_used_as_they_are(tmp_path: Path) -> None:
    entry = stated("sharegpt", {"messages": "messages"}, OPENAI_TAGS)
    assert said(convert({"messages": openai("C", "D")}, entry=entry).messages) == TURNS


def test_tables_of_text_hold_lists_as_json_text(tmp_path: Path) -> None:
    def table(name: str, *rows: Sequence[str]) -> list[RawRow | BadRow]:
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(rows)
        return list(read_rows(tmp_path / name))

    pairs = table("pairs.csv", ["instruction", "input", "output", "history"], ["C", "", "D", '[["A", "B"]]'])
    talks = table("talks.csv", ["messages", "kto_tag"], [json.dumps(openai("C", "D")), "False"])
    [pair], [talk] = convert_all(pairs), convert_all(talks, "kto")
    assert isinstance(pair, Row)
    assert isinstance(talk, Row)
    assert said(pair.messages) == CHAT[1:]
    assert (said(talk.messages), talk.kto_tag) == (TURNS, False)


@pytest.mark.parametrize("name", list_datasets(shipped_folder("data")))
def test_the_shipped_data_sets_are_good_registered_or_not(name: str) -> None:
    entry = find_dataset(name, shipped_folder("data"))
    rows = [row for file in entry.files for row in read_rows(file)]
    stage = {"preference": "dpo", "kto": "kto", "text": "pt", "prompts": "ppo"}.get(
        name.removesuffix("_sample").removeprefix("demo_"), "sft"
    )
    converted = convert_all(rows, stage, entry=entry)
    assert all(isinstance(row, Row) for row in converted)
    # Only the register tells that of ranked rows the better answers alone are meant.
    if name != "demo_manners":
        assert convert_all(rows, stage) == converted
