"""Loading a base model and its tokenizer as the recipe asks: precision, attention, place. Not for adapters."""

from __future__ import annotations

import traceback
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainer.config import Recipe, resolve_model_path
from trainer.data.templates import ChatTemplate, named_template, text_with_defaults, text_with_system
from trainer.data.thinking import default_variables
from trainer.errors import UserError

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
    """Where the base model is: a folder or a hub id.

    Raises:
        UserError: when none is chosen.
    """
    name = recipe.model.model_name_or_path
    if not name:
        raise UserError("no model is chosen", field="model_name_or_path", hint="Set it to a folder or a hub id.")
    return resolve_model_path(name)


def load_model(recipe: Recipe) -> Any:
    """The base model in `compute_dtype`, not yet prepared for a method.

    Raises:
        UserError: when the folder or hub id cannot be loaded, with the loader's own reason.
    """
    name = base_model_path(recipe)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=compute_dtype(recipe),
            attn_implementation=attention_name(recipe),
            revision=recipe.model.model_revision,
            cache_dir=recipe.model.cache_dir,
            low_cpu_mem_usage=recipe.model.low_cpu_mem_usage,
            trust_remote_code=False,
        )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        # Broken weights and configurations raise a dozen kinds of errors; the log has the whole story.
        traceback.print_exc()
        raise UserError(
            f"the model cannot be loaded: {_first_line(error)}",
            field="model_name_or_path",
            value=name,
            hint="Give a folder with config.json and safetensors that fit, or a hub id that can be reached.",
        ) from error
    return model


def load_tokenizer(recipe: Recipe) -> Any:
    """The tokenizer that belongs to the model, with a padding token.

    Raises:
        UserError: when there is none.
    """
    name = base_model_path(recipe)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            name, revision=recipe.model.model_revision, cache_dir=recipe.model.cache_dir, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"the tokenizer cannot be loaded: {_first_line(error)}", field="model_name_or_path", value=name
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = _trained_template(tokenizer.chat_template, recipe)
    return tokenizer


def set_stop_tokens(model: Any, tokenizer: Any, recipe: Recipe) -> None:
    """Let generation stop where answers of the named template end, in this run and in all that load its checkpoints."""
    if recipe.data.template is None:
        return
    known = tokenizer.get_vocab()
    words = named_template(recipe.data.template).stop_words
    stated = model.generation_config.eos_token_id
    ends = [] if stated is None else [stated] if isinstance(stated, int) else list(stated)
    more = [known[word] for word in words if word in known and known[word] not in ends]
    if more:
        model.generation_config.eos_token_id = ends + more


def _trained_template(of_model: Any, recipe: Recipe) -> Any:
    """The chat template that checkpoints carry: the text that the rows are rendered with, in the mode of the recipe.

    `of_model` is the model's own: a text, several texts by name, or None.
    """
    data = recipe.data
    if data.template is not None:
        return _in_mode(named_template(data.template, tool_format=data.tool_format), recipe)
    if isinstance(of_model, dict):
        return {name: _in_mode(ChatTemplate(text), recipe) for name, text in of_model.items()}
    return None if of_model is None else _in_mode(ChatTemplate(of_model), recipe)


def _in_mode(template: ChatTemplate, recipe: Recipe) -> str:
    data = recipe.data
    text = template.text if data.default_system is None else text_with_system(template.text, data.default_system)
    return text_with_defaults(text, default_variables(template, data.enable_thinking, data.preserve_thinking))


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
