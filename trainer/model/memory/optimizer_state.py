"""What an optimizer keeps for the trained weights and needs for its step, by formula.

Sources: the optimizers' own code in torch, transformers, bitsandbytes, torchao, galore-torch, apollo-torch, badam.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from trainer.config import Recipe

_Parameters = Sequence[tuple[str, torch.nn.Parameter]]
_LAYER = re.compile(r"\.(\d+)\.")
# Weights of fewer numbers are not worth a table of scales: bitsandbytes' and torchao's own limit.
_LEAST_8BIT = 4096
_BLOCK_8BIT = 256


@dataclass(frozen=True)
class OptimizerMemory:
    """Bytes, all but the weights."""

    state: int
    """Held all the time on the device."""
    gradients: int
    """Of gradients that are there at once."""
    passing: int
    """During the update, beside the gradients."""
    stored: int
    """What a checkpoint holds of the state."""


def optimizer_memory(recipe: Recipe, trained: _Parameters, *, is_gpu: bool) -> OptimizerMemory:
    """The memory of the recipe's optimizer for the trained parameters of a model."""
    gradients = sum(_bytes(parameter) for _, parameter in trained)
    largest = max((_bytes(parameter) for _, parameter in trained), default=0)
    if recipe.badam.use_badam:
        return _badam(recipe, trained, gradients)
    optim = str(recipe.train.optim)
    if recipe.galore.use_galore or optim.startswith("galore"):
        return _low_rank(recipe, trained, recipe.galore.galore_rank, recipe.galore.galore_target, optim)
    if recipe.apollo.use_apollo or optim.startswith("apollo"):
        return _low_rank(recipe, trained, recipe.apollo.apollo_rank, recipe.apollo.apollo_target, optim)
    each = _state_of(recipe)
    state = sum(each(name, parameter) for name, parameter in trained)
    if "lomo" in optim:
        # The gradient of a weight is used up as soon as it is there.
        return OptimizerMemory(state, largest, largest, state)
    # A paged state may leave the GPU when memory runs short, so it does not count against fitting.
    held = 0 if optim.startswith("paged") else state
    return OptimizerMemory(held, gradients, _passing(optim, gradients, largest, is_gpu=is_gpu), state)


def _passing(optim: str, gradients: int, largest: int, *, is_gpu: bool) -> int:
    """Copies that the update makes: of one weight after another, or of all at once (torch's `foreach` on GPUs)."""
    if optim == "adamw_torch":
        return gradients if is_gpu else 2 * largest
    return 0 if optim == "adamw_torch_fused" or "8bit" in optim or "32bit" in optim else 2 * largest


_State = Callable[[str, torch.nn.Parameter], int]


def _state_of(recipe: Recipe) -> _State:
    """Gives the bytes of one parameter's state."""
    if recipe.method.use_muon:
        return lambda name, one: _bytes(one) * (1 if one.ndim == 2 and "embed" not in name else 2)
    if recipe.method.use_adam_mini:
        # One mean square for each row or head instead of each number.
        return lambda _, one: _bytes(one) + (one.shape[0] * 4 if one.ndim > 1 else _bytes(one))
    optim = str(recipe.train.optim).removeprefix("paged_")
    if optim in _COPIES:
        copies = _COPIES[optim]
        return lambda _, one: round(copies * _bytes(one))
    if optim in _FLOAT32:
        values = _FLOAT32[optim]
        return lambda _, one: 4 * values * one.numel()
    if optim in _EIGHT_BIT:
        values, width = _EIGHT_BIT[optim]
        return lambda name, one: values * _eight_bit(name, one, width)
    if optim in ("adafactor", "adalomo"):
        return lambda _, one: 4 * (sum(one.shape[:-2]) + sum(one.shape[-2:]) if one.ndim > 1 else one.numel())
    return lambda _, one: 2 * _bytes(one)


# Values for each number, in the precision of the weights.
_COPIES = {
    "sgd": 0.0,
    "adagrad": 1.0,
    "rmsprop": 1.0,
    "lomo": 0.0,
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


def _eight_bit(name: str, parameter: torch.nn.Parameter, width: float) -> int:
    # transformers keeps the state of embeddings in 32 bits.
    if parameter.numel() < _LEAST_8BIT or "embed" in name:
        return 4 * parameter.numel()
    return round(parameter.numel() * (width + 4 / _BLOCK_8BIT))


def _low_rank(recipe: Recipe, trained: _Parameters, rank: int, targets: Sequence[str], optim: str) -> OptimizerMemory:
    """GaLore and APOLLO: moments of the projected gradient, and the projection."""
    everything = list(targets) == ["all"]
    width = 1 if "8bit" in optim else None
    state = 0
    for name, parameter in trained:
        size = _bytes(parameter) // parameter.numel()
        chosen = parameter.ndim == 2 and "embed" not in name and "lm_head" not in name
        if chosen and (everything or any(target in name for target in targets)):
            short, long = sorted(parameter.shape)
            used = min(rank, short)
            state += 2 * used * long * (width or size) + used * short * size
        elif width:
            state += 2 * _eight_bit(name, parameter, width)
        else:
            state += 2 * _bytes(parameter)
    largest = max((_bytes(parameter) for _, parameter in trained), default=0)
    by_layer = recipe.galore.galore_layerwise or recipe.apollo.apollo_layerwise or optim.endswith("layerwise")
    gradients = largest if by_layer else sum(_bytes(parameter) for _, parameter in trained)
    return OptimizerMemory(state, gradients, 2 * largest, state)


def _badam(recipe: Recipe, trained: _Parameters, gradients: int) -> OptimizerMemory:
    """One block at a time: gradients and state of the largest; in mode `ratio` a share of every matrix."""
    if recipe.badam.badam_mode == "ratio":
        state = round(2 * recipe.badam.badam_update_ratio * gradients)
        return OptimizerMemory(state, gradients, 0, state)
    blocks: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for name, parameter in trained:
        found = _LAYER.search(name)
        if found is None:
            # Embeddings, output layer and the last norm never have their turn.
            continue
        block = found.group(1)
        blocks[block] = blocks.get(block, 0) + _bytes(parameter)
        numbers[block] = numbers.get(block, 0) + parameter.numel()
    # Two moments in float32, and a copy of the block in float32 where the weights have 16 bits.
    largest = max(blocks, key=lambda block: blocks[block], default="")
    if not largest:
        return OptimizerMemory(0, 0, 0, 0)
    half = blocks[largest] < 4 * numbers[largest]
    state = (12 if half else 8) * numbers[largest]
    return OptimizerMemory(state, blocks[largest], 0, state)


def _bytes(parameter: torch.nn.Parameter) -> int:
    return int(parameter.numel() * parameter.element_size())
