"""What an optimizer keeps for the trained weights and needs for its step, by formula.

Sources: the optimizers' own code in torch, transformers, bitsandbytes, torchao; ours in `own_optimizers`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch

from trainer.config import Recipe
from trainer.model.memory.own_optimizers import (
    StateOf,
    WeightMemory,
    Weights,
    adalomo_memory,
    adam_mini_memory,
    block_memory,
    factored_numbers,
    muon_memory,
    projected_memory,
    projection_of,
)

# Weights of fewer numbers are not worth a table of scales: bitsandbytes' and torchao's own limit.
_LEAST_8BIT = 4096
_BLOCK_8BIT = 256


@dataclass(frozen=True)
class OptimizerMemory:
    """Bytes, all but the weights."""

    state: int
    """Held all the time on the device."""
    gradients: int
    """Of gradients that wait for the update together."""
    passing: int
    """During the update, beside the gradients."""
    stored: int
    """What a checkpoint holds of the state."""
    in_backward: Mapping[str, tuple[int, int]] | None = None
    """Where gradients are used up in the backward pass as soon as they are there: what passes by then for each weight,
    and what is kept of its gradient."""
    turn: Collection[str] | None = None
    """The weights that get gradients; None: all that are trained."""


def optimizer_memory(recipe: Recipe, trained: Weights, *, is_gpu: bool) -> OptimizerMemory:
    """The memory of the recipe's optimizer for the trained parameters of a model."""
    optim = str(recipe.train.optim)
    gradients = sum(_bytes(parameter) for _, parameter in trained)
    if recipe.badam.use_badam:
        block = block_memory(recipe, trained, _state_of(optim), _copies(optim), is_gpu=is_gpu)
        kept = sum(block.gradients.values())
        moved = {name: (0, size) for name, size in block.gradients.items()}
        return OptimizerMemory(block.state, kept, block.passing, block.state, moved, block.weights)
    if (each := _own_optimizer(recipe)) is not None:
        of_weights = {name: each(name, parameter) for name, parameter in trained}
        state = sum(one.state for one in of_weights.values())
        if _updates_in_backward(recipe):
            used_up = {name: (one.passing, 0) for name, one in of_weights.items()}
            return OptimizerMemory(state, 0, 0, state, used_up)
        passing = max((one.passing for one in of_weights.values()), default=0)
        return OptimizerMemory(state, gradients, passing, state)
    state_of = _state_of(optim)
    state = sum(state_of(name, parameter) for name, parameter in trained)
    # A paged state may leave the GPU when memory runs short, so it does not count against fitting.
    held = 0 if optim.startswith("paged") else state
    largest = max((_bytes(parameter) for _, parameter in trained), default=0)
    # torch's own takes all weights at once on a GPU (`foreach`), else one after another.
    passing = gradients if optim == "adamw_torch" and is_gpu else _copies(optim) * largest
    return OptimizerMemory(held, gradients, passing, state)


def _own_optimizer(recipe: Recipe) -> Callable[[str, torch.Tensor], WeightMemory] | None:
    """Gives the memory of one weight, where the optimizer is one of ours; as `trainer.engine.optimizers.create`."""
    optim = str(recipe.train.optim)
    if (projection := projection_of(recipe)) is not None:
        base = _BASES.get(optim.removesuffix("_layerwise"), optim)
        state_of, copies = _state_of("adamw_torch" if projection.is_apollo else base), _copies(base)
        return lambda name, weight: projected_memory(projection, name, weight, state_of, copies)
    if recipe.method.use_adam_mini:
        return adam_mini_memory
    if recipe.method.use_muon:
        return muon_memory
    if optim == "lomo":
        return lambda name, weight: WeightMemory(0, 0)
    if optim == "adalomo":
        return lambda name, weight: adalomo_memory(weight)
    return None


def _updates_in_backward(recipe: Recipe) -> bool:
    projection = projection_of(recipe)
    return projection.in_backward if projection is not None else str(recipe.train.optim) in ("lomo", "adalomo")


# transformers' names of GaLore, and the optimizers in them.
_BASES = {"galore_adamw": "adamw_torch", "galore_adamw_8bit": "adamw_8bit", "galore_adafactor": "adafactor"}


def _copies(optim: str) -> int:
    """Copies of a weight that its update makes."""
    return 0 if optim == "adamw_torch_fused" or "8bit" in optim or "32bit" in optim else 2


def _state_of(optim: str) -> StateOf:
    """Gives the bytes of one parameter's state."""
    optim = optim.removeprefix("paged_")
    if optim in _COPIES:
        copies = _COPIES[optim]
        return lambda _, one: round(copies * _bytes(one))
    if optim in _FLOAT32:
        values = _FLOAT32[optim]
        return lambda _, one: 4 * values * one.numel()
    if optim in _EIGHT_BIT:
        values, width = _EIGHT_BIT[optim]
        return lambda name, one: values * _eight_bit(name, one, width)
    if optim == "adafactor":
        return lambda _, one: 4 * factored_numbers(one)
    return lambda _, one: 2 * _bytes(one)


# Values for each number, in the precision of the weights.
_COPIES = {
    "sgd": 0.0,
    "adagrad": 1.0,
    "rmsprop": 1.0,
    "schedule_free_sgd": 1.0,
    "schedule_free_adamw": 2.0,
    "schedule_free_radam": 2.0,
    "grokadamw": 3.0,
}
# Values for each number, in float32.
_FLOAT32 = {
    "adamw_32bit": 2,
    "lion_32bit": 1,
    "ademamix": 3,
    "ademamix_32bit": 3,
    "rmsprop_bnb": 1,
    "rmsprop_bnb_32bit": 1,
}
# Values for each number, and bytes of each, with a scale in float32 for each block.
_EIGHT_BIT = {
    "adamw_8bit": (2, 1.0),
    "adamw_bnb_8bit": (2, 1.0),
    "adamw_torch_8bit": (2, 1.0),
    "adamw_torch_4bit": (2, 0.5),
    "lion_8bit": (1, 1.0),
    "rmsprop_bnb_8bit": (1, 1.0),
    "ademamix_8bit": (3, 1.0),
}


def _eight_bit(name: str, parameter: torch.Tensor, width: float) -> int:
    # transformers keeps the state of embeddings in 32 bits.
    if parameter.numel() < _LEAST_8BIT or "embed" in name:
        return 4 * parameter.numel()
    return round(parameter.numel() * (width + 4 / _BLOCK_8BIT))


def _bytes(parameter: torch.Tensor) -> int:
    return int(parameter.numel() * parameter.element_size())
