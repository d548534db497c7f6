"""Batches of rows with two answers: every token in its place, and foreign answers for judged rows."""

from __future__ import annotations

import numpy
import torch

from trainer.data.collate_answers import AnswerCollator, AnswerRows
from trainer.data.dataset import EncodedRows
from trainer.data.encoded_row import EncodedRow, packed
from trainer.data.messages import SourceReference
from trainer.data.row_store import Reading, RowStoreWriter


def rows(columns: dict[str, list[list[int]]], tags: list[bool] | None = None) -> EncodedRows:
    """Encoded rows of these tokens."""
    writer = RowStoreWriter(tuple(columns))
    count = len(next(iter(columns.values())))
    for number in range(count):
        row = EncodedRow(SourceReference("rows.jsonl", number + 1), 9, 9, 3, number)
        row.columns = {name: packed(values[number]) for name, values in columns.items()}
        row.kto_tag = None if tags is None else tags[number]
        writer.append(row)
    return EncodedRows([writer.finish(Reading("test"))])


def test_better_answers_come_first_and_prompts_are_not_learned() -> None:
    data = AnswerRows(
        rows({"prompt_ids": [[1, 2], [3]], "chosen_ids": [[4], [5, 6]], "rejected_ids": [[7, 8], [9]]}), judged=False
    )
    batch = AnswerCollator(0, 16, pad_to_multiple_of=4)([data[0], data[1]])
    assert batch["input_ids"].tolist() == [[1, 2, 4, 0], [3, 5, 6, 0], [1, 2, 7, 8], [3, 9, 0, 0]]
    assert batch["labels"].tolist() == [
        [-100, -100, 4, -100],
        [-100, 5, 6, -100],
        [-100, -100, 7, 8],
        [-100, 9, -100, -100],
    ]
    assert batch["attention_mask"].sum(1).tolist() == [3, 3, 4, 2]
    assert set(batch) == {"input_ids", "labels", "attention_mask"}


def test_every_judged_row_gets_the_answer_of_another_one_always_the_same() -> None:
    count = 20
    columns = {"prompt_ids": [[100 + n] for n in range(count)], "completion_ids": [[n] for n in range(count)]}
    encoded = rows(columns, [n % 3 > 0 for n in range(count)])
    data, again, other = (AnswerRows(encoded, judged=True, seed=seed) for seed in (1, 1, 2))
    foreign = [int(data[n]["second"][0]) for n in range(count)]
    assert sorted(foreign) == list(range(count))
    assert all(number != answer for number, answer in enumerate(foreign))
    assert foreign == [int(again[n]["second"][0]) for n in range(count)]
    assert foreign != [int(other[n]["second"][0]) for n in range(count)]
    assert [data[n]["good"] for n in range(4)] == [False, True, True, False]


def test_a_foreign_answer_is_cut_where_the_window_ends_and_the_reference_rides_along() -> None:
    columns = {"prompt_ids": [[1, 2, 3], [4]], "completion_ids": [[5], [6, 7, 8]]}
    data = AnswerRows(rows(columns, [True, False]), judged=True)
    data.reference = torch.tensor([[0.5, 1.5], [2.5, 3.5]])
    batch = AnswerCollator(0, cutoff_len=4)([data[0], data[1]])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 5], [4, 6, 7, 8]]
    assert batch["other_input_ids"].tolist() == [[1, 2, 3, 6], [4, 5, 0, 0]]
    assert batch["other_labels"].tolist() == [[-100, -100, -100, 6], [-100, 5, -100, -100]]
    assert batch["good"].tolist() == [True, False]
    assert batch["reference"].tolist() == [[0.5, 1.5], [2.5, 3.5]]
    assert isinstance(data[0]["prompt"], numpy.ndarray)
