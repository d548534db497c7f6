"""The memory of a training step by formula, for models that cannot run on fake tensors."""

from __future__ import annotations

from typing import Any

from trainer.config import Recipe
from trainer.model.load import compute_dtype
from trainer.model.memory.blueprint import build_blueprint
from trainer.model.memory.simulate import StepMemory

# Bytes of activations for each token and hidden unit of a layer in 16-bit training without the attention matrix:
# Korthikanti et al. 2022, "Reducing Activation Recomputation in Large Transformer Models", equation 2.
_ACTIVATION_BYTES = 34
_MOMENTS_BYTES = 8
# With fused loss, logits exist for one tile at a time; this many float32 copies of the last hidden states pass by.
_COPIES_OF_HIDDEN = 4


def closed_form(recipe: Recipe, config: Any, *, batch: int, length: int, checkpointing: bool) -> StepMemory:
    """Exact for weights, gradients and AdamW's state; activations by formula.

    Raises:
        UserError: when the method does not fit this model.
    """
    model = build_blueprint(recipe, config, checkpointing=checkpointing)
    frozen = trained = count = 0
    for parameter in model.parameters():
        size = parameter.numel() * parameter.element_size()
        if parameter.requires_grad:
            trained += size
            count += parameter.numel()
        else:
            frozen += size
    text = config.get_text_config()
    width = compute_dtype(recipe).itemsize
    tokens_by_hidden = batch * length * int(text.hidden_size)
    in_layer = tokens_by_hidden * _ACTIVATION_BYTES * width // 2
    # With checkpointing only each layer's input is kept, and one layer is computed again at a time.
    kept = int(text.num_hidden_layers) * (tokens_by_hidden * width if checkpointing else in_layer)
    passing = kept + in_layer * checkpointing + tokens_by_hidden * 4 * _COPIES_OF_HIDDEN
    optimizer = count * _MOMENTS_BYTES
    state = frozen + 2 * trained + optimizer
    return StepMemory(frozen, trained, trained, optimizer, passes=state + passing, update=state)
