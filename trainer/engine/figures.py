"""Figures of a stage beside its loss, as means over all rows since the last time somebody asked. Not for events."""

from __future__ import annotations

import torch


class Figures:
    """Gathers values batch by batch, without waiting for the GPU."""

    def __init__(self) -> None:
        self._parts: dict[str, list[tuple[torch.Tensor, int]]] = {}

    def add(self, name: str, values: torch.Tensor) -> None:
        """Add the values of some rows, (rows,); none of them is fine."""
        if values.numel():
            part = (values.detach().double().sum(), values.numel())
            self._parts.setdefault(name, []).append(part)

    def take(self) -> dict[str, float]:
        """The mean of each figure; the next one begins anew."""
        parts, self._parts = self._parts, {}
        return {
            name: float(torch.stack([total for total, _ in added]).sum()) / sum(count for _, count in added)
            for name, added in parts.items()
        }
