"""What the recipe changes about labels and lengths."""

from __future__ import annotations

import pytest

from tests.trainer.data.chat_templates import CHATML, NO_SYSTEM
from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue, trained_texts
from trainer.data import load_tokenizer, prepare
from trainer.errors import UserError

TWO_TURNS = dialogue("What?", "A test.", "Sure?", "Yes!")


def test_mask_history_learns_the_last_answer(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model()
    example = prepare(make_recipe(model, [TWO_TURNS], mask_history=True)).train[0]
    assert trained_texts(example, load_tokenizer(model)) == ["Yes!<|im_end|>"]


def test_train_on_prompt_learns_every_token(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    example = prepare(make_recipe(make_model(), [TWO_TURNS], train_on_prompt=True)).train[0]
    assert example.labels == example.input_ids


@pytest.mark.parametrize("flag", [{"weight": 0}, {"train": False}])
def test_flags_in_messages_overrule_the_recipe(
    make_model: MakeModel, make_recipe: MakeRecipe, flag: dict[str, object]
) -> None:
    model = make_model()
    row = dialogue("What?", "A test.", "Sure?", "Yes!")
    row["messages"][1] |= flag
    tokenizer = load_tokenizer(model)
    assert trained_texts(prepare(make_recipe(model, [row])).train[0], tokenizer) == ["Yes!<|im_end|>"]
    everything = prepare(make_recipe(model, [row], train_on_prompt=True)).train[0]
    assert "A test." not in "".join(trained_texts(everything, tokenizer))
    row["messages"][1] |= {"train": True, "weight": 1}
    kept = prepare(make_recipe(model, [row], mask_history=True)).train[0]
    assert trained_texts(kept, tokenizer) == ["A test.<|im_end|>", "Yes!<|im_end|>"]


def test_default_system_stands_in_where_a_row_has_none(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model()
    rows = [dialogue("Hi", "Yo"), dialogue("Hi", "Yo", system="Own.")]
    train = prepare(make_recipe(model, rows, default_system="Given.")).train
    texts = [load_tokenizer(model).decode(example.input_ids) for example in train]
    assert [text.split("<|im_end|>")[0] for text in texts] == [
        "<|im_start|>system\nGiven.",
        "<|im_start|>system\nOwn.",
    ]


def test_cutoff_keeps_the_first_tokens_and_counts_what_is_lost(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model()
    whole = prepare(make_recipe(model, [TWO_TURNS])).train[0]
    cut = len(whole.input_ids) - 3  # the line break, the end token and one token of the answer
    prepared = prepare(make_recipe(model, [TWO_TURNS, dialogue("A", "B")], cutoff_len=cut))
    assert prepared.train[0].input_ids == whole.input_ids[:cut]
    assert prepared.train[0].labels == whole.labels[:cut]
    report = prepared.report
    assert (report.truncated, report.labels_lost, report.ends_lost, report.unlabelled) == (1, 2, 1, 0)
    assert report.lengths.maximum == len(whole.input_ids)
    finding = next(finding for finding in report.findings() if finding.id == "data_truncated")
    assert "1 of 2 rows is longer than cutoff_len" in finding.text
    assert int(str(finding.change["data.cutoff_len"])) >= len(whole.input_ids)


def test_a_row_with_nothing_left_to_learn_is_dropped_and_counted(
    make_model: MakeModel, make_recipe: MakeRecipe
) -> None:
    rows = [dialogue("Hi", "Yo"), dialogue("What " * 40, "Yo")]
    prepared = prepare(make_recipe(make_model(), rows, cutoff_len=20))
    assert len(prepared.train) == 1
    assert prepared.report.unlabelled == 1
    assert "data_unlabelled_rows" in [finding.id for finding in prepared.report.findings()]


def test_all_labels_masked_by_the_cutoff(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(make_model(), [dialogue("What " * 40, "Yo")], cutoff_len=8)
    with pytest.raises(UserError, match="all labels are masked: cutoff_len = 8 ends before the answers begin"):
        prepare(recipe)


def test_all_labels_masked_by_flags(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    row = dialogue("Hi", "Yo")
    row["messages"][1]["train"] = False
    with pytest.raises(UserError, match="all labels are masked: every answer is marked"):
        prepare(make_recipe(make_model(), [row]))


def test_a_template_that_refuses_a_row(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    rows = [dialogue("Hi", "Yo"), dialogue("Hi", "Yo", system="No.")]
    recipe = make_recipe(make_model(NO_SYSTEM), rows)
    with pytest.raises(UserError, match=r"rows.jsonl:2: the chat template refuses it: System role not supported"):
        prepare(recipe)


def test_a_model_without_a_template(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    with pytest.raises(UserError, match="no chat template"):
        prepare(make_recipe(make_model(None), [TWO_TURNS]))


def test_templates_in_the_tokenizer_config(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    named = [{"name": "default", "template": CHATML}, {"name": "tool_use", "template": "{{ tools }}"}]
    for number, value in enumerate((CHATML, named)):
        model = make_model(None, name=f"model{number}", chat_template=value)
        example = prepare(make_recipe(model, [TWO_TURNS])).train[0]
        assert trained_texts(example, load_tokenizer(model))[-1] == "Yes!<|im_end|>"
