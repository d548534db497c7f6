"""Which part of the weights has its turn in BAdam: layer after layer, or a share of each matrix. Not for training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import torch

_LAYER = re.compile(r"\.\d+\.")
_SMALLEST_CUT = 100
"""Weights with fewer numbers are trained whole in each turn."""

State = dict[str, int]


class Turns(Protocol):
    """Parts of the weights that take turns."""

    interval: int
    """Steps in a turn; -1: it never ends."""

    def parts(self) -> dict[int, torch.Tensor | None]:
        """The weights (by number) of this turn, each with the places that are trained; None: all of it."""
        ...

    def advance(self) -> None:
        """Begin the next turn."""
        ...

    def told(self) -> str:
        """Whose turn it is, in words for the log."""
        ...

    def state(self) -> State:
        """Where it stands."""
        ...

    def restore(self, state: State) -> None:
        """Go on from what `state` gave."""
        ...


def layers_of(names: Sequence[str]) -> list[list[int]]:
    """The numbers of the weights of each layer, in the model's order; what lies outside of layers is left out."""
    layers: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        if found := _LAYER.search(name):
            layers.setdefault(name[: found.end()], []).append(number)
    return list(layers.values())


class LayerTurns:
    """Whole layers in turn."""

    def __init__(self, layers: list[list[int]], mode: str, start: int | None, interval: int, seed: int) -> None:
        """`mode`: ascending, descending, random (every round in a new order) or fixed (one layer for good)."""
        self.interval = -1 if mode == "fixed" else interval
        self._layers, self._mode, self._start, self._seed = layers, mode, start, seed
        self._turn = 0

    @property
    def layer(self) -> int:
        """The number of the layer whose turn it is."""
        count = len(self._layers)
        if self._mode == "random":
            if self._turn == 0 and self._start is not None:
                return self._start
            round_, place = divmod(self._turn, count)
            generator = torch.Generator().manual_seed(self._seed + round_)
            return int(torch.randperm(count, generator=generator)[place])
        first = self._start if self._start is not None else count - 1 if self._mode == "descending" else 0
        return (first + (-self._turn if self._mode == "descending" else self._turn)) % count

    def parts(self) -> dict[int, torch.Tensor | None]:
        """Every weight of the layer, whole."""
        return dict.fromkeys(self._layers[self.layer])

    def told(self) -> str:
        """The number of the layer."""
        return f"layer {self.layer} of {len(self._layers)}"

    def advance(self) -> None:
        """The next layer."""
        self._turn += 1

    def state(self) -> State:
        """The number of turns so far."""
        return {"turn": self._turn}

    def restore(self, state: State) -> None:
        """Go on after so many turns."""
        self._turn = state["turn"]


class ShareTurns:
    """In each turn the same share of every weight, the next places in the next turn."""

    def __init__(
        self,
        sizes: dict[int, int],
        devices: dict[int, torch.device],
        *,
        ratio: float,
        scattered: bool,
        interval: int,
        seed: int,
    ) -> None:
        """`sizes`: how many numbers each weight has; `scattered`: places lie in a random order that stays the same."""
        self.interval = interval
        self._sizes, self._devices, self._ratio, self._scattered, self._seed = sizes, devices, ratio, scattered, seed
        self._turn = 0

    def parts(self) -> dict[int, torch.Tensor | None]:
        """The places of this turn."""
        return {number: self._places(number, size) for number, size in self._sizes.items()}

    def told(self) -> str:
        """The number of the turn."""
        return f"share {self._turn}"

    def _places(self, number: int, size: int) -> torch.Tensor | None:
        share = int(size * self._ratio)
        if size < _SMALLEST_CUT or share in (0, size):
            return None
        places = (torch.arange(share) + self._turn * share) % size
        if self._scattered:
            generator = torch.Generator().manual_seed(self._seed + number)
            places = torch.randperm(size, generator=generator)[places]
        return places.to(self._devices[number])

    def advance(self) -> None:
        """The next places."""
        self._turn += 1

    def state(self) -> State:
        """The number of turns so far."""
        return {"turn": self._turn}

    def restore(self, state: State) -> None:
        """Go on after so many turns."""
        self._turn = state["turn"]
