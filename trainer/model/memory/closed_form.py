"""The memory of a training step by formula, for models that cannot run on fake tensors."""

from __future__ import annotations

from typing import Any

from trainer.config import Recipe
from trainer.model.load import compute_dtype
from trainer.model.memory.batch import Batch
from trainer.model.memory.blueprint import build_blueprint
from trainer.model.memory.optimizer_state import optimizer_memory
from trainer.model.memory.simulate import StepMemory

# Bytes of activations for each token and hidden unit of a layer in 16-bit training without the attention matrix:
# Korthikanti et al. 2022, "Reducing Activation Recomputation in Large Transformer Models", equation 2.
_ACTIVATION_BYTES = 34
# With fused loss, logits exist for one tile at a time; this many float32 copies of the last hidden states pass by.
_COPIES_OF_HIDDEN = 4


def closed_form(recipe: Recipe, config: Any, *, batch: Batch, checkpointing: bool, is_gpu: bool) -> StepMemory:
    """Exact for weights, gradients and the optimizer's state; activations by formula.

    Raises:
        UserError: when the method does not fit this model.
    """
    model = build_blueprint(recipe, config, checkpointing=checkpointing, is_gpu=is_gpu)
    parameters = list(model.named_parameters())
    trained = [(name, parameter) for name, parameter in parameters if parameter.requires_grad]
    trained_bytes = sum(_size(parameter) for _, parameter in trained)
    frozen = sum(_size(parameter) for _, parameter in parameters) - trained_bytes
    kept = optimizer_memory(recipe, trained, is_gpu=is_gpu)
    text = config.get_text_config()
    width = compute_dtype(recipe).itemsize
    tokens_by_hidden = batch.rows * batch.length * int(text.hidden_size)
    in_layer = tokens_by_hidden * _ACTIVATION_BYTES * width // 2
    # With checkpointing only each layer's input is kept, and one layer is computed again at a time.
    layers = int(text.num_hidden_layers) * (tokens_by_hidden * width if checkpointing else in_layer)
    passing = layers + in_layer * checkpointing + tokens_by_hidden * 4 * _COPIES_OF_HIDDEN
    state = frozen + trained_bytes + kept.gradients + kept.state
    return StepMemory(
        frozen_weights=frozen,
        trained_weights=trained_bytes,
        gradients=kept.gradients,
        optimizer=kept.state,
        passes=state + passing,
        update=state + kept.passing,
        evaluation=0,
        stored_optimizer=kept.stored,
    )


def _size(parameter: Any) -> int:
    return int(parameter.numel() * parameter.element_size())
