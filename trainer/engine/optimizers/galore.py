"""GaLore: any optimizer, with its state in a low-rank projection of each gradient.

Source: Zhao et al. 2024, "GaLore: Memory-Efficient LLM Training by Gradient Low-Rank Projection", arXiv 2403.03507.
Not the package galore-torch: its state holds objects that only a pickle can bring back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .base import Group, MakeBase, WeightByWeight
from .projection import Sides, largest_directions, project, project_back


@dataclass(frozen=True)
class GaloreSettings:
    """How matrices are projected."""

    rank: int
    interval: int
    """Steps between new projections."""
    scale: float
    """Factor on the update."""
    kind: str
    """Which side is projected, see `projection.sides_of`."""


class Galore(WeightByWeight):
    """Groups with `projected = True` are projected, others go to the optimizer as they are.

    For a matrix W with gradient G, and P its largest singular vectors of every `interval`-th gradient: the optimizer
    sees P'G and answers with an update N of that size; W becomes W - rate * (scale * P N + weight_decay * W).
    """

    def __init__(self, groups: list[Group], make_base: MakeBase, settings: GaloreSettings, rate: float) -> None:
        super().__init__(groups, {"lr": rate, "weight_decay": 0.0, "projected": False})
        self._settings = settings
        self._small: dict[torch.Tensor, torch.nn.Parameter] = {}
        self._bases: dict[torch.Tensor, torch.optim.Optimizer] = {}
        for group in self.param_groups:
            for weight in group["params"]:
                seen = weight
                if group["projected"]:
                    # It holds memory only during an update.
                    seen = self._small[weight] = torch.nn.Parameter(weight.new_empty(0))
                self._bases[weight] = make_base([{"params": [seen], "lr": 1.0, "weight_decay": 0.0}])

    def update(self, weight: torch.Tensor, group: Group) -> None:
        """One step of the base optimizer, in full or in small."""
        base = self._bases[weight]
        settings = base.param_groups[0]
        if weight not in self._small:
            settings["lr"], settings["weight_decay"] = group["lr"], group["weight_decay"]
            base.step()
            return
        assert weight.grad is not None
        state = self.state[weight]
        done = int(state.get("step", 0))
        if done % self._settings.interval == 0:
            left, right = largest_directions(weight.grad, self._settings.rank, self._settings.kind)
            state["left"], state["right"] = left, right
        state["step"] = done + 1
        sides: Sides = state["left"], state["right"]
        small = self._small[weight]
        gradient = project(weight.grad, sides)
        small.data, small.grad = torch.zeros_like(gradient), gradient
        # At the rate 1 and from zero, what it is afterwards is the update.
        base.step()
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(project_back(small.data, sides), alpha=group["lr"] * self._settings.scale)
        small.data, small.grad = weight.new_empty(0), None

    def state_dict(self) -> dict[str, Any]:
        """Projections and steps, and the state of the optimizer for each weight in order."""
        return {**super().state_dict(), "bases": [base.state_dict() for base in self._bases.values()]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        own = {name: value for name, value in state_dict.items() if name != "bases"}
        super().load_state_dict(own)
        for base, state in zip(self._bases.values(), state_dict["bases"], strict=True):
            base.load_state_dict(state)
