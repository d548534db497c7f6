"""LOMO and AdaLomo: updates during the backward pass, with no state, or with one number a row and a column.

Sources: Lv et al. 2023, "Full Parameter Fine-tuning for Large Language Models with Limited Resources", arXiv
2306.09782; "AdaLomo: Low-memory Optimization with Adaptive Learning Rate", arXiv 2310.10195. Not the package
lomo-optim: it updates before anybody can look at a gradient that is not finite, and forgets the state of AdaLomo.
"""

from __future__ import annotations

import torch

from .base import Group, WeightByWeight

_LEAST_SQUARE, _LEAST_SCALE = 1e-30, 1e-3
_MEMORY = 0.8


class Lomo(WeightByWeight):
    """Plain gradient descent: W becomes W - rate * (G + weight_decay * W)."""

    def __init__(self, groups: list[Group], rate: float) -> None:
        super().__init__(groups, {"lr": rate, "weight_decay": 0.0})

    def update(self, weight: torch.Tensor, group: Group) -> None:
        """One step."""
        assert weight.grad is not None
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(weight.grad, alpha=-group["lr"])


class AdaLomo(WeightByWeight):
    """Gradients over the root of a factored second moment, as in Adafactor, limited to a root mean square of 1 and
    taken in proportion to the weight's own: W becomes W - rate * (max(rms(W), 1e-3) * U + weight_decay * W).
    """

    def __init__(self, groups: list[Group], rate: float) -> None:
        super().__init__(groups, {"lr": rate, "weight_decay": 0.0})

    def update(self, weight: torch.Tensor, group: Group) -> None:
        """One step."""
        assert weight.grad is not None
        state = self.state[weight]
        state["step"] = int(state.get("step", 0)) + 1
        remember = 1 - state["step"] ** -_MEMORY
        square = weight.grad.float().square() + _LEAST_SQUARE
        moved = weight.grad.float() / self._root(square, state, remember)
        moved = moved / _rms(moved).clamp(min=1.0)
        scale = _rms(weight.float()).clamp(min=_LEAST_SCALE)
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.sub_((group["lr"] * scale * moved).to(weight.dtype))

    def _root(self, square: torch.Tensor, state: dict[str, torch.Tensor], remember: float) -> torch.Tensor:
        """The root of the second moment after `square`."""
        if square.ndim < 2:
            return self._mean("square", square, state, remember).sqrt()
        rows = self._mean("rows", square.mean(dim=-1), state, remember)
        columns = self._mean("columns", square.mean(dim=-2), state, remember)
        share = rows / rows.mean(dim=-1, keepdim=True)
        return (share.unsqueeze(-1) * columns.unsqueeze(-2)).sqrt()

    def _mean(self, name: str, now: torch.Tensor, state: dict[str, torch.Tensor], remember: float) -> torch.Tensor:
        before = state.get(name, torch.zeros_like(now))
        state[name] = before * remember + now * (1 - remember)
        return state[name]


def _rms(values: torch.Tensor) -> torch.Tensor:
    return values.square().mean().sqrt()
