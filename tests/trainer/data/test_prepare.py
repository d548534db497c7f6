"""From a recipe to the rows of a run: mixtures, drawn samples, held-back rows, evaluation for each data set."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue
from trainer.config import Recipe
from trainer.data import EncodedRows, prepare
from trainer.data.collate import TokenSequences
from trainer.data.mix import Mixture, mixed_rows
from trainer.errors import UserError

SIZES = {"small": 3, "middle": 5, "large": 9}
MakeSets = Callable[..., Recipe]


@pytest.fixture
def sets(tmp_path: Path, make_model: MakeModel, make_recipe: MakeRecipe) -> MakeSets:
    """A recipe over registered sets of SIZES; `entries` adds keys to their entries."""
    for name, size in SIZES.items():
        rows = [dialogue(f"Question {number} of {name}?", "Yes.") for number in range(size)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = make_model()

    def make(
        *, entries: dict[str, dict[str, Any]] | None = None, train: dict[str, Any] | None = None, **data: Any
    ) -> Recipe:
        info = {name: {"file_name": f"{name}.jsonl", **(entries or {}).get(name, {})} for name in SIZES}
        for name, entry in info.items():
            entry.setdefault("formatting", "sharegpt")
            entry["columns"] = {"messages": "messages"}
            entry["tags"] = {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
            }
            info[name] = entry
        (tmp_path / "dataset_info.json").write_text(json.dumps(info))
        recipe = make_recipe(model, [], **{"dataset": list(SIZES), **data})
        return recipe.with_values({f"train.{key}": value for key, value in (train or {}).items()})

    return make


def places(rows: EncodedRows | None) -> list[tuple[str, int]]:
    """Set and row number of each row."""
    assert rows is not None
    return [(Path(row.source.file).stem, row.source.row) for row in rows]


def every(names: Sequence[str] = tuple(SIZES)) -> list[tuple[str, int]]:
    return [(name, row) for name in names for row in range(1, SIZES[name] + 1)]


def test_concat_is_one_set_after_the_other(sets: MakeSets) -> None:
    assert places(prepare(sets()).train) == every()


@pytest.mark.parametrize("probabilities", [(), (0.2, 0.3, 0.5)])
@pytest.mark.parametrize("strategy", ["interleave_under", "interleave_over", "interleave_once"])
def test_sets_are_mixed_as_the_recipe_says(sets: MakeSets, strategy: str, probabilities: tuple[float, ...]) -> None:
    recipe = sets(mix_strategy=strategy, interleave_probs=list(probabilities), train={"seed": 5})
    order = mixed_rows(tuple(SIZES.values()), Mixture(strategy, probabilities, 5))
    assert places(prepare(recipe).train) == [every()[row] for row in order]


def test_a_mixture_needs_rows_of_every_set(sets: MakeSets, tmp_path: Path) -> None:
    recipe = sets(mix_strategy="interleave_over", on_bad_row="skip")
    (tmp_path / "middle.jsonl").write_text('{"messages": []}\n')
    with pytest.raises(UserError, match="none of the rows of middle can be used, so that there is nothing to mix with"):
        prepare(recipe)
    assert len(prepare(recipe.with_values({"data.mix_strategy": "concat"})).train) == 12


def test_each_set_is_limited(sets: MakeSets) -> None:
    assert Counter(name for name, _ in places(prepare(sets(max_samples=4)).train)) == {
        "small": 3,
        "middle": 4,
        "large": 4,
    }


def test_an_entry_asks_for_a_number_of_rows(sets: MakeSets) -> None:
    entries = {"small": {"num_samples": 7}, "large": {"num_samples": 4}}
    train = places(prepare(sets(entries=entries)).train)
    counts = Counter(train)
    assert Counter(name for name, _ in train) == {"small": 7, "middle": 5, "large": 4}
    assert {counts["small", row] for row in (1, 2, 3)} == {2, 3}
    assert max(counts["large", row] for row in range(1, 10)) == 1
    assert places(prepare(sets(entries=entries)).train) == train
    assert places(prepare(sets(entries=entries, train={"seed": 1})).train) != train
    limited = prepare(sets(entries=entries, max_samples=2)).train
    assert Counter(name for name, _ in places(limited)) == dict.fromkeys(SIZES, 2)


def test_rows_held_back_are_never_trained_on_however_often_the_mixture_repeats_them(sets: MakeSets) -> None:
    prepared = prepare(sets(mix_strategy="interleave_over", val_size=6))
    train, held = places(prepared.train), places(prepared.evaluation)
    assert len(held) == len(set(held)) == 6
    assert not set(train) & set(held)
    assert set(train) | set(held) == set(every())
    assert max(Counter(train).values()) > 1


def test_evaluation_rows_by_their_set(sets: MakeSets) -> None:
    together = prepare(sets(dataset=["large"], eval_dataset=["small", "middle"]))
    assert places(together.evaluation) == every(("small", "middle"))
    assert together.evaluation_sets == {}
    apart = prepare(sets(dataset=["large"], eval_dataset=["small", "middle"], eval_on_each_dataset=True))
    assert places(apart.evaluation) == every(("small", "middle"))
    assert {name: places(rows) for name, rows in apart.evaluation_sets.items()} == {
        name: every((name,)) for name in ("small", "middle")
    }


def test_held_back_rows_by_their_set(sets: MakeSets) -> None:
    prepared = prepare(sets(val_size=8, eval_on_each_dataset=True))
    found = {name: places(rows) for name, rows in prepared.evaluation_sets.items()}
    assert all(name == place[0] for name, rows in found.items() for place in rows)
    assert sorted(place for rows in found.values() for place in rows) == sorted(places(prepared.evaluation))


def test_sets_have_names_that_can_stand_in_the_name_of_a_figure(sets: MakeSets, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "small.jsonl").write_text((tmp_path / "small.jsonl").read_text())
    names = ["small", str(other / "small.jsonl"), str(tmp_path / "middle.jsonl")]
    prepared = prepare(sets(dataset=["large"], eval_dataset=names, eval_on_each_dataset=True))
    assert list(prepared.evaluation_sets) == ["small", "small_2", "middle"]


def test_a_stream_is_not_read_before_the_training(sets: MakeSets) -> None:
    prepared = prepare(sets(streaming=True))
    assert prepared.stream is not None
    assert len(prepared.train) == prepared.report.rows_read == 0
    assert prepared.evaluation is None


def test_the_first_rows_of_a_stream_are_held_back(sets: MakeSets) -> None:
    prepared = prepare(sets(streaming=True, val_size=4, mix_strategy="interleave_once"))
    assert places(prepared.evaluation) == [("small", 1), ("middle", 1), ("large", 1), ("small", 2)]
    assert prepared.stream is not None
    assert {row.source for row in prepared.evaluation or ()} == prepared.stream.held
    with pytest.raises(UserError, match=r"val_size = 17: leaves no rows to train on \(there are 17\)"):
        prepare(sets(streaming=True, val_size=17))


def test_a_stream_cannot_draw_a_number_of_rows(sets: MakeSets) -> None:
    with pytest.raises(UserError, match="small asks for num_samples, which a stream cannot draw"):
        prepare(sets(entries={"small": {"num_samples": 2}}, streaming=True))


def test_running_text_is_never_cut_off_where_packing_cuts_it_up(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    from trainer.stages.sft import evaluation_sequences, training_sequences

    texts = [{"text": f"{number} " + "word " * (10 * number)} for number in range(12)]
    recipe = make_recipe(make_model(), texts, cutoff_len=32, val_size=2).with_values({"method.stage": "pt"})
    prepared = prepare(recipe)
    every = [token for row in prepared.train for token in row.input_ids]
    assert max(len(row.input_ids) for row in prepared.train) > 32
    assert prepared.report.truncated == 0
    sequences = training_sequences(prepared, recipe)
    assert isinstance(sequences, TokenSequences)
    found = [list(example["input_ids"]) for example in sequences]
    assert [len(ids) for ids in found[:-1]] == [32] * (len(every) // 32)
    assert [token for ids in found for token in ids] == every
    assert all(list(example["labels"]) == list(example["input_ids"]) for example in sequences)
    held = evaluation_sequences(prepared, recipe)
    assert isinstance(held, TokenSequences)
    assert max(len(example["input_ids"]) for example in held) <= 32
    unpacked = prepare(recipe.with_values({"data.packing": False}))
    assert max(len(row.input_ids) for row in unpacked.train) == 32
