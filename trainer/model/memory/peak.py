"""Counts the bytes that tensors hold while a model runs on fake tensors. Not for building the model (`blueprint`)."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

_TO_NUMBER = torch.ops.aten._local_scalar_dense.default
_BLOCK = 512  # the CUDA allocator hands out multiples of this many bytes


class PeakTracker(TorchDispatchMode):
    """Adds every storage when it appears, takes it off when it is freed, and remembers the highest sum.

    torch's own MemTracker hooks every parameter and fails on frozen ones, which is what LoRA has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.current = 0
        """Bytes that are held now."""
        self.peak = 0
        """Most bytes that were held at once since `restart`."""
        self._living: dict[int, int] = {}
        self._watched: dict[int, weakref.ref[Any]] = {}

    def restart(self) -> None:
        """Begin a new peak from what is held now."""
        self.peak = self.current

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        if function is _TO_NUMBER and arguments[0].dtype is torch.bool:
            # Adapters ask so whether this pass drops them (LoHa, LoKr): one that does not is what takes memory.
            return True
        result = function(*arguments, **(keywords or {}))
        for value in tree_iter(result):
            if isinstance(value, torch.Tensor):
                self._add(value)
        return result

    def _add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._living:
            return
        size = -(-storage.nbytes() // _BLOCK) * _BLOCK
        self._living[key] = size
        self.current += size
        self.peak = max(self.peak, self.current)
        self._watched[key] = weakref.ref(storage, lambda _: self._remove(key))

    def _remove(self, key: int) -> None:
        self.current -= self._living.pop(key, 0)
        self._watched.pop(key, None)
