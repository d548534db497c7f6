"""What our own optimizers (`trainer.engine.optimizers`) keep for each weight and need while they update it, by formula.

Not for those of torch, transformers and bitsandbytes (`optimizer_state`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch

from trainer.config import Recipe
from trainer.config.optim_args import has_low_rank_arguments, low_rank_arguments

Weights = Sequence[tuple[str, torch.nn.Parameter]]
StateOf = Callable[[str, torch.Tensor], int]
"""The bytes of the state of one weight, by its name and shape."""

_LAYER = re.compile(r".*?\.\d+\.")
_SMALLEST_CUT = 100
# Which sides of a matrix are projected: (rows, columns), for a tall one and for a wide one.
_SIDES = {
    "std": ((False, True), (True, False)),
    "reverse_std": ((True, False), (False, True)),
    "left": ((True, False), (True, False)),
    "right": ((False, True), (False, True)),
    "full": ((True, True), (True, True)),
}


@dataclass(frozen=True)
class WeightMemory:
    """Bytes of one weight's optimizer."""

    state: int
    passing: int
    """Held for a moment, beside the gradient, while this weight is updated."""


@dataclass(frozen=True)
class Projection:
    """How GaLore and APOLLO see matrices."""

    rank: int
    kind: str
    by_vectors: bool
    """Singular vectors, which must be found; else random directions."""
    targets: Sequence[str] | str
    in_backward: bool
    """Each weight is updated as soon as its gradient is there."""
    is_apollo: bool = False
    scale_first: bool = False

    def is_projected(self, name: str, weight: torch.Tensor) -> bool:
        """Whether a weight is a matrix of a linear layer that was named (`targets.linear_weights`)."""
        if weight.ndim != 2 or "embed" in name:
            return False
        module = name.removesuffix(".weight")
        if isinstance(self.targets, str):
            if self.targets.replace("_", "-") == "all-linear":
                return True
            return re.fullmatch(self.targets, module) is not None
        if list(self.targets) == ["all"]:
            return "lm_head" not in name
        return any(target in module for target in self.targets)

    def shapes(self, weight: torch.Tensor) -> tuple[tuple[int, int], int]:
        """The small matrix, and how many numbers its projections have."""
        rows, columns = weight.shape
        left, right = _SIDES[self.kind][0 if rows >= columns else 1]
        rank = min(self.rank, rows, columns) if self.by_vectors else self.rank
        small = (rank if left else rows, rank if right else columns)
        return small, rank * (rows * left + columns * right)


def projection_of(recipe: Recipe) -> Projection | None:
    """GaLore or APOLLO of a recipe, by its table or by transformers' name with its defaults."""
    galore, apollo, optim = recipe.galore, recipe.apollo, str(recipe.train.optim)
    if galore.use_galore:
        return Projection(
            galore.galore_rank, galore.galore_proj_type, True, galore.galore_target, galore.galore_layerwise
        )
    if apollo.use_apollo:
        return Projection(
            apollo.apollo_rank,
            apollo.apollo_proj_type,
            apollo.apollo_proj != "random",
            apollo.apollo_target,
            apollo.apollo_layerwise,
            True,
            apollo.apollo_scale_front,
        )
    if not has_low_rank_arguments(optim):
        return None
    given = low_rank_arguments(optim, recipe.train.optim_args)
    is_apollo = optim.startswith("apollo_")
    return Projection(
        given.rank,
        given.proj_type,
        not is_apollo or not given.random,
        recipe.trainer.get("optim_target_modules") or "all-linear",
        optim.endswith("_layerwise"),
        is_apollo,
    )


def projected_memory(
    projection: Projection, name: str, weight: torch.Tensor, state_of: StateOf, copies: int
) -> WeightMemory:
    """GaLore's or APOLLO's; the base optimizer makes `copies` of what it is given while it works."""
    size, full = weight.element_size(), _bytes(weight)
    if not projection.is_projected(name, weight):
        return WeightMemory(state_of(name, weight), (2 if projection.is_apollo else copies) * full)
    shape, numbers = projection.shapes(weight)
    seen = torch.empty(shape, dtype=weight.dtype, device="meta")
    small = _bytes(seen)
    if projection.is_apollo:
        # The scaled gradient and the next one made from it, beside the small gradient and what Adam makes of it.
        step = 2 * full + 2 * small
    else:
        # The small gradient and the small update; then the base's copies, or the update in full.
        step = 2 * small + max(copies * small, full)
    search = _search_bytes(weight) if projection.by_vectors else 0
    return WeightMemory(state_of(name, seen) + numbers * size, max(step, search))


