"""Which row of which data set comes next, and rows drawn at random. Not for reading or encoding them.

The order is that of `datasets.interleave_datasets` for the same seed, which LLaMA-Factory uses.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from trainer.config import Recipe
from trainer.data.dataset import held_rows

Item = TypeVar("Item")
_DRAWS = 1000
_END: object = object()


@dataclass(frozen=True)
class Mixture:
    """How several data sets are mixed; see the help of `mix_strategy` and `interleave_probs`."""

    strategy: str = "concat"
    probabilities: tuple[float, ...] = ()
    """One for each data set; empty: they take turns."""
    seed: int = 0

    @classmethod
    def of(cls, recipe: Recipe) -> Mixture:
        """What a recipe says."""
        return cls(recipe.data.mix_strategy, tuple(recipe.data.interleave_probs), recipe.train.seed)

    @property
    def needs_every_set(self) -> bool:
        """Whether a data set without rows leaves nothing to mix."""
        return self.strategy in ("interleave_under", "interleave_over")


def mixed_rows(lengths: Sequence[int], mixture: Mixture) -> array[int]:
    """The rows of the mixture as numbers in all data sets laid end to end; `lengths` are the rows of each."""
    starts = [sum(lengths[:number]) for number in range(len(lengths))]
    ranges = [range(first, first + count) for first, count in zip(starts, lengths, strict=True)]
    return array("q", mixed([partial(iter, rows) for rows in ranges], mixture))


def mixed(sources: Sequence[Callable[[], Iterator[Item]]], mixture: Mixture) -> Iterator[Item]:
    """One pass over several sources; each callable begins its source anew. At most one item of each is held back.

    concat: one after the other. interleave_under ends with the source that is the first to run out, interleave_over
    when each has run out once (short ones begin again), interleave_once when all have run out. A source without items
    ends interleave_under at once; interleave_over goes on without it.
    """
    taps = [_Tap(source) for source in sources]
    if mixture.strategy == "concat":
        for tap in taps:
            while not tap.is_empty:
                yield tap.take()
    elif mixture.probabilities:
        yield from _drawn(taps, mixture)
    else:
        yield from _in_turn(taps, mixture.strategy)


class _Tap(Generic[Item]):
    """A source with its next item in hand, so that its end is known with its last item."""

    def __init__(self, begin: Callable[[], Iterator[Item]]) -> None:
        self._begin = begin
        self._items = begin()
        self._next: object = next(self._items, _END)
        self.has_run_out = self.is_empty

    @property
    def is_empty(self) -> bool:
        """Whether no item is left."""
        return self._next is _END

    def take(self) -> Item:
        """The next item; there must be one."""
        item = self._next
        self._next = next(self._items, _END)
        self.has_run_out = self.has_run_out or self.is_empty
        return item  # type: ignore[return-value]

    def begin_again(self) -> None:
        """Back to the first item."""
        self._items = self._begin()
        self._next = next(self._items, _END)


def _in_turn(taps: list[_Tap[Item]], strategy: str) -> Iterator[Item]:
    """Whole rounds: one item of each source that has any."""
    while True:
        if strategy == "interleave_under" and any(tap.has_run_out for tap in taps):
            return
        if all(tap.has_run_out for tap in taps):
            return
        for tap in taps:
            if tap.is_empty and strategy == "interleave_over":
                tap.begin_again()
            if not tap.is_empty:
                yield tap.take()


def _drawn(taps: list[_Tap[Item]], mixture: Mixture) -> Iterator[Item]:
    """Item after item from a source drawn by its probability."""
    over = any if mixture.strategy == "interleave_under" else all
    for number in _draws(mixture):
        if over(tap.has_run_out for tap in taps):
            return
        tap = taps[number]
        if tap.is_empty and mixture.strategy == "interleave_over":
            tap.begin_again()
        if not tap.is_empty:
            yield tap.take()


def _draws(mixture: Mixture) -> Iterator[int]:
    """Numbers of sources without end, drawn as `datasets` draws them: by numpy, a thousand at a time."""
    import numpy

    generator = numpy.random.default_rng(mixture.seed)
    while True:
        yield from generator.choice(len(mixture.probabilities), size=_DRAWS, p=mixture.probabilities).tolist()


def drawn_rows(rows: int, count: int, seed: int) -> list[int]:
    """`count` of `rows` row numbers at random (`num_samples`): each once before any comes again."""
    generator = random.Random(seed)
    chosen: list[int] = []
    while len(chosen) < count and rows:
        chosen += generator.sample(range(rows), min(rows, count - len(chosen)))
    return chosen


def held_back(order: Sequence[int], size: float, seed: int) -> tuple[array[int], array[int]]:
    """The rows of a mixture without those held back for evaluation, and these, once each and in the same order.

    `size` below 1 is a share, else a count, of the different rows. A row that is held back is not trained on, however
    often the mixture repeats it.
    """
    distinct = array("q", dict.fromkeys(order))
    places = random.Random(seed).sample(range(len(distinct)), held_rows(len(distinct), size))
    held = {distinct[place] for place in places}
    rest = array("q", [row for row in order if row not in held])
    return rest, array("q", [row for row in distinct if row in held])
