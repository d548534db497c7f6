"""Muon for matrices and AdamW for the rest, as one optimizer.

Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the size of the update is that of
AdamW, Liu et al. 2025, "Muon is Scalable for LLM Training", arXiv 2502.16982, so that learning rates carry over.
"""

from __future__ import annotations

from typing import Any

import torch

from .base import Group, OwnOptimizer


class MuonWithAdamW(OwnOptimizer):
    """Groups with `muon = True` go to torch's Muon, others to its AdamW; both read the same groups."""

    def __init__(self, groups: list[Group], *, rate: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(groups, {"lr": rate, "weight_decay": 0.0, "muon": False})
        self._parts: list[torch.optim.Optimizer] = []
        matrices = [group for group in self.param_groups if group["muon"]]
        others = [group for group in self.param_groups if not group["muon"]]
        if matrices:
            self._parts.append(torch.optim.Muon(matrices, lr=rate, adjust_lr_fn="match_rms_adamw"))
        if others:
            self._parts.append(torch.optim.AdamW(others, lr=rate, betas=betas, eps=eps))

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One step of both."""
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of both."""
        return {**super().state_dict(), "parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "parts"})
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        # Loading made new groups everywhere: the parts look at ours again, where schedules change the rate.
        wants_muon = [True, False] if len(self._parts) == 2 else [isinstance(self._parts[0], torch.optim.Muon)]
        for part, muon in zip(self._parts, wants_muon, strict=True):
            part.param_groups = [group for group in self.param_groups if group["muon"] is muon]
