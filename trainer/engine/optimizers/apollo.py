"""APOLLO: Adam's scaling of each channel, seen in a low-rank projection, applied to the whole gradient.

Source: Zhu et al. 2024, "APOLLO: SGD-like Memory, AdamW-level Performance", arXiv 2412.05270; the limit on the growth
of the norm is Fira's, Chen et al. 2024, arXiv 2410.01623. Not the package apollo-torch: its licence forbids commercial
use, and its state holds objects that only a pickle can bring back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from .base import Group, WeightByWeight
from .projection import largest_directions, project, random_directions

_GROWTH = 1.01
_TINY = 1e-8


@dataclass(frozen=True)
class ApolloSettings:
    """How gradients are scaled."""

    rank: int
    interval: int
    """Steps between new projections."""
    scale: float
    """The update is multiplied by its square root."""
    kind: str
    """Which side is projected, see `projection.sides_of`."""
    random: bool
    """Random directions instead of singular vectors."""
    by_channel: bool
    """A factor for each channel instead of one for the whole matrix."""
    scale_first: bool
    """Apply `scale` before the limit on growth."""
    seed: int


class Apollo(WeightByWeight):
    """Groups with `projected = True` get factors from a projection; others are trained by AdamW.

    For a matrix W with gradient G and a projection R of it: with Adam's moments M and V of R, the factor of a channel
    is s = |M / sqrt(V)| / |R|, and W becomes W - rate * (correction * sqrt(scale) * s * G + weight_decay * W), where
    the norm of s * G may grow by 1 % a step.
    """

    def __init__(
        self, groups: list[Group], settings: ApolloSettings, *, rate: float, betas: tuple[float, float], eps: float
    ) -> None:
        super().__init__(groups, {"lr": rate, "betas": betas, "eps": eps, "weight_decay": 0.0, "projected": False})
        self._settings = settings
        self._number = {weight: index for index, weight in enumerate(w for g in self.param_groups for w in g["params"])}

    def update(self, weight: torch.Tensor, group: Group) -> None:
        """One step of APOLLO, or of AdamW."""
        assert weight.grad is not None
        gradient = weight.grad
        state = self.state[weight]
        state["step"] = int(state.get("step", 0)) + 1
        seen = self._projected(weight) if group["projected"] else gradient
        if "mean" not in state:
            state["mean"], state["square"] = torch.zeros_like(seen), torch.zeros_like(seen)
        first, second = group["betas"]
        state["mean"].mul_(first).add_(seen, alpha=1 - first)
        state["square"].mul_(second).addcmul_(seen, seen, value=1 - second)
        root = math.sqrt(1 - second ** state["step"])
        correction = root / (1 - first ** state["step"])
        # AdamW adds epsilon to the corrected moment; the paper's factor has none of the corrections in it.
        moved = state["mean"] / (state["square"].sqrt() + group["eps"] * (1.0 if group["projected"] else root))
        if group["projected"]:
            moved = self._scaled(gradient, moved, seen, state)
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(moved, alpha=-group["lr"] * correction)

    def _projected(self, weight: torch.Tensor) -> torch.Tensor:
        settings, state = self._settings, self.state[weight]
        assert weight.grad is not None
        turn, first = divmod(state["step"] - 1, settings.interval)
        if first == 0:
            if settings.random:
                seed = settings.seed + 1_000_003 * self._number[weight] + turn
                sides = random_directions(weight.grad, settings.rank, settings.kind, seed)
            else:
                sides = largest_directions(weight.grad, settings.rank, settings.kind)
            state["left"], state["right"] = sides
        return project(weight.grad, (state["left"], state["right"]))

    def _scaled(
        self, gradient: torch.Tensor, moved: torch.Tensor, seen: torch.Tensor, state: dict[str, object]
    ) -> torch.Tensor:
        """The gradient at the size that Adam would give each channel."""
        settings = self._settings
        if settings.by_channel:
            # Channels run along the longer side, which the projection keeps unless told otherwise.
            across = 0 if gradient.shape[0] < gradient.shape[1] else 1
            factor = moved.norm(dim=across, keepdim=True) / (seen.norm(dim=across, keepdim=True) + _TINY)
        else:
            factor = moved.norm() / (seen.norm() + _TINY)
        scaled = gradient * factor
        if settings.scale_first:
            scaled = scaled * math.sqrt(settings.scale)
        norm = scaled.norm()
        before = state.get("norm")
        if isinstance(before, torch.Tensor):
            excess = (norm / (before + _TINY)).clamp(min=_GROWTH) / _GROWTH
            scaled, norm = scaled / excess, norm / excess
        state["norm"] = norm
        return scaled if settings.scale_first else scaled * math.sqrt(settings.scale)
