"""The state of everything that is drawn by chance in this process: Python, numpy, torch. Not for checkpoints."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from transformers import set_seed


@dataclass(frozen=True)
class RandomState:
    """The state at one moment."""

    python: Any
    numpy: Any
    torch: torch.Tensor
    cuda: torch.Tensor | None
    device: torch.device

    @staticmethod
    def now(device: torch.device) -> RandomState:
        """The state as it is, on the CPU and on `device`."""
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return RandomState(random.getstate(), numpy.random.get_state(), torch.get_rng_state(), cuda, device)

    def restore(self) -> None:
        """Everything is drawn again as it was from then on."""
        random.setstate(self.python)
        numpy.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from `seed` inside, and afterwards as if nothing had been drawn."""
    before = RandomState.now(device)
    set_seed(seed)
    try:
        yield
    finally:
        before.restore()
