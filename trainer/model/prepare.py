"""From the base model to the model that is trained: the method's choice of parameters, their precision, their count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from trainer.config import Recipe
from trainer.run.messages import Say

from .adapters import add_lora
from .freeze import freeze_model
from .reward_head import train_head
from .vocabulary import finish_adapter, train_new_rows


@dataclass(frozen=True)
class ParameterCount:
    """How many parameters a model has and how many of them are trained."""

    trainable: int
    total: int


def prepare_model(model: Any, recipe: Recipe, say: Say) -> Any:
    """Apply `finetuning_type`: full, freeze or lora. Trained weights are float32 unless `pure_bf16`."""
    method = recipe.method.finetuning_type
    if method == "lora":
        model = add_lora(model, recipe, say)
        finish_adapter(model)
    elif method == "freeze":
        freeze_model(model, recipe)
        train_new_rows(model, recipe)
    if recipe.method.stage == "rm":
        train_head(model, recipe)
    if not recipe.method.pure_bf16:
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.float32)
    return model


def count_parameters(model: Any) -> ParameterCount:
    """Count the model's parameters; tied weights count once."""
    return ParameterCount(
        trainable=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        total=sum(parameter.numel() for parameter in model.parameters()),
    )
