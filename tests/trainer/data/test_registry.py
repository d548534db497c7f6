"""`dataset_info.json` and what its mistakes are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue
from trainer.data import list_datasets, prepare
from trainer.errors import UserError


@pytest.fixture
def refusal(tmp_path: Path, make_model: MakeModel, make_recipe: MakeRecipe):  # type: ignore[no-untyped-def]
    """The error for a data set name, given the content of dataset_info.json."""

    def refused(name: str, info: Any) -> UserError:
        recipe = make_recipe(make_model(), [dialogue("A", "B")], dataset=[name])
        text = info if isinstance(info, str) else json.dumps(info, indent=2)
        (tmp_path / "dataset_info.json").write_text(text, encoding="utf-8")
        with pytest.raises(UserError) as error:
            prepare(recipe)
        return error.value

    return refused


def test_broken_json_gives_line_and_column(refusal) -> None:  # type: ignore[no-untyped-def]
    error = refusal("mine", '{\n  "mine": {"file_name": "rows.jsonl"}\n  "other": {}\n}')
    assert error.line == 3
    assert "column 3" in str(error)
    assert str(error.file).endswith("dataset_info.json")


@pytest.mark.parametrize(
    ("name", "info", "text"),
    [
        ("identiti", {"identity": {"file_name": "rows.jsonl"}}, "Did you mean identity?"),
        ("zzz", {"identity": {"file_name": "rows.jsonl"}}, "Known: identity"),
        ("zzz", {}, "give the path of a .json or .jsonl file"),
        ("rows.json", {}, "dataset = 'rows.json': the data file does not exist"),
        ("x.csv", {}, "only .json and .jsonl files are read so far"),
        ("x.parquet", {"identity": {"file_name": "rows.jsonl"}}, "only .json and .jsonl files are read so far"),
        ("some/x.parquet", {}, "only .json and .jsonl files are read so far"),
        ("mine", {"mine": {"file_name": "../rows.txt"}}, "the data file does not exist"),
        ("rows.json", {}, "(dataset_dir = "),
        ("mine", {"mine": {"file_name": "row.jsonl"}}, "Did you mean rows.jsonl?"),
        ("mine", {"mine": {"script_url": "x"}}, "script_url runs foreign code and is refused"),
        ("mine", {"mine": {"hf_hub_url": "x"}}, "Hugging Face hub are not available yet"),
        ("mine", {"mine": {}}, "no file_name"),
        ("mine", {"mine": []}, "must be an object"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "formating": "alpaca"}}, "Did you mean formatting?"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "formatting": "chatml"}}, "expected alpaca, sharegpt or openai"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "columns": {"promt": "q"}}}, "Did you mean prompt?"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "columns": {"prompt": 3}}}, "must be text"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "columns": {"prompt": "q"}}}, "name no response"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "tags": {"role": "x"}}}, "Did you mean role_tag?"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "ranking": True}}, "a ranked data set"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "num_samples": 3}}, "Use max_samples in the recipe"),
        ("mine", [], "must be an object of data set names"),
    ],
)
def test_mistakes(refusal, name: str, info: Any, text: str) -> None:  # type: ignore[no-untyped-def]
    assert text in str(refusal(name, info))


def test_a_missing_file_is_named_with_every_place_where_it_was_looked_for(refusal, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    said = str(refusal("sub/none.jsonl", {}))
    assert f"{tmp_path}/sub/none.jsonl" in said
    assert f"{Path.cwd()}/sub/none.jsonl" in said


def test_a_folder_of_files_is_read_in_order(tmp_path: Path, make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for name in ("b.jsonl", "a.json"):
        (folder / name).write_text(json.dumps(dialogue(name, "B")), encoding="utf-8")
    recipe = make_recipe(make_model(), [], dataset=["many"])
    info = '{"many": {"file_name": "many"}}'
    for place in (tmp_path, folder):  # a registry in the folder is not a data file
        (place / "dataset_info.json").write_text(info, encoding="utf-8")
    sources = [Path(example.source.file).name for example in prepare(recipe).train]
    assert sources == ["a.json", "b.jsonl"]


def test_names_are_listed_in_order(tmp_path: Path) -> None:
    assert list_datasets(tmp_path) == ()
    (tmp_path / "dataset_info.json").write_text('{"b": {}, "a": {}}', encoding="utf-8")
    assert list_datasets(tmp_path) == ("b", "a")
