"""The batch of a training step by its sizes, as the collators make it (`trainer.data.collate`). Not its tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from trainer.config import Recipe

_FLASH = ("fa2", "fa3")


@dataclass(frozen=True)
class Batch:
    """The largest micro-batch that may come."""

    rows: int
    """Sequences in it."""
    length: int
    """Tokens of the longest one."""
    isolated: bool
    """Rows of a sequence do not see each other: positions instead of an attention mask."""
    flat: bool
    """All sequences end to end in one (padding-free)."""
    masked: bool
    """Attention gets a mask of length x length for each sequence."""

    def inputs(self) -> dict[str, Any]:
        """What the model is called with; every token is learned."""
        shape = (1, self.rows * self.length) if self.flat else (self.rows, self.length)
        ids = torch.zeros(shape, dtype=torch.long)
        inputs: dict[str, Any] = {"input_ids": ids, "labels": ids}
        if self.isolated:
            inputs["position_ids"] = torch.zeros_like(ids)
        elif self.masked:
            inputs["attention_mask"] = torch.ones_like(ids)
        return inputs


def batch_of(recipe: Recipe, *, rows: int, length: int, is_gpu: bool) -> Batch:
    """A micro-batch of `rows` sequences, the longest of `length` tokens."""
    data = recipe.data
    flash = recipe.model.flash_attn in _FLASH
    isolated = data.neat_packing or data.padding_free
    if is_gpu:
        length = -(-length // 8) * 8
    return Batch(
        rows=rows,
        length=length,
        isolated=isolated,
        flat=isolated and (data.padding_free or flash),
        # One sequence alone has no padding; flash attention takes none.
        masked=not flash and (isolated or rows > 1),
    )
