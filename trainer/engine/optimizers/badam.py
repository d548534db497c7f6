"""BAdam: an optimizer for one part of the weights at a time, so that only this part has gradients and state.

Source: Luo et al. 2024, "BAdam: A Memory Efficient Full Parameter Optimization Method for Large Language Models", arXiv
2404.02827. Not the package badam: a run could not be resumed, because it keeps neither its block nor its weights in
full precision, and its masks reseed the random numbers of the whole process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .base import Group, MakeBase, OwnOptimizer
from .turns import Turns


@dataclass(frozen=True)
class Weight:
    """A weight of the model that may have a turn."""

    name: str
    parameter: torch.nn.Parameter
    decays: bool


class BlockOptimizer(OwnOptimizer):
    """Trains the part whose turn it is: a float32 copy of it, written back after each step, where it is a share of a
    weight or the weights have 16 bits, else the weights themselves.

    Weights that have no turn do not even get gradients. Gradients are moved to the copies during the backward pass, so
    that those of a share of a matrix take the room of the share. Each turn begins with fresh state.
    """

    def __init__(
        self, weights: list[Weight], turns: Turns, make_base: MakeBase, *, rate: float, decay: float, verbose: int = 0
    ) -> None:
        """`verbose`: at each turn print nothing (0), whose turn it is (1), its weights (2)."""
        self._weights, self._turns, self._make_base, self._verbose = weights, turns, make_base, verbose
        self._done = 0
        self._printed = ""
        self._shares: dict[int, torch.nn.Parameter] = {}
        self._places: dict[int, torch.Tensor | None] = {}
        groups: list[Group] = [
            {"params": [], "lr": rate, "weight_decay": decay, "decays": True},
            {"params": [], "lr": rate, "weight_decay": 0.0, "decays": False},
        ]
        super().__init__(groups, {"lr": rate})
        for number, weight in enumerate(weights):
            weight.parameter.requires_grad_(True)
            weight.parameter.register_post_accumulate_grad_hook(self._mover(number))
        self._begin_turn()

    def _begin_turn(self) -> None:
        self._places = self._turns.parts()
        self._shares = {}
        for group in self.param_groups:
            group["params"] = []
        for number, weight in enumerate(self._weights):
            weight.parameter.grad = None
            weight.parameter.requires_grad_(number in self._places)
            if number in self._places:
                self._shares[number] = torch.nn.Parameter(self._taken(number, weight.parameter.data))
                self.param_groups[0 if weight.decays else 1]["params"].append(self._shares[number])
        self.state.clear()
        # The base puts its settings into the groups that it is given: both see the same ones from then on.
        self._base = self._make_base(self.param_groups)
        assert all(own is other for own, other in zip(self.param_groups, self._base.param_groups, strict=True))

    def _taken(self, number: int, values: torch.Tensor) -> torch.Tensor:
        """The part of a weight, or of its gradient, that has its turn, as float32; the same memory where it can be."""
        places = self._places[number]
        return (values if places is None else values.reshape(-1)[places]).float()

    def _is_copy(self, number: int) -> bool:
        return self._shares[number].data_ptr() != self._weights[number].parameter.data_ptr()

    def _mover(self, number: int) -> Any:
        @torch.no_grad()
        def move(parameter: torch.Tensor) -> None:
            share = self._shares.get(number)
            if share is not None and parameter.grad is not None:
                part = self._taken(number, parameter.grad)
                share.grad = part if share.grad is None else share.grad.add_(part)
            parameter.grad = None

        return move

    def gathered_norm(self, limit: float) -> torch.Tensor | None:
        """The norm over the part that has its turn, which is shortened as a whole."""
        return torch.nn.utils.clip_grad_norm_(self._shares.values(), limit if limit > 0 else float("inf"))

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One step for the part whose turn it is; at the end of a turn the next part is taken up."""
        self._print_turn()
        self._base.step()
        for number, share in self._shares.items():
            share.grad = None
            if self._is_copy(number):
                values, places = self._weights[number].parameter.data, self._places[number]
                if places is None:
                    values.copy_(share.data)
                else:
                    values.view(-1)[places] = share.data.to(values.dtype)
        self._done += 1
        if self._turns.interval > 0 and self._done % self._turns.interval == 0:
            self._turns.advance()
            self._begin_turn()

    def _print_turn(self) -> None:
        if self._verbose and self._printed != self._turns.told():
            self._printed = self._turns.told()
            print(f"BAdam: {self._printed}", flush=True)
            if self._verbose > 1:
                print("\n".join(f"  {self._weights[number].name}" for number in self._shares), flush=True)

    def state_dict(self) -> dict[str, Any]:
        """The base's state, the turn, and the float32 copies."""
        return {
            **self._base.state_dict(),
            "turns": self._turns.state(),
            "done": self._done,
            "copies": {number: share.data for number, share in self._shares.items() if self._is_copy(number)},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave; the model's weights are those of the same moment."""
        self._turns.restore(state_dict["turns"])
        self._done = state_dict["done"]
        self._begin_turn()
        for number, values in state_dict["copies"].items():
            self._shares[number].data.copy_(values)
        groups = self.param_groups
        self._base.load_state_dict({"state": state_dict["state"], "param_groups": state_dict["param_groups"]})
        for own, loaded in zip(groups, self._base.param_groups, strict=True):
            own.update({name: value for name, value in loaded.items() if name != "params"})
        self._base.param_groups = groups
