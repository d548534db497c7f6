"""The head of a reward model: transformers' own for sequence classification, with one label. Not for training it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from peft.utils.constants import SEQ_CLS_HEAD_NAMES
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from trainer.config import Recipe
from trainer.errors import UserError


def model_kind(recipe: Recipe, config: Any) -> Any:
    """The auto class that loads the recipe's model; that of a reward model gets its one label into `config`."""
    if recipe.method.stage != "rm":
        return AutoModelForCausalLM
    config.num_labels = 1
    return AutoModelForSequenceClassification


def train_head(model: Any, recipe: Recipe) -> None:
    """See to it that the head of a model prepared for training is trained, whatever the method trains beside it.

    Raises:
        UserError: when an adapter is continued that is not one of a reward model: its files have no place for a head.
    """
    parameters = list(_head(model))
    if recipe.method.finetuning_type == "freeze":
        for parameter in parameters:
            parameter.requires_grad_(True)
    if not any(parameter.requires_grad for parameter in parameters):
        raise UserError(
            "this adapter is not one of a reward model, so that it has no head to train",
            field="adapter_name_or_path",
            value=recipe.model.adapter_name_or_path,
            hint="Set create_new_adapter = true: the adapter is merged, and a new one trained with a head.",
        )


def _head(model: Any) -> Iterator[torch.nn.Parameter]:
    for name, parameter in model.named_parameters():
        if any(part in SEQ_CLS_HEAD_NAMES for part in name.split(".")):
            yield parameter
