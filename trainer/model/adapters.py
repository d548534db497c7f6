"""LoRA adapters: a new one from the recipe, or a trained one to go on with."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig, PeftModel, TaskType, get_peft_model

from trainer.config import Recipe
from trainer.errors import UserError
from trainer.run.messages import Say, words

from .vocabulary import trainable_tokens


def add_lora(model: Any, recipe: Recipe, say: Say) -> Any:
    """The model with a trainable LoRA adapter; of several given adapters all but the last are merged first.

    Raises:
        UserError: when a target module does not exist, or an adapter cannot be loaded.
    """
    adapters = list(recipe.model.adapter_name_or_path or [])
    for merged in adapters[:-1]:
        model = load_adapter(model, merged, trainable=False).merge_and_unload()
    if adapters:
        model = load_adapter(model, adapters[-1], trainable=True)
        own = next(iter(model.peft_config.values()))
        settings = {"rank": own.r, "alpha": own.lora_alpha, "dropout": own.lora_dropout}
        say("info", words("run_adapter_settings_hold", path=adapters[-1], **settings))
        return model
    try:
        return get_peft_model(model, lora_config(model, recipe))
    except ValueError as error:
        raise UserError(
            f"LoRA cannot be put on this model: {error}", field="lora_target", value=recipe.lora.lora_target
        ) from error


def lora_config(model: Any, recipe: Recipe) -> LoraConfig:
    """PEFT's configuration for the recipe's LoRA settings on this model."""
    lora = recipe.lora
    targets = list(lora.lora_target)
    return LoraConfig(
        # PEFT trains and saves the head of a model for classification with the adapter.
        task_type=TaskType.SEQ_CLS if recipe.method.stage == "rm" else TaskType.CAUSAL_LM,
        r=lora.lora_rank,
        lora_alpha=lora.lora_alpha if lora.lora_alpha is not None else 2 * lora.lora_rank,
        lora_dropout=lora.lora_dropout,
        target_modules="all-linear" if targets == ["all"] else targets,
        modules_to_save=list(lora.additional_target) if lora.additional_target else None,
        use_rslora=lora.use_rslora,
        use_dora=lora.use_dora,
        trainable_token_indices=trainable_tokens(model, recipe),
    )


def load_adapter(model: Any, path: str, *, trainable: bool) -> Any:
    """The model with the adapter of a folder.

    Raises:
        UserError: when it cannot be loaded.
    """
    try:
        # Without is_trainable PEFT loads it frozen, and nothing would train, without an error.
        return PeftModel.from_pretrained(model, path, is_trainable=trainable)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"the adapter cannot be loaded: {str(error).splitlines()[0]}", field="adapter_name_or_path", value=path
        ) from error
