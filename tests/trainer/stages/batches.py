"""Fixed logits for two or more answers, and a model that gives them: what the tests of losses run on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from trainer.data.dataset import NOT_TRAINED

VOCABULARY = 7
PAIRS = 3
PROMPT = 2
LENGTHS = (3, 5, 4, 5, 2, 3)
"""Tokens of the answers: those of the better ones, then those of the worse ones."""


class FixedLogits(torch.nn.Module):
    """A model whose logits are its weights."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        drawn = torch.randn(
            len(LENGTHS), PROMPT + max(LENGTHS), VOCABULARY, generator=torch.Generator().manual_seed(seed)
        )
        self.logits = torch.nn.Parameter(2 * drawn)

    def forward(self, input_ids: torch.Tensor, **_: Any) -> Any:
        """The logits of the first rows."""
        return SimpleNamespace(logits=self.logits[: len(input_ids)])


def pairs() -> dict[str, torch.Tensor]:
    """A batch of PAIRS ranked rows."""
    shape = (len(LENGTHS), PROMPT + max(LENGTHS))
    input_ids = torch.randint(0, VOCABULARY, shape, generator=torch.Generator().manual_seed(1))
    labels = input_ids.clone()
    labels[:, :PROMPT] = NOT_TRAINED
    mask = torch.ones_like(input_ids)
    for row, length in enumerate(LENGTHS):
        labels[row, PROMPT + length :] = NOT_TRAINED
        mask[row, PROMPT + length :] = 0
    return {"input_ids": input_ids, "labels": labels, "attention_mask": mask}


def token_log_probabilities(logits: torch.Tensor, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """Of each answer the log-probabilities of its tokens, one softmax at a time."""
    found = []
    for row, length in enumerate(LENGTHS):
        found.append(
            torch.stack(
                [
                    logits[row, place - 1].softmax(0)[batch["input_ids"][row, place]].log()
                    for place in range(PROMPT, PROMPT + length)
                ]
            )
        )
    return found
