"""Tokens that a recipe adds: the same ids here as in transformers, and rows that are encoded with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue
from trainer.config import Recipe, load_preset
from trainer.data import prepare, recipe_tokenizer
from trainer.data.check import check_data
from trainer.model.tokenizer import load_tokenizer

TEXTS = [
    "a<sum>b <sum> c",
    "<|call|><|call|>x<|call|>",
    "<|im_start|>the<sum><|im_end|>",
    "thesum>the",
    "<tool>你好<sum>",
    "<|call|",
]


def with_tokens(model: Path, **values: object) -> Recipe:
    changes: dict[str, object] = {"model.model_name_or_path": str(model)}
    return Recipe().with_values(changes | {f"model.{name}": value for name, value in values.items()})


def test_ids_are_those_of_transformers(make_model: MakeModel, tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text('"<tool>": a tool that is called\n')
    recipe = with_tokens(
        make_model(),
        add_tokens=["<sum>", "the"],
        add_special_tokens=["<|call|>", "<|im_end|>"],
        new_special_tokens_config=str(file),
    )
    ours, theirs = recipe_tokenizer(recipe), load_tokenizer(recipe)
    first = len(recipe_tokenizer(with_tokens(tmp_path / "model")))
    assert ours.new_ids == (first, first + 1, first + 2)
    assert [ours.token(row) for row in ours.new_ids] == ["<sum>", "<|call|>", "<tool>"]
    assert (ours.rows, len(ours), len(theirs)) == (first + 3, first + 3, first + 3)
    for text in TEXTS:
        ids = ours.encode(text)
        assert ids == theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.decode(ids, skip_special_tokens=True) == theirs.decode(ids, skip_special_tokens=True)
    assert "<|call|>" not in ours.decode(ours.encode(TEXTS[1]), skip_special_tokens=True)
    assert "<sum>" in ours.decode(ours.encode(TEXTS[0]), skip_special_tokens=True)
    # What a checkpoint gets, as others load it.
    from transformers import AutoTokenizer

    theirs.save_pretrained(tmp_path / "saved")
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert [again(text, add_special_tokens=False)["input_ids"] for text in TEXTS] == [*map(ours.encode, TEXTS)]


def test_rows_hold_the_new_tokens_and_stored_ones_are_not_taken_for_them(
    make_model: MakeModel, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = [dialogue(f"Q{number}? " + "fine " * 400, "Yes.<sum>") for number in range(600)]
    plain = make_recipe(make_model(), rows, cutoff_len=1000)
    [number] = recipe_tokenizer(plain.with_values({"model.add_tokens": ["<sum>"]})).new_ids
    found = []
    for tokens in ([], ["<sum>"], ["<other>"], []):
        prepared = prepare(plain.with_values({"model.add_tokens": tokens}))
        found.append([number in row.input_ids for row in prepared.train])
    assert [set(each) for each in found] == [{False}, {True}, {False}, {False}]
    assert len(list((tmp_path / "cache").glob("*/data/*"))) == 3


def test_a_template_whose_end_of_answers_is_no_token_is_mended(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(make_model(), [dialogue("Hi", "Yes!")], template="llama3")
    [told] = [each for each in check_data(recipe).findings if each.id == "template_stop_words_unknown"]
    assert told.change == {"model.add_special_tokens": ["<|eot_id|>"]}
    mended = recipe.with_values(told.change)
    assert not [each for each in check_data(mended).findings if each.id == "template_stop_words_unknown"]
    [row] = prepare(mended).train
    assert [label for label in row.labels if label != -100][-1] == recipe_tokenizer(mended).new_ids[0]


def test_adding_tokens_turns_resize_vocab_on_with_its_reason(tmp_path: Path) -> None:
    from trainer.config import Hardware, resolve

    hardware = Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2)
    for override, name in (
        ("add_tokens=<a>", "add_tokens"),
        ("new_special_tokens=<a>", "add_special_tokens"),
        ("new_special_tokens_config=a.yaml", "new_special_tokens_config"),
    ):
        resolved = resolve(
            load_preset("base", overrides=["model_name_or_path=x", "dataset=y", override]).recipe, hardware
        )
        assert resolved.recipe.model.resize_vocab
        assert resolved.chosen["model.resize_vocab"].reason == f"{name} adds to the vocabulary"


def test_an_adapter_with_a_broken_tokenizer_is_named(make_model: MakeModel, tmp_path: Path) -> None:
    from trainer.errors import UserError

    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "tokenizer.json").write_text(json.dumps({"added_tokens": [{"content": "<a>"}]}))
    with pytest.raises(UserError, match="the tokenizer of the adapter cannot be read"):
        recipe_tokenizer(with_tokens(make_model(), adapter_name_or_path=[str(adapter)]))
