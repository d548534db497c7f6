"""Encoded rows as the sequence that trainers take. Not for how they are kept (`row_store`), nor for batches
(`collate`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import overload

from trainer.data.encoded_row import EncodedRow, text_of, unpacked
from trainer.data.messages import SourceReference
from trainer.data.row_store import RowStore

NOT_TRAINED = -100
"""The label of a token that adds nothing to the loss."""


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """One row as the model gets it."""

    columns: Mapping[str, list[int]]
    """By stage as `encoded_row.COLUMNS` says."""
    source: SourceReference
    kto_tag: bool | None = None

    @classmethod
    def of(cls, row: EncodedRow) -> EncodedExample:
        """The tokens of a row as numbers."""
        return cls({name: unpacked(data) for name, data in row.columns.items()}, row.source, row.kto_tag)

    @property
    def input_ids(self) -> list[int]:
        """Stages sft and pt: all tokens of the row."""
        return self.columns["input_ids"]

    @property
    def labels(self) -> list[int]:
        """Stages sft and pt: for each token itself or NOT_TRAINED."""
        return self.columns["labels"]


class EncodedRows(Sequence[EncodedExample]):
    """A sequence of encoded rows of one or more data sets; a selection of it shares their columns."""

    def __init__(self, stores: Sequence[RowStore] = (), order: Sequence[int] | None = None) -> None:
        """`order` holds numbers of rows in all stores laid end to end; without it these are all rows."""
        self._stores = tuple(stores)
        self._firsts = list(accumulate((len(store) for store in stores), initial=0))
        self._order: Sequence[int] = range(self._firsts[-1]) if order is None else order

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> EncodedExample: ...

    @overload
    def __getitem__(self, index: slice) -> EncodedRows: ...

    def __getitem__(self, index: int | slice) -> EncodedExample | EncodedRows:
        if isinstance(index, slice):
            return self.select(range(*index.indices(len(self))))
        store, number = self._place(index)
        columns = {name: store.row(name, number).tolist() for name in store.columns}
        figures = store.figures_of(number)
        return EncodedExample(columns, figures.source, figures.kto_tag)

    def __iter__(self) -> Iterator[EncodedExample]:
        return (self[index] for index in range(len(self)))

    def select(self, indexes: Sequence[int]) -> EncodedRows:
        """The rows at `indexes`, in that order, without a copy of their tokens; an index may stand there twice."""
        return EncodedRows(self._stores, array("q", [self._order[index] for index in indexes]))

    def values(self, name: str, index: int) -> memoryview:
        """The tokens of one row in a column: int32, a view of the stored ones."""
        store, number = self._place(index)
        return store.row(name, number)

    def expected(self, index: int) -> str:
        """Stages that learn from own answers: the answer that a row expects; empty where it has none."""
        return text_of(self.values("expected", index))

    def kto_tag(self, index: int) -> bool | None:
        """Stage kto: whether the answer of a row is to be learned or avoided."""
        store, number = self._place(index)
        return store.figures_of(number).kto_tag

    def lengths(self) -> array[int]:
        """Tokens of each row; of a ranked one, of the prompt and the longer answer."""
        places = (self._place(index) for index in range(len(self)))
        return array("i", [store.length(number) for store, number in places])

    @property
    def token_count(self) -> int:
        """Tokens of all rows together."""
        return sum(self.lengths())

    def _place(self, index: int) -> tuple[RowStore, int]:
        """The store of a row, and its number in it."""
        number = self._order[index]
        if len(self._stores) == 1:
            return self._stores[0], number
        part = bisect_right(self._firsts, number) - 1
        return self._stores[part], number - self._firsts[part]


def held_rows(rows: int, size: float) -> int:
    """How many of `rows` rows `val_size` holds back: below 1 it is a fraction, else a count."""
    if not size:
        return 0
    return min(rows, int(size) if size >= 1 else max(1, round(rows * size)))
