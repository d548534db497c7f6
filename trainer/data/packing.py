"""Which rows go together into one sequence, from their lengths alone. Not for their tokens: see `collate`."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Protocol

from trainer.config import Recipe


class Piece(NamedTuple):
    """Part of a sequence: the tokens from `first` up to `end` of a row."""

    row: int
    first: int
    end: int


class Layout(Protocol):
    """How rows lie in sequences."""

    def __len__(self) -> int: ...

    def pieces(self, number: int) -> list[Piece]:
        """What a sequence is made of, in order."""
        ...


@dataclass(frozen=True)
class Packs:
    """Sequences of whole rows."""

    lengths: Sequence[int]
    """Tokens of each row."""
    rows: array[int]
    """Row numbers, sequence after sequence."""
    ends: array[int]
    """Where each sequence ends in `rows`, beginning with 0."""

    def __len__(self) -> int:
        return len(self.ends) - 1

    def rows_of(self, number: int) -> array[int]:
        """The rows of a sequence, in rising order."""
        return self.rows[self.ends[number] : self.ends[number + 1]]

    def pieces(self, number: int) -> list[Piece]:
        """What a sequence is made of, in order."""
        return [Piece(row, 0, self.lengths[row]) for row in self.rows_of(number)]

    def totals(self) -> array[int]:
        """Tokens of each sequence."""
        return array("q", [sum(self.lengths[row] for row in self.rows_of(number)) for number in range(len(self))])


@dataclass(frozen=True)
class Blocks:
    """All rows end to end, cut into sequences of `capacity` tokens; the last one has what is left."""

    ends: array[int]
    """Where each row ends in the whole, beginning with 0."""
    capacity: int

    @classmethod
    def of(cls, lengths: Sequence[int], capacity: int) -> Blocks:
        """The blocks of rows of these lengths."""
        return cls(array("q", accumulate(lengths, initial=0)), capacity)

    def __len__(self) -> int:
        return -(-self.ends[-1] // self.capacity)

    def pieces(self, number: int) -> list[Piece]:
        """What a sequence is made of, in order."""
        start = number * self.capacity
        end = min(start + self.capacity, self.ends[-1])
        found: list[Piece] = []
        row = bisect_right(self.ends, start) - 1
        while start < end:
            until = min(end, self.ends[row + 1])
            if until > start:
                found.append(Piece(row, start - self.ends[row], until - self.ends[row]))
            start, row = until, row + 1
        return found


@dataclass(frozen=True)
class OneByOne:
    """Every row is a sequence of its own."""

    lengths: Sequence[int]

    def __len__(self) -> int:
        return len(self.lengths)

    def pieces(self, number: int) -> list[Piece]:
        """The one row."""
        return [Piece(number, 0, self.lengths[number])]


def training_layout(lengths: Sequence[int], recipe: Recipe) -> Layout:
    """How the training rows of a recipe lie in sequences: as they are, packed, or (stage pt) as running text."""
    data = recipe.data
    if cuts_up_text(recipe):
        return Blocks.of(lengths, data.cutoff_len)
    if data.packing or data.neat_packing:
        return pack_rows(lengths, data.cutoff_len)
    return OneByOne(lengths)


def cuts_up_text(recipe: Recipe) -> bool:
    """Whether rows of any length are laid end to end and cut into sequences: stage pt, unless packing is off."""
    return recipe.method.stage == "pt" and recipe.data.packing is not False


def pack_rows(lengths: Sequence[int], capacity: int) -> Packs:
    """Rows packed into sequences of at most `capacity` tokens, best-fit decreasing: each row, the longest first, goes
    where it leaves the least room. Sequences come in the order of their first rows.

    A million rows take about a second: rows of one length are placed together.

    Raises: ValueError for a row that is longer than `capacity`.
    """
    sequence_of = array("i", bytes(4 * len(lengths)))
    count = 0
    room = _Room(capacity)
    for length, rows in _by_length(lengths):
        if length > capacity:
            raise ValueError(f"row {rows[0]} has {length} tokens, more than the {capacity} of a sequence")
        placed = 0
        while placed < len(rows):
            space, number = room.take_tightest(length)
            if number < 0:
                number, count = count, count + 1
            # The next row of this length fits best into the same sequence, as long as there is room.
            fitting = min(len(rows) - placed, space // length) if length else len(rows) - placed
            for row in rows[placed : placed + fitting]:
                sequence_of[row] = number
            placed += fitting
            room.put(space - fitting * length, number)
    return _gathered(lengths, sequence_of, count)


class _Room:
    """Open sequences by the space that is left in them."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._open: dict[int, list[int]] = {}
        self._spaces = 0
        """A bit for every space that some sequence has left: the lowest one from a length on is the tightest fit."""

    def take_tightest(self, length: int) -> tuple[int, int]:
        """The sequence with the least space that holds `length` tokens: its space and number, -1 for a new one."""
        fitting = self._spaces >> length
        if not fitting:
            return self._capacity, -1
        space = length + (fitting & -fitting).bit_length() - 1
        numbers = self._open[space]
        number = numbers.pop()
        if not numbers:
            self._spaces &= ~(1 << space)
        return space, number

    def put(self, space: int, number: int) -> None:
        """Offers the sequence again, if any space is left."""
        if not space:
            return
        numbers = self._open.setdefault(space, [])
        if not numbers:
            self._spaces |= 1 << space
        numbers.append(number)


