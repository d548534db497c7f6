"""What has no form on fake tensors, or another one on a GPU than on the CPU, replaced by its shapes while a step is
simulated. Not for quantized weights (`quantized`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from transformers import masking_utils
from transformers.integrations import moe
from trl.kernels import chunked_logprob


@contextmanager
def stand_ins(*, is_gpu: bool, masked: bool) -> Iterator[None]:
    """Within this block a fake model allocates what the real one would.

    `masked`: whether attention gets a mask; transformers would always make one for tensors without values.
    """
    with ExitStack() as stack:
        stack.enter_context(patch.object(moe, "_grouped_mm", _GroupedProduct.apply))
        if not masked:
            stack.enter_context(patch.object(masking_utils, "find_packed_sequence_indices", _one_row))
        if is_gpu:
            # There the tiles of logits are folded by kernels in place, and products are added up in float32 without
            # copies of their factors (TRL's `kernels.chunked_logprob`).
            stack.enter_context(patch.object(chunked_logprob, "_forward_tile", _in_place))
            stack.enter_context(patch.object(chunked_logprob, "_backward_tile", _in_place))
            stack.enter_context(patch.object(chunked_logprob, "_addmm_fp32", _in_place))
        yield


def _one_row(position_ids: torch.Tensor) -> None:
    """Every sequence is one row: nothing to keep apart."""


def _in_place(*arguments: Any, **keywords: Any) -> None:
    """A kernel that allocates nothing."""


class _GroupedProduct(torch.autograd.Function):
    """The product of sorted tokens (tokens, in) with their experts' weights (experts, in, out): (tokens, out).

    Where the tokens go depends on values, the sizes do not.
    """

    @staticmethod
    def forward(context: Any, tokens: torch.Tensor, weight: torch.Tensor, offs: torch.Tensor) -> torch.Tensor:
        """Sizes of the forward pass."""
        tokens = tokens.to(weight.dtype)
        context.save_for_backward(tokens, weight)
        return tokens.new_empty((tokens.shape[0], weight.shape[2]))

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        """Sizes of the backward pass: only what is asked for."""
        tokens, weight = context.saved_tensors
        wants_tokens, wants_weight, _ = context.needs_input_grad
        return (
            torch.empty_like(tokens) if wants_tokens else None,
            torch.empty_like(weight) if wants_weight else None,
            None,
        )
