"""The head of a reward model: transformers' own for sequence classification, with one label. Not for training it."""

from __future__ import annotations

from typing import Any

import torch
from peft import TaskType
from peft.utils.constants import SEQ_CLS_HEAD_NAMES
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from trainer.config import Recipe


def model_kind(recipe: Recipe, config: Any) -> Any:
    """The auto class that loads the recipe's model; that of a reward model gets its one label into `config`."""
    if recipe.method.stage != "rm":
        return AutoModelForCausalLM
    config.num_labels = 1
    return AutoModelForSequenceClassification


def train_head(model: Any) -> None:
    """Let the head of a reward model be trained, whatever else the method trains; with an adapter PEFT does that."""
    for _, parameter in _head(model):
        parameter.requires_grad_(True)


def is_reward_model(model: Any) -> bool:
    """Whether the model gives numbers and writes nothing."""
    return not model.can_generate()


def with_place_for_head(
    model: Any, config: Any, weights: dict[str, torch.Tensor]
) -> tuple[Any, dict[str, torch.Tensor]]:
    """The configuration and the weights of an adapter of a model that writes, as those of one of the reward model: with
    the head as it is now."""
    config.task_type = TaskType.SEQ_CLS
    head = {f"base_model.model.{name}": parameter.detach().clone() for name, parameter in _head(model)}
    return config, {**weights, **head}


def _head(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    """The parameters of the head by their names."""
    return [
        (name, parameter)
        for name, parameter in model.named_parameters()
        if any(part in SEQ_CLS_HEAD_NAMES for part in name.split("."))
    ]
