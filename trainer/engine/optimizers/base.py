"""What our optimizers have beyond torch's: gradients may be used up, or gathered, before the step comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Group = dict[str, Any]
"""Weights with their settings. `decays` says whether `weight_decay` is meant for them."""

MakeBase = Callable[[list[Group]], torch.optim.Optimizer]
"""Makes the optimizer that does the arithmetic on the groups it is given."""


class OwnOptimizer(torch.optim.Optimizer):
    """An optimizer of ours."""

    left_out: int = 0
    """Weights that were left as they are in this step, because their gradient was not finite."""

    def gathered_norm(self, limit: float) -> torch.Tensor | None:
        """The norm of all gradients of this step where they do not lie on the model's weights any more, before they
        were shortened to `limit` (0: not at all). None: they lie there, and the trainer clips them.
        """
        return None


class WeightByWeight(OwnOptimizer):
    """An optimizer that updates each weight by itself: all of them in `step`, or each during the backward pass."""

    _norms: list[torch.Tensor] | None = None

    def update(self, weight: torch.Tensor, group: Group) -> None:
        """Move `weight` along its gradient."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update all weights that have a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.update(weight, group)

    def update_in_backward(self, limit: Callable[[], float]) -> None:
        """From now on update each weight as soon as its gradient is complete, and free the gradient.

        The norm of all gradients is not known then: each gradient is shortened to `limit()` by itself, and one that is
        not finite moves nothing.
        """
        self._norms = []
        for number, group in enumerate(self.param_groups):
            for weight in group["params"]:
                weight.register_post_accumulate_grad_hook(self._updater(number, limit))

    def _updater(self, group: int, limit: Callable[[], float]) -> Callable[[torch.Tensor], None]:
        @torch.no_grad()
        def update_now(weight: torch.Tensor) -> None:
            assert weight.grad is not None
            assert self._norms is not None
            norm = torch.linalg.vector_norm(weight.grad, dtype=torch.float32)
            self._norms.append(norm)
            if not torch.isfinite(norm):
                self.left_out += 1
            else:
                if limit() > 0:
                    weight.grad.mul_((limit() / (norm + 1e-6)).clamp(max=1.0))
                # Groups are looked up by number: loading a state makes new ones.
                self.update(weight, self.param_groups[group])
            weight.grad = None

        return update_now

    def gathered_norm(self, limit: float) -> torch.Tensor | None:
        """The norm over all weights; each was shortened by itself."""
        if self._norms is None:
            return None
        norms, self._norms = self._norms, []
        return torch.linalg.vector_norm(torch.stack(norms)) if norms else torch.zeros(())
