"""Sequences and batches: exactly the tokens of the rows, packed or not, with what tells rows apart."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.data import EncodedRows
from trainer.data.collate import IsolatingCollator, PaddingCollator, TokenSequences
from trainer.data.encoded_row import COLUMNS, EncodedRow, packed
from trainer.data.messages import SourceReference
from trainer.data.packing import Blocks, pack_rows
from trainer.data.row_store import Reading, RowStoreWriter

PAD = 99
LENGTHS = [3, 6, 7, 2, 5, 1]


@pytest.fixture
def rows() -> EncodedRows:
    """Rows of LENGTHS; row 2 begins 21, 22, 23; all but the first token are learned, in the last row all."""
    writer = RowStoreWriter(COLUMNS["sft"])
    for number, length in enumerate(LENGTHS):
        ids = [10 * number + position + 1 for position in range(length)]
        labels = ids if number == 5 else [-100, *ids[1:]]
        columns = {"input_ids": packed(ids), "labels": packed(labels)}
        writer.append(EncodedRow(SourceReference("rows.jsonl", number + 1), length, length, 0, 0, columns=columns))
    return EncodedRows([writer.finish(Reading("alpaca"))])


def listed(example: dict[str, Any]) -> tuple[list[int], list[int], list[int]]:
    return list(example["input_ids"]), list(example["labels"]), list(example["starts"])


def test_unpacked_sequences_are_the_rows(rows: EncodedRows) -> None:
    for chosen in (rows, rows.select([4, 1, 1]), rows[2:5]):
        sequences = TokenSequences(chosen)
        assert [listed(example) for example in sequences] == [(row.input_ids, row.labels, [0]) for row in chosen]
    with pytest.raises(IndexError):
        TokenSequences(rows)[len(rows)]


def test_packed_sequences_are_rows_end_to_end(rows: EncodedRows) -> None:
    sequences = TokenSequences(rows, pack_rows(rows.lengths(), 8))
    assert [listed(example) for example in sequences] == [
        ([1, 2, 3, 41, 42, 43, 44, 45], [-100, 2, 3, -100, 42, 43, 44, 45], [0, 3]),
        ([11, 12, 13, 14, 15, 16, 31, 32], [-100, 12, 13, 14, 15, 16, -100, 32], [0, 6]),
        # The first token of the second row is learned alone, but not from a row that has nothing to do with it.
        ([21, 22, 23, 24, 25, 26, 27, 51], [-100, 22, 23, 24, 25, 26, 27, -100], [0, 7]),
    ]


def test_running_text_is_cut_into_blocks_and_learned_across_its_rows(rows: EncodedRows) -> None:
    every = [token for row in rows for token in row.input_ids]
    blocks = Blocks.of(rows.lengths(), 10)
    sequences = TokenSequences(rows, blocks, learns_across=True)
    found = [list(example["input_ids"]) for example in sequences]
    assert found == [every[:10], every[10:20], every[20:]]
    labels = [label for row in rows for label in row.labels]
    assert [label for example in sequences for label in example["labels"]] == labels
    assert [list(example["starts"]) for example in sequences] == [[0, 3, 9], [0, 6, 8], [0, 3]]


def test_a_padded_batch(rows: EncodedRows) -> None:
    sequences = TokenSequences(rows)
    batch = PaddingCollator(PAD)([sequences[0], sequences[4]])
    assert batch["input_ids"].tolist() == [[1, 2, 3, PAD, PAD], [41, 42, 43, 44, 45]]
    assert batch["labels"].tolist() == [[-100, 2, 3, -100, -100], [-100, 42, 43, 44, 45]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    rounded = PaddingCollator(PAD, pad_to_multiple_of=8, ignore_padding=False)([sequences[0], sequences[4]])
    assert tuple(rounded["input_ids"].shape) == (2, 8)
    assert rounded["labels"][0].tolist() == [-100, 2, 3, *[PAD] * 5]
    assert rounded["attention_mask"].sum(1).tolist() == [3, 5]


def test_an_isolating_batch_counts_positions_anew_in_each_row(rows: EncodedRows) -> None:
    sequences = TokenSequences(rows, pack_rows(rows.lengths()[:4], 9))
    assert [example["starts"] for example in sequences] == [[0, 3], [0, 7]]
    batch = IsolatingCollator(PAD, pad_to_multiple_of=4)(list(sequences))
    assert sorted(batch) == ["input_ids", "labels", "position_ids"]
    assert batch["input_ids"].tolist() == [
        [1, 2, 3, 11, 12, 13, 14, 15, 16, PAD, PAD, PAD],
        [21, 22, 23, 24, 25, 26, 27, 31, 32, PAD, PAD, PAD],
    ]
    assert batch["position_ids"].tolist() == [
        [0, 1, 2, 0, 1, 2, 3, 4, 5, 0, 1, 2],
        [0, 1, 2, 3, 4, 5, 6, 0, 1, 0, 1, 2],
    ]
    assert batch["labels"].tolist() == [
        [-100, 2, 3, -100, 12, 13, 14, 15, 16, -100, -100, -100],
        [-100, 22, 23, 24, 25, 26, 27, -100, 32, -100, -100, -100],
    ]


def test_a_flat_batch_is_one_sequence(rows: EncodedRows) -> None:
    sequences = TokenSequences(rows)
    batch = IsolatingCollator(PAD, pad_to_multiple_of=8, flat=True)([sequences[0], sequences[5], sequences[4]])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 51, 41, 42, 43, 44, 45, *[PAD] * 7]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6]]
    assert batch["labels"].tolist() == [[-100, 2, 3, -100, -100, 42, 43, 44, 45, *[-100] * 7]]


def test_rows_need_not_be_told_where_they_start() -> None:
    plain = {"input_ids": [5, 6], "labels": [5, 6]}
    batch = IsolatingCollator(PAD, flat=True)([plain, plain])
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1]]
    assert batch["labels"].tolist() == [[-100, 6, -100, 6]]
    assert PaddingCollator(PAD)([plain])["labels"].tolist() == [[5, 6]]
