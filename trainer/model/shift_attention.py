"""Shifted sparse attention (S2-Attn): in training each token looks at a quarter of the sequence, in half of the heads
at one that is shifted by half its length. Generation and evaluation compute the full attention.

Source: Chen et al. 2023, "LongLoRA: Efficient Fine-tuning of Long-Context Large Language Models", section 3.2. There
the shifted heads of the first half group also see the end of the sequence, which comes after them; here they do not.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

SHIFTED = "trimtab_shifted_sparse"
"""The name under which transformers knows it."""
_GROUPS = 4


def register_shifted_attention() -> None:
    """Make `attn_implementation=SHIFTED` known; harmless when it is known already."""
    AttentionInterface.register(SHIFTED, shifted_sparse_attention)
    AttentionMaskInterface.register(SHIFTED, sdpa_mask)


def shifted_sparse_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **settings: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one layer as transformers calls it.

    query: (batch, heads, length, width); key, value: (batch, key heads, length, width); attention_mask: (batch, 1,
    length, length) bool, True where a token may look, or None for causal. Returns (batch, length, heads, width).
    """
    length = query.shape[2]
    if not module.training or key.shape[2] != length:
        full: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **settings
        )
        return full
    copies = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, copies), repeat_kv(value, copies)
    size = -(-length // _GROUPS)
    missing = _GROUPS * size - length
    # What is appended comes after every real token, so that none of them looks there.
    query, key, value = (pad(part, (0, 0, 0, missing)) for part in (query, key, value))
    if attention_mask is not None:
        attention_mask = pad(attention_mask, (0, missing, 0, missing), value=False)
    half = query.shape[1] // 2
    outputs = []
    for heads, shift in ((slice(0, half), 0), (slice(half, None), size // 2)):
        positions = torch.arange(_GROUPS * size, device=query.device).roll(-shift).view(_GROUPS, size)
        rows, columns, contents = (part[:, heads].roll(-shift, dims=2) for part in (query, key, value))
        output = _in_groups(rows, columns, contents, attention_mask, positions, dropout=dropout, scaling=scaling)
        outputs.append(output.roll(shift, dims=2))
    return torch.cat(outputs, dim=1)[:, :, :length].transpose(1, 2).contiguous(), None


def _in_groups(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    positions: torch.Tensor,
    *,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    """Causal attention within each group; positions: (groups, size), where each token stood before the shift."""
    batch, heads, length, width = query.shape
    groups, size = positions.shape
    rows, columns = positions[:, :, None], positions[:, None, :]
    distance = rows - columns
    # In the shifted group that holds end and start of the sequence, the two are further apart than a group is long.
    allowed = ((distance >= 0) & (distance < size))[None, :, None]
    if attention_mask is not None:
        mask = attention_mask[:, :, rows, columns].transpose(1, 2)
        # Padding looks at itself: without anything to look at, a row of the softmax would be NaN.
        allowed = (allowed & mask) | (distance == 0)[None, :, None]
    allowed = allowed.expand(batch, groups, -1, size, size).reshape(batch * groups, -1, size, size)

    def grouped(part: torch.Tensor) -> torch.Tensor:
        split = part.reshape(batch, heads, groups, size, width)
        return split.transpose(1, 2).reshape(batch * groups, heads, size, width)

    output = scaled_dot_product_attention(
        grouped(query), grouped(key), grouped(value), attn_mask=allowed, dropout_p=dropout, scale=scaling
    )
    return output.reshape(batch, groups, heads, size, width).transpose(1, 2).reshape(batch, heads, length, width)
