"""Adam-mini: one second moment for each block of weights instead of one for each weight, so half of Adam's state.

Source: Zhang et al. 2024, "Adam-mini: Use Fewer Learning Rates To Gain More", arXiv 2406.16793. Not the package
adam-mini: it takes the size of a head from hidden size and number of heads, which is wrong for Qwen3 and others.
"""

from __future__ import annotations

import re
from typing import Any

import torch

from .base import Group, OwnOptimizer

# Queries and keys have a block for each head; fused projections hold them too.
_BY_HEAD = re.compile(r"(^|\.)(q_proj|k_proj|wq|wk|query|key|qkv_proj|query_key_value|c_attn|W_pack)(\.|$)")


def block_count(name: str, weight: torch.Tensor, head_size: int | None) -> int:
    """Blocks of a weight: heads of queries and keys, else rows (tokens of an embedding, outputs of a layer); each
    number of a bias by itself; one for the weights of a norm.
    """
    if weight.ndim < 2:
        return weight.numel() if name.endswith("bias") else 1
    rows = weight.numel() // weight.shape[-1]
    if head_size and rows % head_size == 0 and _BY_HEAD.search(name):
        return rows // head_size
    return rows


class AdamMini(OwnOptimizer):
    """AdamW with the mean of the squared gradients over each block. Each group has `blocks`, one number a weight."""

    def __init__(self, groups: list[Group], *, rate: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(groups, {"lr": rate, "betas": betas, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One step for all weights that have a gradient."""
        for group in self.param_groups:
            for weight, blocks in zip(group["params"], group["blocks"], strict=True):
                if weight.grad is not None:
                    self._update(weight, blocks, group)

    def _update(self, weight: torch.Tensor, blocks: int, group: Group) -> None:
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(weight)
            state["square"] = weight.new_zeros(blocks, 1)
        state["step"] += 1
        first, second = group["betas"]
        squares = weight.grad.reshape(blocks, -1).square().mean(dim=1, keepdim=True)
        state["square"].mul_(second).add_(squares, alpha=1 - second)
        state["mean"].lerp_(weight.grad, 1 - first)
        spread = (state["square"] / (1 - second ** state["step"])).sqrt() + group["eps"]
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        moved = (state["mean"].reshape(blocks, -1) / spread).reshape(weight.shape)
        weight.add_(moved, alpha=-group["lr"] / (1 - first ** state["step"]))


def head_size_of(config: Any) -> int | None:
    """Numbers in the query of one head, from a model's configuration."""
    text = config.get_text_config()
    size = getattr(text, "head_dim", None)
    heads = getattr(text, "num_attention_heads", None)
    if size is None and heads:
        size = text.hidden_size // heads
    return None if size is None else int(size)
