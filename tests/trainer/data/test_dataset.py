"""The prepared rows as a whole: several sets, limits, held-back rows, counts, batches, and no torch."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue
from trainer.data import fingerprint, prepare
from trainer.data.lengths import Lengths
from trainer.errors import UserError

ROWS = [dialogue(f"Question {number}?", "Yes. " * (number + 1)) for number in range(20)]


@pytest.fixture
def second_file(tmp_path: Path) -> str:
    """Another data file."""
    file = tmp_path / "more.json"
    file.write_text(json.dumps(ROWS[:5]), encoding="utf-8")
    return str(file)


def test_data_sets_follow_each_other_and_are_limited_each(
    make_model: MakeModel, make_recipe: MakeRecipe, second_file: str, tmp_path: Path
) -> None:
    names = [str(tmp_path / "rows.jsonl"), second_file]
    prepared = prepare(make_recipe(make_model(), ROWS, dataset=names, max_samples=3))
    assert [(Path(row.source.file).name, row.source.row) for row in prepared.train] == [
        (name, row) for name in ("rows.jsonl", "more.json") for row in (1, 2, 3)
    ]
    assert [(item.rows_read, item.rows_used) for item in prepared.report.datasets] == [(3, 3), (3, 3)]
    assert prepared.report.duplicates == 3
    assert "data_duplicates" in [finding.id for finding in prepared.report.findings()]
    assert len(prepare(make_recipe(tmp_path / "model", ROWS), limit_rows=7).train) == 7


@pytest.mark.parametrize(("size", "held"), [(0.1, 2), (0.01, 1), (4, 4)])
def test_held_back_rows(make_model: MakeModel, make_recipe: MakeRecipe, size: float, held: int) -> None:
    recipe = make_recipe(make_model(), ROWS, val_size=size)
    first, again = prepare(recipe), prepare(recipe)
    assert first.evaluation is not None
    assert again.evaluation is not None
    assert len(first.evaluation) == held
    kept = [row.source.row for row in first.train]
    chosen = [row.source.row for row in first.evaluation]
    assert chosen == [row.source.row for row in again.evaluation]
    assert kept == sorted(kept)
    assert sorted(kept + chosen) == list(range(1, 21))
    other = prepare(recipe.with_values({"train.seed": 7, "data.val_size": 4})).evaluation
    assert other is not None
    assert chosen != [row.source.row for row in other]


def test_holding_back_everything_is_refused(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    with pytest.raises(UserError, match=r"val_size = 20.0: leaves no rows to train on \(there are 20\)"):
        prepare(make_recipe(make_model(), ROWS, val_size=20))


def test_evaluation_data_of_its_own(make_model: MakeModel, make_recipe: MakeRecipe, second_file: str) -> None:
    prepared = prepare(make_recipe(make_model(), ROWS, eval_dataset=[second_file]))
    assert prepared.evaluation is not None
    assert prepared.evaluation_report is not None
    assert (len(prepared.train), len(prepared.evaluation)) == (20, 5)
    assert prepared.evaluation_report.rows_read == 5


def test_without_evaluation(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    assert prepare(make_recipe(make_model(), ROWS)).evaluation is None


def test_rows_are_a_sequence(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    train = prepare(make_recipe(make_model(), ROWS)).train
    assert train[-1] == train[19]
    assert list(train[5:8]) == [train[5], train[6], train[7]]
    assert [row.source.row for row in train.select([3, 1])] == [4, 2]
    assert list(train[2:10].select([0, 1])) == [train[2], train[3]]
    assert train.lengths().tolist() == [len(row.input_ids) for row in train]
    with pytest.raises(IndexError):
        train[20]


def test_counts_are_those_of_the_rows(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    done: list[tuple[int, int | None]] = []
    recipe = make_recipe(make_model(), ROWS, preprocessing_batch_size=8)
    prepared = prepare(recipe, progress=lambda rows, total: done.append((rows, total)))
    report, lengths = prepared.report, sorted(len(row.input_ids) for row in prepared.train)
    assert (report.rows_read, report.rows_used, report.rows_bad) == (20, 20, 0)
    assert report.tokens == prepared.train.token_count == sum(lengths)
    assert report.trained_tokens == sum(label != -100 for row in prepared.train for label in row.labels)
    assert report.lengths == Lengths(lengths[0], lengths[9], lengths[18], lengths[19], lengths[19])
    assert done == [(8, 20), (16, 20), (20, 20)]
    assert report.findings() == []


def test_fingerprints_are_those_of_the_files(make_model: MakeModel, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(make_model(), ROWS)
    file = tmp_path / "rows.jsonl"
    [found] = fingerprint(recipe)
    assert (found.path, found.size) == (str(file), file.stat().st_size)
    assert found.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_no_torch() -> None:
    heavy = (
        "torch",
        "transformers",
        "trl",
        "peft",
        "datasets",
        "numpy",
        "pandas",
        "pyarrow",
        "textual",
        "huggingface_hub",
    )
    code = f"import sys, trainer.data; print([name for name in {heavy} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
