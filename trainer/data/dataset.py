"""Encoded rows in flat integer columns, four bytes a token. Not for making them, and not for batches (`collate`)."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from trainer.data.messages import SourceReference

NOT_TRAINED = -100
"""The label of a token that adds nothing to the loss."""


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """One row as the model gets it; `labels` are the ids themselves or NOT_TRAINED."""

    input_ids: list[int]
    labels: list[int]
    source: SourceReference


class EncodedRows(Sequence[EncodedExample]):
    """A sequence of encoded rows; a selection of it shares the columns."""

    def __init__(self) -> None:
        self._ids = array("i")
        self._labels = array("i")
        self._ends = array("q", [0])
        self._files: list[str] = []
        self._places = array("i")
        self._order: Sequence[int] = range(0)

    def append(self, input_ids: Sequence[int], trained: Sequence[tuple[int, int]], source: SourceReference) -> None:
        """Adds a row; `trained` holds the (first, end) positions of the tokens that are learned."""
        ids = array("i", input_ids)
        labels = array("i", (NOT_TRAINED,)) * len(ids)
        for first, end in trained:
            labels[first:end] = ids[first:end]
        self._ids.extend(ids)
        self._labels.extend(labels)
        self._ends.append(len(self._ids))
        if not self._files or self._files[-1] != source.file:
            self._files.append(source.file)
        self._places.extend((len(self._files) - 1, source.row, source.line))
        self._order = range(len(self._ends) - 1)

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> EncodedExample: ...

    @overload
    def __getitem__(self, index: slice) -> EncodedRows: ...

    def __getitem__(self, index: int | slice) -> EncodedExample | EncodedRows:
        if isinstance(index, slice):
            return self.select(range(*index.indices(len(self))))
        number = self._order[index]
        start, end = self._ends[number], self._ends[number + 1]
        file, row, line = self._places[3 * number : 3 * number + 3]
        source = SourceReference(self._files[file], row, line)
        return EncodedExample(self._ids[start:end].tolist(), self._labels[start:end].tolist(), source)

    def __iter__(self) -> Iterator[EncodedExample]:
        return (self[index] for index in range(len(self)))

    def select(self, indexes: Sequence[int]) -> EncodedRows:
        """The rows at `indexes`, in that order, without a copy of their tokens."""
        chosen = EncodedRows()
        chosen._ids, chosen._labels, chosen._ends = self._ids, self._labels, self._ends
        chosen._files, chosen._places = self._files, self._places
        chosen._order = array("q", [self._order[index] for index in indexes])
        return chosen

    def lengths(self) -> array[int]:
        """Tokens of each row."""
        return array("i", [self._ends[number + 1] - self._ends[number] for number in self._order])

    @property
    def token_count(self) -> int:
        """Tokens of all rows together."""
        return sum(self.lengths())

    def columns(self) -> tuple[array[int], array[int], array[int]]:
        """The ids, the labels, and where each row ends in them (beginning with 0), in this sequence's order."""
        if isinstance(self._order, range) and len(self._order) == len(self._ends) - 1:
            return self._ids, self._labels, self._ends
        ids, labels, ends = array("i"), array("i"), array("q", [0])
        for number in self._order:
            start, end = self._ends[number], self._ends[number + 1]
            ids.extend(self._ids[start:end])
            labels.extend(self._labels[start:end])
            ends.append(len(ids))
        return ids, labels, ends

    def split(self, size: float, seed: int) -> tuple[EncodedRows, EncodedRows]:
        """Two parts, (rest, held back): `size` below 1 is a fraction, else a count. The same seed holds back the same
        rows; both parts keep their order.
        """
        count = held_rows(len(self), size)
        held = set(random.Random(seed).sample(range(len(self)), count))
        rest = [index for index in range(len(self)) if index not in held]
        return self.select(rest), self.select(sorted(held))


def held_rows(rows: int, size: float) -> int:
    """How many of `rows` rows `val_size` holds back: below 1 it is a fraction, else a count."""
    if not size:
        return 0
    return min(rows, int(size) if size >= 1 else max(1, round(rows * size)))
