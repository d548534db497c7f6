"""Encoded rows as they are kept: in memory, in files, sent between processes, and as one sequence of several sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from trainer.data import EncodedRows, SourceReference
from trainer.data.encoded_row import EncodedRow, pack_figures, packed, unpack_figures
from trainer.data.messages import BadRow
from trainer.data.row_store import (
    MANIFEST,
    BadRowCounter,
    BrokenStoreError,
    Reading,
    RowStore,
    RowStoreWriter,
    open_store,
    read_key,
)

COLUMNS = ("input_ids", "labels")


def made_row(number: int, file: str = "a.jsonl", *, left_out: str = "") -> EncodedRow:
    """A row of `number` tokens."""
    ids = packed(range(number, 2 * number))
    columns = {} if left_out else {"input_ids": ids, "labels": ids}
    return EncodedRow(
        SourceReference(file, number + 1, number + 2),
        number,
        number,
        number,
        -number,
        7,
        left_out,
        True,
        False,
        None,
        columns=columns,
    )


def made_store(numbers: Sequence[int], folder: Path | None = None, file: str = "a.jsonl") -> RowStore:
    writer = RowStoreWriter(COLUMNS, folder)
    for number in numbers:
        writer.append(made_row(number, file))
    bad = BadRowCounter()
    bad.add(
        BadRow(
            "invalid_json", "not valid: é\udc80".encode("utf-8", "replace").decode(), "mend", SourceReference(file, 9)
        )
    )
    return writer.finish(Reading("alpaca", bad.counts()), {"made": "of"})


def all_of(store: RowStore) -> list[tuple[list[int], list[int], object]]:
    rows = EncodedRows([store])
    return [(row.input_ids, row.labels, row.source) for row in rows]


@pytest.mark.parametrize("numbers", [[3, 0, 5], [], [0]])
def test_rows_come_back_from_memory_files_and_other_processes(numbers: list[int], tmp_path: Path) -> None:
    in_memory = made_store(numbers)
    expected = [
        (list(range(n, 2 * n)), list(range(n, 2 * n)), SourceReference("a.jsonl", n + 1, n + 2)) for n in numbers
    ]
    made_store(numbers, tmp_path)
    for store in (in_memory, open_store(tmp_path), RowStore.from_bytes(in_memory.to_bytes())):
        assert all_of(store) == expected
        assert store.reading == in_memory.reading
        assert [figures.labels_lost for figures in store.all_figures()] == [7] * len(numbers)
    assert read_key(tmp_path) == {"made": "of"}


def test_figures_keep_everything() -> None:
    for left_out in ("", "long", "no_room", "unlabelled"):
        for tag in (None, True, False):
            row = made_row(4, left_out=left_out)
            row.kto_tag, row.end_lost, row.endless = tag, tag is None, tag is True
            found = unpack_figures(pack_figures(row, 1), ("other", "a.jsonl"))
            for name in ("source", "full_length", "length", "trained_count", "text_hash", "labels_lost", "left_out"):
                assert getattr(found, name) == getattr(row, name)
            assert (found.end_lost, found.endless, found.kto_tag) == (row.end_lost, row.endless, row.kto_tag)


def test_a_row_that_is_left_out_leaves_its_figures_alone() -> None:
    writer = RowStoreWriter(COLUMNS)
    for number, left_out in ((2, ""), (3, "long"), (4, "")):
        writer.append(made_row(number, left_out=left_out))
    store = writer.finish(Reading("x"))
    assert [row.input_ids[0] for row in EncodedRows([store])] == [2, 4]
    assert [row.source.row for row in EncodedRows([store])] == [3, 5]
    assert [figures.left_out for figures in store.all_figures()] == ["", "long", ""]


def test_stores_are_joined_with_their_files() -> None:
    writer = RowStoreWriter(COLUMNS)
    for store in (
        made_store([1, 2], file="a"),
        made_store([3], file="b"),
        made_store([], file="c"),
        made_store([4], file="a"),
    ):
        writer.extend(store)
    rows = EncodedRows([writer.finish(Reading("x"))])
    assert [(row.source.file, len(row.input_ids)) for row in rows] == [("a", 1), ("a", 2), ("b", 3), ("a", 4)]


def test_large_columns_move_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.data.row_store._MEMORY_LIMIT", 100)
    monkeypatch.setattr("trainer.data.row_store._WRITE_SIZE", 64)
    numbers = list(range(60))
    rows = EncodedRows([made_store(numbers)])
    assert rows.lengths().tolist() == numbers
    assert rows[59].input_ids == list(range(59, 118))


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "manifest"])
def test_damage_is_noticed(damage: str, tmp_path: Path) -> None:
    made_store([3, 4], tmp_path)
    file = tmp_path / ("input_ids.values" if damage != "manifest" else MANIFEST)
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(data[:-1] if damage != "changed" else bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(BrokenStoreError):
        open_store(tmp_path)


def test_several_sets_are_one_sequence() -> None:
    both = EncodedRows([made_store([1, 2, 3]), made_store([]), made_store([4, 5], file="b")])
    assert [len(row.input_ids) for row in both] == both.lengths().tolist() == [1, 2, 3, 4, 5]
    assert [row.source.file for row in both] == ["a.jsonl"] * 3 + ["b"] * 2
    repeated = both.select([4, 4, 2])
    assert [repeated.values("labels", index).tolist() for index in range(3)] == [[5, 6, 7, 8, 9]] * 2 + [[3, 4, 5]]
    assert repeated.token_count == 13
    assert len(EncodedRows()) == 0
    assert list(both[1:3]) == [both[1], both[2]]


def test_the_tokens_of_a_row_are_not_copied() -> None:
    store = made_store([1, 2, 3])
    assert EncodedRows([store]).select([2]).values("labels", 0).obj is store.values["labels"].obj


def test_bad_rows_are_counted_in_the_order_of_their_reasons() -> None:
    counter = BadRowCounter()
    for number, reason in enumerate("abaaab"):
        counter.add(BadRow(reason, "text", "hint", SourceReference("f", number)))
    found = [(item.count, [row.source.row for row in item.examples]) for item in counter.counts()]
    assert found == [(4, [0, 2, 3]), (2, [1, 5])]
