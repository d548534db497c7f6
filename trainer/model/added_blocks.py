"""LLaMA Pro: which blocks of a model were added to it. Not for adding them (`expand`).

Source: https://arxiv.org/abs/2401.02415
"""

from __future__ import annotations

from typing import Any

import torch

from trainer.config import Recipe
from trainer.errors import UserError
from trainer.model.layers import layer_count, layer_of

ADDED = "added_blocks"
"""The entry of `config.json` with the numbers of the blocks that were added."""

# The names of the layers whose outputs go into the residual stream; without them a block passes its input on.
_LAST = ("o_proj", "down_proj", "out_proj", "dense", "dense_4h_to_h", "c_proj", "wo", "w2", "fc2")
_LAST_IN_BLOCK = frozenset((*_LAST, "down_proj_bias"))


def added_blocks(model: Any, recipe: Recipe) -> set[int]:
    """The numbers of the added blocks: those that `config.json` names, or else those that still pass their input on.

    Raises:
        UserError: when there are none.
    """
    count = layer_count(model)
    noted = getattr(model.config.get_text_config(), ADDED, None) or getattr(model.config, ADDED, None)
    if noted:
        found = {number for number in noted if number < count}
    elif any(parameter.is_meta for parameter in model.parameters()):
        # Of a model without numbers nobody can tell; for its memory it is the same which they are.
        found = set(range(max(0, count - abs(recipe.freeze.freeze_trainable_layers)), count))
    else:
        found = _identity_blocks(model)
    if not found:
        raise UserError(
            "no blocks were added to this model",
            field="use_llama_pro",
            value=True,
            hint=f"Make one that has some: trimtab expand {recipe.model.model_name_or_path} OUT",
        )
    return found


def ends_a_block(name: str) -> bool:
    """Whether the parameter of this name is the last one before the residual stream; experts have no `.weight`."""
    return any(part in _LAST_IN_BLOCK for part in name.split(".")[-2:])


@torch.no_grad()
def _identity_blocks(model: Any) -> set[int]:
    """Blocks as other tools add them: all layers that end in the residual stream are zero."""
    zero: dict[int, bool] = {}
    for name, parameter in model.named_parameters():
        number = layer_of(name)
        if number is None or not ends_a_block(name):
            continue
        zero[number] = zero.get(number, True) and not parameter.any()
    return {number for number, is_zero in zero.items() if is_zero}
