"""Every bad row of `tests/data/bad/rows` is named by file, row, reason and remedy; the good rows beside it are used."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import trainer.data
from tests.trainer.data.conftest import MakeModel, MakeRecipe
from tests.trainer.data.converting import convert_all, refusal
from trainer.data import BadRow, Row, SourceReference, prepare
from trainer.data.formats import REASONS
from trainer.data.messages import RawRow
from trainer.data.registry import find_dataset
from trainer.data.sources import read_rows
from trainer.errors import UserError

FOLDER = Path(__file__).parents[2] / "data" / "bad" / "rows"

SFT = [
    ("output_null", "not_text", "output is null, not text", "Make output a string"),
    ("output_number", "not_text", "output is a number, not text", "Make output a string"),
    ("output_list", "not_text", "output is a list, not text", "Make output a string"),
    ("output_missing", "missing_column", "no column output (found: instruction)", "Mend the row"),
    ("output_empty", "empty_answer", "an answer is empty", "drop the row"),
    ("wrong_column", "missing_column", "no column answer (found: question, reply)", "set columns"),
    ("history_not_pairs", "history", "history is not a list of pairs", '[["question", "answer"]]'),
    ("history_of_numbers", "history", "history is not a list of pairs", '[["question", "answer"]]'),
    ("history_text", "history", "history is not valid JSON", '[["question", "answer"]]'),
    ("conversation_empty", "no_messages", "messages is an empty list", "Fill messages"),
    ("conversation_null", "no_messages", "messages is null, not a list of messages", "Fill messages"),
    ("conversation_text", "no_messages", "messages is not a list of messages but text", 'Write "messages": ['),
    ("conversation_missing", "missing_column", "no column messages (found: dialogue)", "set columns"),
    ("odd_turn_count", "no_answer", "does not end with an answer", "Add the answer"),
    ("question_only", "no_answer", "does not end with an answer", "Add the answer"),
    ("two_questions", "roles_out_of_order", "message 2 (user) comes after user", "Turns must go"),
    ("two_answers", "roles_out_of_order", "message 3 (assistant) comes after assistant", "Turns must go"),
    ("answer_first", "roles_out_of_order", "message 1 (assistant) comes first", "Turns must go"),
    ("system_in_the_middle", "roles_out_of_order", "message 3 (system) comes after assistant", "Turns must go"),
    ("two_system_prompts", "roles_out_of_order", "message 2 (system) comes after system", "Turns must go"),
    ("observation_first", "roles_out_of_order", "message 2 (tool) comes after user", "Turns must go"),
    ("answer_empty", "empty_answer", "an answer is empty", "drop the row"),
    ("unknown_role", "unknown_role", "message 1 has the role 'wizard'", "Known roles: user, assistant, system, tool"),
    ("role_number", "unknown_role", "message 1 has the role 1", "Known roles: user"),
    ("wrong_tags", "wrong_tags", "message 1 has no from (found: role, content)", 'needs "from" and "value"'),
    ("content_key_missing", "wrong_tags", "message 2 has no content (found: role, text)", "other names go into tags"),
    ("message_is_text", "wrong_tags", "message 1 is text, not an object", 'Write {"role": "user"'),
    ("content_null", "not_text", "the content of message 1 is null, not text", "Make it a string"),
    ("content_number", "not_text", "the content of message 2 is a number, not text", "Make it a string"),
    ("content_list_of_text", "not_text", "the content of message 1 is a list, not text", "Make it a string"),
    ("weight_half", "wrong_weight", "message 2 has the weight 0.5", "weight may be 0 or 1"),
    ("weight_text", "wrong_weight", "message 2 has the weight 'high'", "weight may be 0 or 1"),
    ("weight_on_question", "wrong_weight", "message 1 (user) is to be trained", "Only answers"),
    ("thought_number", "not_text", "the thought of message 2 is a number, not text", "Make it a string"),
    ("tools_not_json", "wrong_tools", "the tools column is not valid JSON", 'Write [{"name"'),
    ("tools_not_a_list", "wrong_tools", "tools is not a list of objects", 'Write [{"name"'),
    ("tools_of_text", "wrong_tools", "the tools column is not valid JSON", 'Write [{"name"'),
    ("tool_without_name", "wrong_tools", "a tool in tools has no name", 'Write [{"name"'),
    ("call_not_json", "wrong_tools", "the function call in message 2 is not valid JSON", 'Write {"name"'),
    ("call_without_name", "wrong_tools", "a function call in message 2 has no name", 'Write {"name"'),
    ("call_list_empty", "wrong_tools", "the function call in message 2 is an empty list", 'Write {"name"'),
    ("call_arguments_list", "wrong_tools", "the arguments of 'look' in message 2 are not an object", 'Write {"name"'),
    ("tool_calls_not_a_list", "wrong_tools", "tool_calls of message 2 is not a list", 'Write {"name"'),
    ("tool_call_arguments_cut", "wrong_tools", "the arguments of 'look' in message 2 is not valid JSON", "Write"),
    ("image_in_text_training", "media", "images in a row: multimodal training is not available", "Remove images"),
    ("image_part_in_text_training", "media", "parts that are not text (image_url)", "Only text"),
]
RANKED = [
    ("rejected_missing", "missing_column", "no column rejected (found: prompt, chosen)", "Mend the row"),
    ("rejected_null", "not_text", "rejected is null, not text", "Make rejected a string"),
    ("rejected_empty", "empty_answer", "rejected is empty", "Write the answer"),
    ("rejected_list_empty", "not_text", "rejected is a list, not text", "Make rejected a string"),
    ("chosen_equals_rejected", "answers_equal", "chosen and rejected are the same", "drop the row"),
    ("prompt_missing", "missing_column", "no column prompt (found: chosen, rejected)", "Mend the row"),
    ("prompt_empty", "empty_prompt", "the prompt is empty", "Write the question"),
    ("chosen_role_wrong", "wrong_answer_role", "chosen has the role user", "role must be that of an answer"),
    ("ranked_registered", "wrong_answer_role", "chosen has the role user", "role must be that of an answer"),
    ("chosen_role_unknown", "unknown_role", "chosen has the role 'wizard'", "Known roles: human, gpt"),
    ("prompt_ends_with_answer", "roles_out_of_order", "the prompt ends with an answer (message 2)", "End the prompt"),
    ("prompts_differ", "prompts_differ", "differ in message 1 (user), not in an answer", "same prompt"),
    ("conversations_equal", "answers_equal", "chosen and rejected are the same", "drop the row"),
    ("one_conversation_one_text", "prompts_differ", "chosen is a whole conversation, rejected is not", "same prompt"),
    ("answer_goes_on_with_question", "prompts_differ", "rejected holds another turn of the user", "same prompt"),
    ("rejected_ends_with_question", "prompts_differ", "rejected holds another turn of the user", "same prompt"),
]
JUDGED = [
    ("kto_tag_number", "wrong_kto_tag", "label is 1, neither true nor false", "Write true for a good answer"),
    ("judged_registered", "wrong_kto_tag", "label is 1, neither true nor false", "Write true for a good answer"),
    ("kto_tag_text", "wrong_kto_tag", "label is 'good', neither true nor false", "Write true for a good answer"),
    ("kto_tag_null", "wrong_kto_tag", "label is null, neither true nor false", "Write true for a good answer"),
    ("kto_tag_missing", "missing_column", "no column label (found: messages)", "Mend the row"),
]
TEXTS = [
    ("text_null", "not_text", "text is null, not text", "Make text a string"),
    ("text_empty", "empty_text", "text is empty", "Drop the row"),
    ("text_missing", "missing_column", "no column text (found: title)", "Mend the row"),
]
PROMPTS = [
    ("prompt_row_empty", "empty_prompt", "the prompt is empty", "Write the question"),
    ("prompt_row_null", "not_text", "prompt is null, not text", "Make prompt a string"),
    ("prompt_of_answer_alone", "empty_prompt", "the row has no question", "Add the question"),
]
MEDIA = [
    ("image_marks_too_many", "media_count", "marks 2 places with <image>, but there are 1 images", "once for each"),
    ("image_mark_missing", "media_count", "marks 0 places with <image>, but there are 1 images", "once for each"),
    ("image_file_missing", "media_missing", "item 1 of images is not there", "set media_dir"),
    ("image_number", "wrong_media", "item 1 of images is a number, not a path", "Save it as a file"),
    ("image_bytes", "wrong_media", "item 1 of images is data without a path, not a path", "Save it as a file"),
    ("part_of_unknown_type", "wrong_media", "message 1 has a part of the type 'hologram'", "Parts may be text, image"),
    ("images_in_two_ways", "media_count", "some images stand in content parts, others do not", "in one way"),
]
STAGES = {"sft": SFT, "dpo": RANKED, "rm": RANKED, "kto": JUDGED, "pt": TEXTS, "ppo": PROMPTS, "grpo": PROMPTS}
CASES = [pytest.param(stage, *case, id=f"{stage}-{case[0]}") for stage, cases in STAGES.items() for case in cases]


def converted(name: str, stage: str, **options: Any) -> list[Row | BadRow]:
    """The rows of a registered data set of the folder, or of the file of this name."""
    registered = name in (path.stem for path in FOLDER.glob("*.jsonl"))
    entry = find_dataset(str(FOLDER / f"{name}.jsonl") if registered and name not in OWN_COLUMNS else name, FOLDER)
    return convert_all([row for file in entry.files for row in read_rows(file)], stage, entry, **options)


OWN_COLUMNS = ("wrong_column", "wrong_tags")


def check(rows: list[Row | BadRow], name: str, reason: str, text: str, hint: str) -> None:
    """The second of three rows is bad, for this reason; the others are used."""
    first, bad, last = rows
    assert isinstance(first, Row)
    assert isinstance(last, Row)
    assert isinstance(bad, BadRow)
    assert (bad.reason, bad.source.row, bad.source.line) == (reason, 2, 2)
    assert text in bad.text
    assert hint in bad.hint
    assert str(bad).startswith(f"{FOLDER}/")
    assert reason in REASONS


@pytest.mark.parametrize(("stage", "name", "reason", "text", "hint"), CASES)
def test_a_bad_row_is_named_and_the_others_are_used(stage: str, name: str, reason: str, text: str, hint: str) -> None:
    check(converted(name, stage), name, reason, text, hint)


@pytest.mark.parametrize(("name", "reason", "text", "hint"), MEDIA, ids=lambda value: value)
def test_bad_media_are_named_where_media_are_taken(name: str, reason: str, text: str, hint: str) -> None:
    check(converted(name, "sft", allow_media=True), name, reason, text, hint)


def test_no_file_of_the_folder_is_forgotten() -> None:
    tested = {name for cases in (*STAGES.values(), MEDIA) for name, *_ in cases} | {"mixed_types", "mixed_schemas"}
    assert {path.stem for path in FOLDER.glob("*.jsonl")} <= tested


def test_mixed_types_are_named_one_by_one() -> None:
    rows = converted("mixed_types", "sft")
    assert [isinstance(row, Row) for row in rows] == [True, *[False] * 5, True]
    assert [str(row).removeprefix(f"{FOLDER}/") for row in rows if isinstance(row, BadRow)] == [
        "mixed_types.jsonl:2: output is a number, not text. Make output a string or drop the row",
        "mixed_types.jsonl:3: output is an object, not text. Make output a string or drop the row",
        "mixed_types.jsonl:4: instruction is a list, not text. Make instruction a string or drop the row",
        "mixed_types.jsonl:5: input is a number, not text. Make input a string or drop the row",
        "mixed_types.jsonl:6: system is true or false, not text. Make system a string or drop the row",
    ]


def test_rows_of_other_schemas_are_named_and_the_majority_is_used() -> None:
    rows = converted("mixed_schemas", "sft")
    assert [isinstance(row, Row) for row in rows] == [True, False, False, False, True]
    bad = [row for row in rows if isinstance(row, BadRow)]
    assert [row.reason for row in bad] == ["missing_column"] * 3
    assert [row.text for row in bad] == [
        "no column instruction (found: messages)",
        "no column instruction (found: text)",
        "no column instruction (found: prompt, chosen, rejected)",
    ]


@pytest.mark.parametrize(
    ("name", "stage", "text", "hint"),
    [
        ("rejected_null", "sft", "a ranked data set (chosen, rejected) cannot be used for sft", "stage = dpo"),
        ("rejected_null", "kto", "a ranked data set (chosen, rejected) cannot be used for kto", "stage = dpo"),
        ("ranked_registered", "sft", "it is for dpo and rm", "stage = dpo"),
        ("output_null", "dpo", "cannot be used for dpo, which needs chosen and rejected", "stage = sft"),
        ("output_null", "kto", "which needs an answer and a kto_tag that is true or false", "stage = sft"),
        ("output_null", "pt", "which needs a column of plain text", '"columns": {"prompt": "<column>"}'),
        ("kto_tag_text", "sft", "a data set of judged answers (kto_tag) cannot be used for sft", "without kto_tag"),
        ("text_empty", "sft", "a data set of plain text cannot be used for sft", '{"instruction": ..., "output": ...}'),
        ("prompt_row_empty", "sft", "prompts without answers cannot be used for sft", "stage = ppo"),
        ("ranked_without_chosen", "dpo", "name no chosen", '"chosen": "<column>"'),
        ("no_prompt_column", "sft", "name no prompt", '"prompt": "<column>"'),
    ],
)
def test_a_data_set_of_another_kind_is_refused_as_a_whole(name: str, stage: str, text: str, hint: str) -> None:
    with pytest.raises(UserError) as refused:
        converted(name, stage)
    assert text in str(refused.value)
    assert hint in str(refused.value.hint)


def test_rows_without_any_known_column_are_refused_with_the_columns_found() -> None:
    with pytest.raises(UserError, match=r"no known columns in the rows \(found: frage, antwort\)"):
        refusal({"frage": "C", "antwort": "D"})


def test_every_reason_in_the_code_has_a_title_and_every_title_a_reason() -> None:
    folder = Path(trainer.data.__file__).parent
    calls = (
        node
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("BadRow", "BadRowError") and node.args
    )
    used = {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}
    assert used == set(REASONS)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"messages": "[" * 100_000}, "messages is not valid JSON: nested too deeply"),
        ({"messages": '[{"role": '}, "messages is not valid JSON: Expecting value (column 11)"),
        ({"messages": [], "tools": "[" * 100_000}, "messages is an empty list"),
        ({"instruction": "C", "output": "D", "tools": "[" * 100_000}, "the tools column is not valid JSON: nested too"),
        (
            {"instruction": "C", "output": "D", "tools": f"[{'9' * 5000}]"},
            "the tools column is not valid JSON: Exceeds",
        ),
        ({"instruction": "C", "output": "D", "history": "[" * 100_000}, "history is not valid JSON: nested too deeply"),
    ],
)
def test_hostile_json_text_in_a_column_is_a_bad_row(row: dict[str, Any], text: str) -> None:
    good = (
        {"messages": [{"role": "user", "content": "C"}]} if "messages" in row else {"instruction": "C", "output": "D"}
    )
    source = SourceReference("rows.jsonl", 2)
    bad = convert_all([RawRow(good, SourceReference("rows.jsonl", 1)), RawRow(row, source)])[1]
    assert isinstance(bad, BadRow)
    assert text in bad.text


def test_messages_about_huge_values_stay_short() -> None:
    question = {"role": "user", "content": "C"}
    for row in (
        {"messages": [{"role": "x" * 1_000_000, "content": "C"}]},
        {"messages": [question, {"role": "assistant", "content": "D", "weight": "9" * 1_000_000}]},
        {"messages": [question, {"from": "gpt", **dict.fromkeys(map(str, range(10_000)))}]},
        {"instruction": "C", "output": None, **{f"column {number}": "" for number in range(10_000)}},
    ):
        assert len(refusal(row).text) < 500


@pytest.mark.parametrize(
    ("name", "reason"),
    [("output_null", "not_text"), ("two_questions", "roles_out_of_order"), ("tools_not_json", "wrong_tools")],
)
def test_training_leaves_a_bad_row_out_or_stops_at_it(
    make_model: MakeModel, make_recipe: MakeRecipe, name: str, reason: str
) -> None:
    recipe = make_recipe(make_model(), (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8"), on_bad_row="skip")
    prepared = prepare(recipe)
    assert len(prepared.train) == 2
    [found] = prepared.report.bad
    assert (found.reason, found.count, found.examples[0].source.row) == (reason, 1, 2)
    with pytest.raises(UserError) as stopped:
        prepare(recipe.with_values({"data.on_bad_row": "stop"}))
    assert stopped.value.line == 2
    assert "on_bad_row=skip" in str(stopped.value)
