"""Rows of like length in one batch, in an order that a resumed run finds again. Not for packing (`trainer.data`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

# Of so many batches the rows are sorted together: padding is rare then, and batches still differ from epoch to epoch.
_BATCHES_IN_A_GROUP = 50


class LengthGroups(torch.utils.data.Sampler[int]):
    """Row numbers, batch after batch; the order depends on seed and epoch alone.

    transformers' own draws from the random numbers of the process, so that a resumed run goes on with other rows.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths, self._batch_size, self._seed = lengths, batch_size, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        """Rows are shuffled, sorted group by group, and cut into batches; whole batches are shuffled then.

        The batch with the longest row comes first, so that too little memory shows at once, and the one that is not
        full last, as the data loader cuts batches by number.
        """
        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        rows = torch.randperm(len(self._lengths), generator=generator).tolist()
        size = self._batch_size * _BATCHES_IN_A_GROUP
        batches: list[list[int]] = []
        rest: list[int] = []
        for first in range(0, len(rows), size):
            group = sorted(rows[first : first + size], key=self._lengths.__getitem__, reverse=True)
            for start in range(0, len(group), self._batch_size):
                batch = group[start : start + self._batch_size]
                if len(batch) == self._batch_size:
                    batches.append(batch)
                else:
                    rest = batch
        longest = max(range(len(batches)), key=lambda number: self._lengths[batches[number][0]], default=0)
        shuffled = torch.randperm(len(batches), generator=generator).tolist()
        for number in sorted(shuffled, key=lambda number: number != longest):
            yield from batches[number]
        yield from rest
