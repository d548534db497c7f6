"""Loading a base model as the recipe asks: precision, attention, place. Not for its tokenizer, not for adapters."""

from __future__ import annotations

import traceback
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from trainer.config import Recipe, resolve_model_path
from trainer.data.model_folder import find_model_folder, recipe_hub_model, recipe_model_folder
from trainer.errors import UserError
from trainer.run.messages import Say

_ATTENTION = {"auto": "sdpa", "disabled": "eager", "sdpa": "sdpa"}


def compute_dtype(recipe: Recipe) -> torch.dtype:
    """The precision of the frozen weights and of the arithmetic: bf16 or fp16 when asked for, else float32."""
    if recipe.train.bf16 or recipe.method.pure_bf16:
        return torch.bfloat16
    return torch.float16 if recipe.train.fp16 else torch.float32


def attention_name(recipe: Recipe) -> str:
    """The name that transformers has for the recipe's attention."""
    return _ATTENTION[recipe.model.flash_attn]


def base_model_path(recipe: Recipe) -> str:
    """The folder with config and tokenizer of the base model, fetched from its hub when they are not here.

    Raises:
        UserError: when there is none, or it cannot be fetched.
    """
    model = recipe.model
    found = find_model_folder(
        model.model_name_or_path,
        cache_dir=model.cache_dir,
        revision=model.model_revision,
        hub=model.model_hub,
        download=True,
    )
    return str(found)


def base_model_name(recipe: Recipe) -> str:
    """What checkpoints call the base model: its folder, or its name on the hub, which holds on any machine."""
    on_hub = recipe_hub_model(recipe)
    if on_hub is None:
        return resolve_model_path(str(recipe.model.model_name_or_path))
    return on_hub.name if on_hub.hub == "huggingface" and not on_hub.revision else str(on_hub)


def load_model(recipe: Recipe, say: Say) -> Any:
    """The base model in `compute_dtype`, not yet prepared for a method; what was chosen is told through `say`.

    Raises:
        UserError: when the folder or hub id cannot be loaded, with the loader's own reason.
    """
    name = str(recipe_model_folder(recipe))
    try:
        model = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=compute_dtype(recipe),
            attn_implementation=attention_name(recipe),
            low_cpu_mem_usage=recipe.model.low_cpu_mem_usage,
            trust_remote_code=False,
        )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        # Broken weights and configurations raise a dozen kinds of errors; the log has the whole story.
        traceback.print_exc()
        raise UserError(
            f"the model cannot be loaded: {first_line(error)}",
            field="model_name_or_path",
            value=name,
            hint="Give a folder with config.json and safetensors that fit, or a hub id that can be reached.",
        ) from error
    if (on_hub := recipe_hub_model(recipe)) is not None:
        # Adapters write it down as their base; the folder of a cache means nothing elsewhere.
        model.name_or_path = model.config._name_or_path = on_hub.name
    return model


def first_line(error: Exception) -> str:
    """The first line of an error that says something; loaders write whole pages."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