def _by_length(lengths: Sequence[int]) -> Iterator[tuple[int, array[int]]]:
    """The rows of each length, the longest first."""
    rows: dict[int, array[int]] = {}
    for row, length in enumerate(lengths):
        if length not in rows:
            rows[length] = array("i")
        rows[length].append(row)
    for length in sorted(rows, reverse=True):
        yield length, rows[length]


def _gathered(lengths: Sequence[int], sequence_of: array[int], count: int) -> Packs:
    """From the sequence of each row to the rows of each sequence."""
    place = array("i", [-1]) * count
    seen = 0
    ends = array("q", bytes(8 * (count + 1)))
    for number in sequence_of:
        if place[number] < 0:
            place[number] = seen
            seen += 1
        ends[place[number] + 1] += 1
    for number in range(count):
        ends[number + 1] += ends[number]
    free = array("q", ends)
    rows = array("i", bytes(4 * len(sequence_of)))
    for row, number in enumerate(sequence_of):
        position = place[number]
        rows[free[position]] = row
        free[position] += 1
    return Packs(lengths, rows, ends)


@dataclass(frozen=True)
class PaddingWaste:
    """The share of computed tokens that are padding, without and with packing."""

    unpacked: float
    packed: float
    sequences: int
    """How many sequences the packed rows make."""


def padding_waste(lengths: Sequence[int], batch_size: int, cutoff_len: int) -> PaddingWaste:
    """What batches of `batch_size` rows, filled up to their longest row, waste on average; rows beyond `cutoff_len`
    count as cut. Exact for rows in random order, so that it is the same at every call.
    """
    cut = array("i", [min(length, cutoff_len) for length in lengths])
    packs = pack_rows(cut, cutoff_len)
    return PaddingWaste(_waste(cut, batch_size), _waste(packs.totals(), batch_size), len(packs))


def _waste(lengths: Sequence[int], batch_size: int) -> float:
    """1 - mean / expected longest of a random batch."""
    count, total = len(lengths), sum(lengths)
    if not total:
        return 0.0
    batch = min(batch_size, count)
    longest, chance = 0.0, 1.0
    # From the longest row down: the chance that a batch has none of the rows so far, but has this one.
    for passed, length in enumerate(sorted(lengths, reverse=True)):
        left = count - passed
        if left < batch:
            break
        longest += chance * (batch / left) * length
        chance *= 1 - batch / left
    return 1 - total / count / longest
