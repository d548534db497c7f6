"""Will it fit? The memory of a training step for a recipe, by part, from the model's configuration alone.

A step is simulated on fake tensors for two small numbers of layers and extended to all of them, because layers are
alike: under two seconds for any size. Not for what is free on this machine (`trainer.estimate`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from trainer.config import Recipe
from trainer.errors import UserError
from trainer.model.memory.blueprint import layer_count, layer_period, read_config, with_layers
from trainer.model.memory.closed_form import closed_form
from trainer.model.memory.device import overhead
from trainer.model.memory.simulate import StepMemory, simulate

_FEWEST_LAYERS = 2
# Bytes of state for each trained parameter; AdamW's own is simulated.
_STATE_BYTES = {
    "sgd": 0.0,
    "adafactor": 0.02,
    "adagrad": 4.0,
    "rmsprop": 4.0,
    "lion_32bit": 4.0,
    "paged_lion_32bit": 0.0,
    "adamw_bnb_8bit": 2.03,
    "adamw_8bit": 2.03,
    "adamw_torch_8bit": 2.03,
    "adamw_torch_4bit": 1.03,
    "lion_8bit": 1.02,
    "rmsprop_bnb_8bit": 1.02,
    "ademamix": 12.0,
    "ademamix_8bit": 3.05,
    # Paged state may leave the GPU when memory runs short, so it does not count against fitting.
    "paged_adamw_32bit": 0.0,
    "paged_adamw_8bit": 0.0,
    "paged_lion_8bit": 0.0,
    "paged_ademamix_32bit": 0.0,
    "paged_ademamix_8bit": 0.0,
}


@dataclass(frozen=True)
class MemoryEstimate:
    """What a training step needs on one device; all in bytes."""

    frozen_weights: int
    trained_weights: int
    gradients: int
    optimizer: int
    activations: int
    """Activations that are kept for the backward pass."""
    logits: int
    """Logits, loss and other passing copies: what does not grow with the number of layers."""
    update: int
    """What the optimizer's step needs beyond the room that forward and backward left free."""
    overhead: int
    """The process or CUDA context, workspaces, and what the allocator cannot use."""
    batch: int
    length: int
    """Tokens of the longest row."""
    layers: int
    is_formula: bool = False
    """The model cannot be simulated: activations are a formula's guess."""

    @property
    def tensors(self) -> int:
        """The peak that PyTorch itself would report."""
        return self.total - self.overhead

    @property
    def total(self) -> int:
        """All parts together."""
        state = self.frozen_weights + self.trained_weights + self.gradients + self.optimizer
        return state + self.activations + self.logits + self.update + self.overhead


def estimate_memory(recipe: Recipe, *, is_gpu: bool, length: int | None = None) -> MemoryEstimate:
    """The memory of a training step of a resolved recipe; `length` is the longest row, `cutoff_len` unless known.

    Raises:
        UserError: when the configuration cannot be read, or the method does not fit this model.
    """
    config = read_config(recipe)
    layers = layer_count(config)
    length = min(length or recipe.data.cutoff_len, recipe.data.cutoff_len)
    batch = recipe.train.per_device_train_batch_size
    few, more = _sample_layers(recipe, config)

    def measured(layers: int) -> StepMemory:
        return simulate(
            recipe,
            with_layers(config, layers),
            batch=batch,
            length=length,
            checkpointing=bool(recipe.train.gradient_checkpointing),
            is_gpu=is_gpu,
        )

    bottom: StepMemory | None
    is_formula = False
    try:
        if more >= layers:
            whole, bottom = measured(layers), measured(few) if few < layers else None
        else:
            bottom = measured(few)
            whole = bottom.extrapolated(measured(more), (layers - few) / (more - few))
    except (RuntimeError, NotImplementedError, TypeError):
        # Some operations have no fake form: data-dependent routing of experts, kernels for one device.
        is_formula, bottom = True, None
        whole = closed_form(
            recipe, config, batch=batch, length=length, checkpointing=bool(recipe.train.gradient_checkpointing)
        )
    whole = _with_optimizer(whole, recipe)
    passing = max(0, whole.passes - whole.state)
    in_layers = 0
    if bottom is not None:
        growth = passing - max(0, bottom.passes - bottom.state)
        in_layers = min(passing, max(0, round(growth / (layers - few) * layers)))
    return MemoryEstimate(
        frozen_weights=whole.frozen_weights,
        trained_weights=whole.trained_weights,
        gradients=whole.gradients,
        optimizer=whole.optimizer,
        activations=in_layers,
        logits=passing - in_layers,
        update=max(0, whole.update - whole.state - passing),
        overhead=overhead(max(whole.passes, whole.update), is_gpu=is_gpu),
        batch=batch,
        length=length,
        layers=layers,
        is_formula=is_formula,
    )


def _sample_layers(recipe: Recipe, config: Any) -> tuple[int, int]:
    """Two numbers of layers that are simulated: far enough apart to hold each kind of layer equally often."""
    period = layer_period(config)
    fewest = max(_FEWEST_LAYERS, int(getattr(config.get_text_config(), "first_k_dense_replace", 0) or 0) + 1)
    if recipe.method.finetuning_type == "freeze":
        layers, trained = layer_count(config), abs(recipe.freeze.freeze_trainable_layers)
        if not 1 <= trained <= layers:
            raise UserError(
                f"this model has {layers} layers: expected a number from 1 to {layers}, or from -{layers} to -1",
                field="freeze_trainable_layers",
                value=recipe.freeze.freeze_trainable_layers,
            )
        # The trained layers stand in both simulations, so that only frozen ones are extended.
        fewest = max(fewest, trained + 1)
    few = -(-fewest // period) * period
    return few, few + max(period, 2 // period * period)


def _with_optimizer(memory: StepMemory, recipe: Recipe) -> StepMemory:
    """The same with the state of the recipe's optimizer in the place of AdamW's."""
    state_bytes = _STATE_BYTES.get(recipe.train.optim)
    if state_bytes is None:
        return memory
    parameters = memory.optimizer // 8
    state = round(parameters * state_bytes)
    saved = memory.optimizer - state
    return replace(memory, optimizer=state, passes=memory.passes - saved, update=memory.update - saved)
