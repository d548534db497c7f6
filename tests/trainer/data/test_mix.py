"""Mixing: the rows come in the order that `datasets.interleave_datasets` gives, and streams mix as files do."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from trainer.config import Recipe
from trainer.data.mix import Mixture, drawn_rows, mixed, mixed_rows

STOPPING = {
    "interleave_under": "first_exhausted",
    "interleave_over": "all_exhausted",
    "interleave_once": "all_exhausted_without_replacement",
}
LENGTHS = [(3, 4, 5), (5, 3, 4), (4, 4), (1, 9, 2), (7,), (40, 2500, 700)]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("strategy", STOPPING)
def test_the_order_is_that_of_the_datasets_library(strategy: str, weighted: bool, lengths: tuple[int, ...]) -> None:
    from datasets import Dataset, interleave_datasets

    probabilities = tuple(float(number + 1) / sum(range(1, len(lengths) + 1)) for number in range(len(lengths)))
    starts = [sum(lengths[:number]) for number in range(len(lengths))]
    sets = [
        Dataset.from_dict({"row": list(range(start, start + count))})
        for start, count in zip(starts, lengths, strict=True)
    ]
    theirs = interleave_datasets(
        sets,
        probabilities=list(probabilities) if weighted else None,
        seed=11,
        stopping_strategy=STOPPING[strategy],
    )
    mixture = Mixture(strategy, probabilities if weighted else (), seed=11)
    assert mixed_rows(lengths, mixture).tolist() == theirs["row"][:]


def test_concat_takes_one_set_after_the_other() -> None:
    assert mixed_rows((2, 0, 3), Mixture()).tolist() == [0, 1, 2, 3, 4]


def test_the_seed_decides_what_is_drawn() -> None:
    first, again, other = (
        mixed_rows((50, 50), Mixture("interleave_over", (0.5, 0.5), seed)).tolist() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_probabilities_are_kept_to() -> None:
    rows = mixed_rows((100_000, 100_000), Mixture("interleave_under", (0.8, 0.2), 3))
    share = sum(row < 100_000 for row in rows) / len(rows)
    assert share == pytest.approx(0.8, abs=0.01)


def test_interleave_once_takes_each_row_once_and_over_takes_none_less() -> None:
    once = mixed_rows((6, 2, 4), Mixture("interleave_once", (0.2, 0.5, 0.3), 5))
    assert sorted(once) == list(range(12))
    over = Counter(mixed_rows((6, 2, 4), Mixture("interleave_over", (0.2, 0.5, 0.3), 5)))
    assert set(over) == set(range(12))
    assert max(over.values()) > 1


def test_a_set_without_rows_ends_under_and_is_passed_over_by_the_others() -> None:
    assert mixed_rows((0, 3), Mixture("interleave_under")).tolist() == []
    for strategy in ("interleave_over", "interleave_once"):
        assert mixed_rows((0, 3), Mixture(strategy)).tolist() == [0, 1, 2]
        assert mixed_rows((0, 3), Mixture(strategy, (0.5, 0.5))).tolist() == [0, 1, 2]
    assert mixed_rows((0, 0), Mixture("interleave_over")).tolist() == []


def test_a_stream_is_read_only_as_far_as_it_is_taken() -> None:
    read: list[int] = []

    def endless() -> object:
        number = 0
        while True:
            read.append(number)
            yield number
            number += 1

    taken = list(islice(mixed([endless, endless], Mixture("interleave_over")), 10))  # type: ignore[list-item]
    assert taken == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert len(read) <= 12


def test_rows_drawn_at_random_come_once_before_any_comes_again() -> None:
    assert sorted(drawn_rows(10, 10, 7)) == list(range(10))
    assert len(set(drawn_rows(10, 4, 7))) == 4
    assert drawn_rows(10, 4, 7) == drawn_rows(10, 4, 7) != drawn_rows(10, 4, 8)
    assert Counter(Counter(drawn_rows(10, 25, 7)).values()) == {2: 5, 3: 5}
    assert drawn_rows(0, 5, 7) == []


def test_a_recipe_says_how_to_mix() -> None:
    recipe = Recipe().with_values(
        {"data.mix_strategy": "interleave_once", "data.interleave_probs": [0.25, 0.75], "train.seed": 9}
    )
    assert Mixture.of(recipe) == Mixture("interleave_once", (0.25, 0.75), 9)
