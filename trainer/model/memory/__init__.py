"""Will it fit? What a training step needs, known before anything is loaded: `estimate_memory`."""

from trainer.model.memory.device import Device
from trainer.model.memory.estimate import MemoryEstimate, estimate_memory

__all__ = ["Device", "MemoryEstimate", "estimate_memory"]
