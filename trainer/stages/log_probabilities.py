"""Log-probabilities of answers under a model. Not for losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from trainer.data.dataset import NOT_TRAINED


@dataclass(frozen=True)
class AnswerScores:
    """What a model gives the answers of a batch."""

    tokens: torch.Tensor
    """(rows, length - 1) float32: the log-probability of each token of the answer, 0 elsewhere."""
    is_answer: torch.Tensor
    """(rows, length - 1) bool."""

    @property
    def lengths(self) -> torch.Tensor:
        """(rows,): tokens of each answer."""
        return self.is_answer.sum(1)

    def sums(self, tail_weight: float | None = None) -> torch.Tensor:
        """(rows,): log-probability of each answer.

        With `tail_weight` the rows are all better answers and then all worse ones, and what the longer answer of a pair
        has beyond the length of the shorter counts by that weight (LD-DPO, Liu et al. 2024, arXiv 2409.06411).
        """
        if tail_weight is None:
            return self.tokens.sum(1)
        shorter = torch.minimum(*self.lengths.chunk(2)).repeat(2)
        in_tail = self.is_answer.cumsum(1) > shorter[:, None]
        return (self.tokens * torch.where(in_tail, tail_weight, 1.0)).sum(1)


def answer_scores(
    model: Any, batch: Mapping[str, torch.Tensor], prefix: str = "", temperature: float = 1.0
) -> AnswerScores:
    """The scores of the labelled tokens of a batch, computed in float32.

    `input_ids`, `attention_mask` and `labels`, each (rows, length) int64, stand in the batch under these names with
    `prefix` before them. `temperature` is that of the draw whose probabilities are meant.
    """
    inputs = {name: batch[prefix + name] for name in ("input_ids", "attention_mask")}
    logits = model(**inputs, use_cache=False).logits
    targets = batch[prefix + "labels"][:, 1:]
    is_answer = targets != NOT_TRAINED
    # Only where something is learned: a copy of all logits in float32 would be the largest tensor of the step.
    chosen = logits[:, :-1][is_answer].float() / temperature
    tokens = torch.zeros(targets.shape, dtype=torch.float32, device=logits.device)
    tokens[is_answer] = -torch.nn.functional.cross_entropy(chosen, targets[is_answer], reduction="none")
    return AnswerScores(tokens, is_answer)
