"""How many tokens a batch holds, and means over tokens instead of over batches, so that figures are true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

REFUSED, READ = "refused", "read"
"""What a stream adds to its sequences: an error that ends the run; a process of the loader and what it has read."""
_REAL, _PADDED, _TRAINED = "real_tokens", "padded_tokens", "trained_tokens"
_NOT_TRAINED = -100


@dataclass(frozen=True)
class BatchCounts:
    """Tokens of a batch, and what the loss is a mean over."""

    real: int
    """Tokens without padding."""
    padded: int
    """Tokens with padding."""
    trained: int
    """Labelled tokens; rows, where the loss is a mean over rows."""


class CountingCollator:
    """Wraps a collator: the counts ride in the batch, because counting on the GPU would wait for it."""

    def __init__(self, collator: Any, *, over_rows: bool = False) -> None:
        """`over_rows`: the loss is a mean over rows, not over labelled tokens."""
        self.collator = collator
        self._over_rows = over_rows

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        for example in examples:
            if REFUSED in example:
                return {REFUSED: example[REFUSED]}
        batch: dict[str, Any] = dict(self.collator(examples))
        batch[_PADDED] = int(batch["input_ids"].numel())
        if self._over_rows:
            batch[_REAL], batch[_TRAINED] = int(batch["attention_mask"].sum()), len(examples)
        else:
            batch[_REAL] = sum(len(example["input_ids"]) for example in examples)
            # The first token of a row is never predicted.
            batch[_TRAINED] = int((batch["labels"][:, 1:] != _NOT_TRAINED).sum())
        for example in examples:
            if READ in example:
                batch[READ] = example[READ]
        return batch


def take_counts(batch: dict[str, Any]) -> BatchCounts:
    """Take the counts out of a batch, which the model must not see."""
    return BatchCounts(batch.pop(_REAL), batch.pop(_PADDED), batch.pop(_TRAINED))


def with_counts(batch: dict[str, Any], counts: BatchCounts) -> dict[str, Any]:
    """A batch that does not come from a collator, with its counts."""
    return {**batch, _REAL: counts.real, _PADDED: counts.padded, _TRAINED: counts.trained}


def trained_in(batches: Sequence[dict[str, Any]]) -> int:
    """What the loss over several batches is a mean over; their counts stay in them."""
    return sum(batch[_TRAINED] for batch in batches)


class TokenMean:
    """The mean loss over all labelled tokens of an evaluation, however they were batched."""

    def __init__(self) -> None:
        self.weights: list[int] = []
        self._losses: list[torch.Tensor] = []

    def add(self, loss: torch.Tensor, tokens: int) -> None:
        """Add a batch: its mean loss and the tokens that this is a mean over."""
        self._losses.append(loss.detach())
        self.weights.append(tokens)

    def mean(self, first: int = 0) -> float:
        """The mean so far, from batch `first` on; nan when nothing was added."""
        weights = self.weights[first:]
        total = sum(weights)
        if not total:
            return math.nan
        losses = self._losses[first:]
        return math.fsum(float(loss) * weight for loss, weight in zip(losses, weights, strict=True)) / total


def weigh_by_tokens(metrics: dict[str, list[float]], weights: list[int]) -> None:
    """Replace the values of each batch by their mean over tokens, where there is one value a batch."""
    total = sum(weights)
    for name, values in metrics.items():
        if total and len(values) == len(weights):
            metrics[name] = [math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / total]
