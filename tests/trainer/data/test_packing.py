"""Packing: every row exactly once, no sequence too long, as tight as best-fit decreasing, and true waste figures."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest

from trainer.data.packing import Blocks, OneByOne, pack_rows, padding_waste


def best_fit_decreasing(lengths: list[int], capacity: int) -> list[int]:
    """The filling of each sequence, by the textbook's loop."""
    filled: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [number for number, tokens in enumerate(filled) if tokens + length <= capacity]
        if fitting:
            filled[max(fitting, key=lambda number: filled[number])] += length
        else:
            filled.append(length)
    return sorted(filled)


@pytest.mark.parametrize("seed", range(20))
def test_packs_are_those_of_best_fit_decreasing(seed: int) -> None:
    chance = random.Random(seed)
    capacity = chance.randint(4, 80)
    lengths = [chance.randint(1, capacity) for _ in range(chance.randint(1, 200))]
    packs = pack_rows(lengths, capacity)
    assert sorted(packs.totals()) == best_fit_decreasing(lengths, capacity)
    assert sorted(row for number in range(len(packs)) for row in packs.rows_of(number)) == list(range(len(lengths)))
    assert all(
        sum(piece.end - piece.first for piece in packs.pieces(number)) == packs.totals()[number] <= capacity
        for number in range(len(packs))
    )


def test_sequences_and_their_rows_keep_the_order_of_the_data() -> None:
    packs = pack_rows([3, 6, 7, 2, 5, 1], 8)
    assert [packs.rows_of(number).tolist() for number in range(len(packs))] == [[0, 4], [1, 3], [2, 5]]
    assert [piece.row for piece in packs.pieces(1)] == [1, 3]


def test_a_row_that_is_too_long_is_never_left_out_in_silence() -> None:
    with pytest.raises(ValueError, match="row 1 has 9 tokens, more than the 8 of a sequence"):
        pack_rows([3, 9, 2], 8)


def test_nothing_to_pack() -> None:
    assert len(pack_rows([], 8)) == len(Blocks.of([], 8)) == 0


@pytest.mark.parametrize("lengths", [[5, 3, 12, 1, 0, 4], [8, 8], [1], [30], [3] * 7])
def test_blocks_hold_all_tokens_in_order(lengths: list[int]) -> None:
    tokens = [(row, position) for row, length in enumerate(lengths) for position in range(length)]
    blocks = Blocks.of(lengths, 8)
    found = [
        [(piece.row, position) for piece in blocks.pieces(number) for position in range(piece.first, piece.end)]
        for number in range(len(blocks))
    ]
    assert found == [tokens[first : first + 8] for first in range(0, len(tokens), 8)]
    assert all(piece.end > piece.first for number in range(len(blocks)) for piece in blocks.pieces(number))


def test_unpacked_rows_are_sequences_of_their_own() -> None:
    layout = OneByOne([4, 2])
    assert [layout.pieces(number) for number in range(len(layout))] == [[(0, 0, 4)], [(1, 0, 2)]]


def test_waste_is_what_random_batches_waste() -> None:
    chance = random.Random(3)
    lengths = [chance.randint(5, 90) for _ in range(400)]
    waste = padding_waste(lengths, 8, 64)
    cut = [min(length, 64) for length in lengths]
    padded = sum(8 * max(chance.sample(cut, 8)) for _ in range(20_000)) / 20_000
    assert waste.unpacked == pytest.approx(1 - 8 * sum(cut) / len(cut) / padded, abs=0.005)
    packs = pack_rows(cut, 64)
    assert waste.sequences == len(packs)
    assert waste.packed < 0.1 < waste.unpacked


def test_waste_of_one_batch_is_exact() -> None:
    assert padding_waste([2, 4, 6], 3, 100).unpacked == pytest.approx(1 - 12 / 18)
    assert padding_waste([2, 4, 6], 8, 100).unpacked == pytest.approx(1 - 12 / 18)
    assert padding_waste([5, 5, 5], 2, 100).unpacked == pytest.approx(0)
    assert padding_waste([2, 4, 6], 1, 100).unpacked == pytest.approx(0)
    assert padding_waste([], 4, 100) == padding_waste([0], 4, 100).__class__(0.0, 0.0, 0)


def test_long_sequences_of_many_short_rows() -> None:
    lengths = [7] * 1000
    packs = pack_rows(lengths, 700)
    assert list(accumulate([100] * 10, initial=0)) == packs.ends.tolist()
