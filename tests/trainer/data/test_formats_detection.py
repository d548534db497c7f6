"""What a data set is found to be: the mapping that people see, the stages it serves, the entry that is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.converting import FILE, UNREGISTERED, openai, refusal, sharegpt, stated
from trainer.data.formats import RowConverter, RowFormat, fits, row_format, stages_for
from trainer.data.registry import find_dataset
from trainer.errors import UserError

CALL = {"from": "function_call", "value": '{"name": "look", "arguments": {}}'}
ROWS: dict[str, dict[str, Any]] = {
    "alpaca (instruction, input, output)": {"instruction": "C", "input": "", "output": "D"},
    "alpaca (question, answer)": {"question": "C", "answer": "D"},
    "conversation (messages: messages, role, content)": {"messages": openai("C", "D")},
    "conversation (messages: conversations, from, value)": {"conversations": [*sharegpt("C"), CALL]},
    "ranked alpaca (prompt, chosen, rejected)": {"prompt": "C", "chosen": "D", "rejected": "E"},
    "ranked conversation (role, content, chosen, rejected)": {
        "prompt": "C",
        "chosen": openai("C", "D"),
        "rejected": openai("C", "E"),
    },
    "ranked conversation (messages: conversations, from, value, chosen, rejected)": {
        "conversations": sharegpt("C"),
        "chosen": sharegpt("", "D")[1],
        "rejected": sharegpt("", "E")[1],
    },
    "judged conversation (messages: messages, role, content, label)": {"messages": openai("C", "D"), "label": True},
    "judged alpaca (prompt, completion, label)": {"prompt": "C", "completion": "D", "label": False},
    "text (text)": {"text": "A document."},
    "prompts alpaca (prompt)": {"prompt": "C"},
    "prompts conversation (messages: prompt, role, content)": {"prompt": openai("C")},
}
STAGES = {
    "alpaca": ("sft", "ppo", "grpo", "rloo"),
    "conversation": ("sft", "ppo", "grpo", "rloo"),
    "ranked": ("dpo", "rm"),
    "judged": ("kto",),
    "text": ("pt",),
    "prompts": ("ppo", "grpo", "rloo"),
}


def detected(*rows: dict[str, Any], stage: str | None = None) -> RowFormat:
    """The format of a file that is not registered."""
    return row_format(UNREGISTERED, rows, stage)


@pytest.mark.parametrize(("described", "row"), ROWS.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_formats_are_described_and_know_their_stages(described: str, row: dict[str, Any]) -> None:
    found = detected(row)
    assert found.describe() == described
    stages = STAGES[described.split()[0]]
    assert stages_for(found) == stages
    for stage in ("pt", "sft", "rm", "dpo", "kto", "ppo", "grpo", "rloo"):
        assert (fits(found, stage) is None) == (stage in stages)


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_the_written_entry_reads_the_rows_in_the_same_way(tmp_path: Path, row: dict[str, Any]) -> None:
    found = detected(row)
    (tmp_path / "rows.json").write_text(json.dumps([row]), encoding="utf-8")
    info = {"mine": {"file_name": "rows.json", **found.as_entry()}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    again = row_format(find_dataset("mine", tmp_path), [row], stages_for(found)[0])
    assert again.as_entry() == found.as_entry()
    assert stages_for(found)[0] in stages_for(again)
    present = [one for one in found.mapping if one.is_present]
    assert [(one.key, one.name) for one in again.mapping] == [(one.key, one.name) for one in present]
    assert not any(one.is_detected for one in again.mapping)


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_columns_with_capitals_are_read_under_their_own_names(row: dict[str, Any]) -> None:
    plain = detected(row)
    found = detected({name.title(): value for name, value in row.items()})
    assert (found.kind, found.shape, found.tags) == (plain.kind, plain.shape, plain.tags)
    assert set(found.found) == {name.title() for name in row}
    assert found.unused == tuple(name.title() for name in plain.unused)
    assert {one.name.lower() for one in found.mapping if one.is_present} == {
        one.name for one in plain.mapping if one.is_present
    }


def test_a_column_without_capitals_is_taken_before_one_with_them() -> None:
    found = detected({"Question": "A", "question": "B", "Answer": "C", "System": "D", "Tools": "[]"})
    assert (found.columns.prompt, found.columns.response) == ("question", "Answer")
    assert (found.columns.system, found.columns.tools) == ("System", "Tools")
    assert found.unused == ("Question",)


def test_the_written_entry_is_what_llama_factory_reads() -> None:
    assert detected(ROWS["text (text)"]).as_entry() == {"columns": {"prompt": "text"}}
    assert detected({"messages": openai("C", "D"), "system": "S"}).as_entry() == {
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "system": "system"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "observation_tag": "tool",
            "function_tag": "function_call",
            "system_tag": "system",
        },
    }
    assert detected({"instruction": "C", "chosen": "D", "rejected": "E"}).as_entry() == {
        "ranking": True,
        "columns": {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"},
    }


def test_the_mapping_says_what_is_read_and_what_is_not() -> None:
    found = detected({"instruction": "C", "output": "D", "id": 7, "source": "web"})
    assert [(one.key, one.name, one.is_present) for one in found.mapping] == [
        ("prompt", "instruction", True),
        ("query", "input", False),
        ("response", "output", True),
        ("history", "history", False),
        ("system", "system", False),
        ("tools", "tools", False),
        ("images", "images", False),
        ("videos", "videos", False),
        ("audios", "audios", False),
    ]
    assert all(one.is_detected and not one.is_tag for one in found.mapping)
    assert found.unused == ("id", "source")


def test_the_mapping_of_an_entry_shows_a_column_that_is_not_there() -> None:
    entry = stated(columns={"prompt": "question", "response": "reply"})
    found = row_format(entry, [{"question": "C", "answer": "D"}])
    assert [(one.key, one.name, one.is_present, one.is_detected) for one in found.mapping] == [
        ("prompt", "question", True, False),
        ("response", "reply", False, False),
    ]
    assert found.unused == ("answer",)


def test_tags_are_read_off_the_messages() -> None:
    found = detected({"conversations": [{"role": "human", "text": "C"}, {"role": "bot", "text": "D"}]})
    tags = found.tags
    assert (tags.role_tag, tags.content_tag, tags.user_tag, tags.assistant_tag) == ("role", "text", "human", "bot")
    assert [one.name for one in found.mapping if one.is_tag][:4] == ["role", "text", "human", "bot"]


def test_the_text_that_an_instruction_speaks_of_is_read() -> None:
    dolly = {"instruction": "C", "context": "E", "response": "D", "category": "x"}
    assert row_format(UNREGISTERED, [dolly]).columns.query == "context"
    assert row_format(UNREGISTERED, [{**dolly, "input": ""}]).columns.query == "input"


def test_lists_that_python_printed_are_named_row_by_row() -> None:
    # What pandas makes of lists in CSV files.
    row = {"conversations": "[{'from': 'human', 'value': 'C'}, {'from': 'gpt', 'value': 'D'}]", "id": "1"}
    assert row_format(UNREGISTERED, [row]).columns.messages == "conversations"
    assert "conversations is not valid JSON" in refusal(row).text


def test_rows_inside_of_an_object_are_found_and_named() -> None:
    with pytest.raises(UserError, match=r"\(found: version, data\). The rows seem to stand inside 'data': write that"):
        row_format(UNREGISTERED, [{"version": 1, "data": [{"instruction": "C", "output": "D"}]}])


def test_several_rows_are_looked_at() -> None:
    empty: dict[str, Any] = {"messages": [], "output": None}
    assert detected(empty, {"messages": openai("C", "D"), "output": None}).describe() == (
        "conversation (messages: messages, role, content)"
    )
    nothing = {"instruction": None, "output": None, "prompt": None}
    assert detected(nothing, {"prompt": "C", "output": "D"}).columns.prompt == "prompt"


def test_the_way_that_most_rows_can_be_read_in_is_taken() -> None:
    odd = {"messages": openai("C", "D")}
    pair = {"instruction": "C", "output": "D"}
    assert detected(odd, pair, pair).shape == "alpaca"
    assert detected(odd, odd, pair).shape == "conversation"
    assert detected(pair, {"text": "T"}, {"text": "T"}, stage="sft").shape == "alpaca"


def test_columns_that_are_empty_in_all_rows_say_nothing() -> None:
    row = {"prompt": "C", "chosen": "D", "rejected": "E", "output": None, "text": None}
    assert detected(row).kind == "ranked"
    with pytest.raises(UserError, match="a ranked data set"):
        detected(row, stage="sft")
    with pytest.raises(UserError, match="a ranked data set"):
        detected(row, stage="pt")


@pytest.mark.parametrize(
    ("stage", "shape", "kind"),
    [("sft", "conversation", "answers"), ("dpo", "conversation", "ranked"), ("pt", "text", "text")],
)
def test_the_stage_decides_between_several_ways(stage: str, shape: str, kind: str) -> None:
    row = {
        "prompt": "C",
        "messages": openai("C", "D"),
        "chosen": openai("C", "D"),
        "rejected": openai("C", "E"),
        "text": "C D",
    }
    found = detected(row, stage=stage)
    assert (found.shape, found.kind) == (shape, kind)


def test_good_and_bad_answers_are_not_learned_alike_by_mistake() -> None:
    row = {"prompt": "C", "completion": "D", "label": True}
    with pytest.raises(UserError, match=r"judged answers \(kto_tag\) cannot be used for sft"):
        detected(row, stage="sft")
    entry = stated(columns={"prompt": "prompt", "response": "completion"})
    assert row_format(entry, [row]).kind == "answers"
    assert detected({**row, "label": 3}, stage="sft").kind == "answers"


def test_a_list_can_show_sets_that_do_not_fit() -> None:
    whole = {"messages": openai("C", "D"), "chosen": openai("C", "D"), "rejected": openai("C", "E")}
    ways = {stage: row_format(UNREGISTERED, [whole], stage, must_fit=False) for stage in ("sft", "dpo", "pt")}
    assert {stage: (way.kind, fits(way, stage) is None) for stage, way in ways.items()} == {
        "sft": ("answers", True),
        "dpo": ("ranked", True),
        "pt": ("ranked", False),
    }


def test_one_registered_column_is_text_or_prompt() -> None:
    entry = stated(columns={"prompt": "text"})
    found = row_format(entry, [{"text": "T"}], None)
    assert stages_for(found) == ("pt", "ppo", "grpo", "rloo")
    assert fits(found, "sft") == (
        "a data set of texts or prompts alone cannot be used for sft, which needs rows with a question and an answer; "
        "it is for pt, ppo, grpo and rloo"
    )


def test_a_converter_refuses_a_stage_that_does_not_fit() -> None:
    with pytest.raises(UserError, match="it is for dpo and rm"):
        RowConverter(detected({"prompt": "C", "chosen": "D", "rejected": "E"}))


def test_refusals_name_the_data_set_or_the_file() -> None:
    with pytest.raises(UserError) as refused:
        row_format(replace(UNREGISTERED, name="pairs"), [{"instruction": "C", "output": "D"}], "rm")
    assert (refused.value.field, refused.value.value) == ("dataset", "pairs")
    with pytest.raises(UserError) as unknown:
        detected({"frage": "C"})
    assert unknown.value.file == str(FILE)
    assert str(unknown.value).endswith("trimtab data register NAME FILE --columns prompt=COLUMN,response=COLUMN")


def test_no_rows_are_of_no_format() -> None:
    with pytest.raises(UserError, match="found: none"):
        detected()
