"""From the base model to the model that is trained: the method's choice of parameters, and their precision."""

from __future__ import annotations

from typing import Any

import torch

from trainer.config import Recipe
from trainer.config.form import ADAPTER_METHODS
from trainer.model.adapters import add_adapter
from trainer.model.freeze import freeze_model
from trainer.model.reward_head import is_reward_model, train_head
from trainer.model.vocabulary import finish_adapter, train_new_rows
from trainer.run.messages import Say


def prepare_model(model: Any, recipe: Recipe, say: Say) -> Any:
    """Apply `finetuning_type`: all weights, some of them, or an adapter. They are float32 unless `pure_bf16`, or
    under bf16 with BAdam, which keeps float32 copies of the few that have their turn.

    The model may be one without numbers (torch's meta device).

    Raises:
        UserError: when the method does not fit this model.
    """
    method = recipe.method.finetuning_type
    if method in ADAPTER_METHODS:
        model = add_adapter(model, recipe, say)
        finish_adapter(model)
    elif method == "freeze":
        freeze_model(model, recipe)
        train_new_rows(model, recipe)
        if is_reward_model(model):
            train_head(model)
    if not recipe.method.pure_bf16 and not (recipe.badam.use_badam and recipe.train.bf16):
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.float32)
    return model
