"""Which weights of a model an optimizer treats in which way: groups by decay, by layer name, by shape."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from transformers.trainer_utils import check_target_module_exists

from trainer.errors import UserError

from .base import Group


def trained_weights(model: Any) -> dict[str, torch.nn.Parameter]:
    """The weights that are trained, by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def grouped(
    weights: dict[str, torch.nn.Parameter], decaying: Collection[str], decay: float, **settings: Any
) -> list[Group]:
    """Up to two groups: the weights that decay, and those that do not; empty ones are left out."""
    groups: list[Group] = []
    for decays in (True, False):
        chosen = [weight for name, weight in weights.items() if (name in decaying) is decays]
        if chosen:
            groups.append({"params": chosen, "weight_decay": decay if decays else 0.0, "decays": decays, **settings})
    return groups


def linear_weights(model: Any, targets: list[str] | str, field: str) -> set[str]:
    """The names of the matrices of linear layers that `targets` names.

    `["all"]` is every linear layer but the output layer; names in a list stand for every layer whose name contains
    them; a text is transformers' `optim_target_modules`: `all-linear` or an expression that the whole name matches.

    Raises:
        UserError: when there is none.
    """
    output = model.get_output_embeddings()
    linear = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    if isinstance(targets, str):
        everything = targets.replace("_", "-") == "all-linear"
        chosen = {name for name in linear if everything or check_target_module_exists(targets, name)}
    elif targets == ["all"]:
        chosen = {name for name, module in linear.items() if module is not output}
    else:
        chosen = {name for name in linear if any(target in name for target in targets)}
    names = {f"{name}.weight" for name in chosen} & trained_weights(model).keys()
    if not names:
        short = sorted({name.rpartition(".")[2] for name in linear})
        raise UserError(
            f"no trained linear layer has such a name: expected all, {', '.join(short)}", field=field, value=targets
        )
    return names