def _search_bytes(weight: torch.Tensor) -> int:
    """Finding singular vectors in float32: the matrix turned round, both factors, LAPACK's room to work in."""
    short = min(weight.shape)
    converted = weight.numel() if weight.element_size() < 4 else 0
    return 4 * (converted + 2 * weight.numel() + short * short + 4 * short * short + 7 * short + 2 * short)


def adam_mini_memory(name: str, weight: torch.Tensor) -> WeightMemory:
    """A mean for each number, a square for each row; the squares of the gradient pass by, then the update."""
    blocks = weight.numel() // weight.shape[-1] if weight.ndim > 1 else weight.numel() if name.endswith("bias") else 1
    return WeightMemory(_bytes(weight) + blocks * weight.element_size(), _bytes(weight))


def muon_memory(name: str, weight: torch.Tensor) -> WeightMemory:
    """Muon's for matrices, AdamW's for the rest."""
    if weight.ndim != 2 or "embed" in name or "lm_head" in name:
        return WeightMemory(2 * _bytes(weight), 2 * _bytes(weight))
    # The update, and in 16 bits: the matrix that is made orthogonal, the next one, and two squares of its short side.
    return WeightMemory(_bytes(weight), _bytes(weight) + 4 * weight.numel() + 4 * min(weight.shape) ** 2)


def adalomo_memory(weight: torch.Tensor) -> WeightMemory:
    """A number for each row and column; three copies in float32 pass by, and the gradient's where it has 16 bits."""
    return WeightMemory(4 * factored_numbers(weight), 4 * 3 * weight.numel())


def factored_numbers(weight: torch.Tensor) -> int:
    """Numbers of a second moment that is kept by rows and columns of the last two dimensions."""
    if weight.ndim < 2:
        return weight.numel()
    return weight.numel() // weight.shape[-1] + weight.numel() // weight.shape[-2]


@dataclass(frozen=True)
class BlockMemory:
    """BAdam: bytes for the part of the weights that has its turn."""

    weights: Collection[str]
    """Those that get gradients."""
    state: int
    """The base optimizer's, copies in float32, and the places of shares."""
    gradients: dict[str, int]
    """What is kept of each weight's gradient."""
    passing: int


def block_memory(recipe: Recipe, trained: Weights, state_of: StateOf, copies: int, *, is_gpu: bool) -> BlockMemory:
    """The first layer's turn, whose backward pass goes through all others; or a share of every matrix."""
    if recipe.badam.badam_mode == "ratio":
        parts = {
            name: _share(weight, recipe.badam.badam_update_ratio)
            for name, weight in trained
            if "embed" not in name and "lm_head" not in name
        }
        places = sum(8 * numbers for numbers, is_share in parts.values() if is_share)
        # Where the places lie in random order, all of a weight's are shuffled when a turn begins.
        largest = max((weight.numel() for name, weight in trained if name in parts), default=0)
        shuffling = 8 * largest if recipe.badam.badam_mask_mode == "scatter" and not is_gpu else 0
    else:
        first = next((prefix for name, _ in trained if (prefix := _layer_of(name))), None)
        parts = {
            name: (weight.numel(), False) for name, weight in trained if first is not None and _layer_of(name) == first
        }
        places = shuffling = 0
    weights = dict(trained)
    state, largest_copy = places, 0
    for name, (numbers, is_share) in parts.items():
        shape = (numbers,) if is_share else tuple(weights[name].shape)
        copy = torch.empty(shape, dtype=torch.float32, device="meta")
        state += state_of(name, copy)
        largest_copy = max(largest_copy, _bytes(copy))
        if is_share or weights[name].element_size() < 4:
            state += _bytes(copy)
    gradients = {name: 4 * numbers for name, (numbers, _) in parts.items()}
    return BlockMemory(set(parts), state, gradients, max(copies * largest_copy, shuffling))


def _layer_of(name: str) -> str | None:
    found = _LAYER.match(name)
    return None if found is None else found.group()


def _share(weight: torch.Tensor, ratio: float) -> tuple[int, bool]:
    """How many numbers have their turn, and whether they are fewer than all."""
    share = math.floor(weight.numel() * ratio)
    if weight.numel() < _SMALLEST_CUT or share in (0, weight.numel()):
        return weight.numel(), False
    return share, True


def _bytes(weight: torch.Tensor) -> int:
    return int(weight.numel() * weight.element_size())
