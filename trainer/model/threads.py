"""How many processor threads torch uses on a machine without a GPU."""

from __future__ import annotations

import os

import torch

# Seen with the demo model (1.9 M parameters, batch 8) on two cores: one thread 0.08 s a step; two threads 0.07 s while
# nothing else ran, and up to 5 s as soon as something did, because waiting threads spin.
_SMALL_MODEL_PARAMETERS = 20_000_000


def choose_threads(parameters: int) -> int:
    """One thread for a small model on the CPU, unless OMP_NUM_THREADS says otherwise; returns the number in force."""
    if parameters < _SMALL_MODEL_PARAMETERS and "OMP_NUM_THREADS" not in os.environ and not torch.cuda.is_available():
        torch.set_num_threads(1)
    return int(torch.get_num_threads())
