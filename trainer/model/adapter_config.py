"""From the recipe to PEFT's configuration of a new adapter. Not for putting it on a model."""

from __future__ import annotations

import re
from typing import Any

import torch
from peft import (
    AdaLoraConfig,
    IA3Config,
    LNTuningConfig,
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    MissConfig,
    OFTConfig,
    PeftConfig,
    PrefixTuningConfig,
    PromptTuningConfig,
    TaskType,
    VeraConfig,
)

from trainer.config import Recipe
from trainer.config.adapter_settings import PARAMETERS_OF_SETTINGS
from trainer.config.form import PROMPT_METHODS
from trainer.errors import UserError
from trainer.model.added_blocks import added_blocks
from trainer.model.layers import layer_of
from trainer.model.quantization import hqq_layers
from trainer.model.vocabulary import trainable_tokens

_CONFIGS: dict[str, type[PeftConfig]] = {
    "lora": LoraConfig,
    "adalora": AdaLoraConfig,
    "vera": VeraConfig,
    "loha": LoHaConfig,
    "lokr": LoKrConfig,
    "miss": MissConfig,
    "ia3": IA3Config,
    "ln_tuning": LNTuningConfig,
    "prompt_tuning": PromptTuningConfig,
    "prefix_tuning": PrefixTuningConfig,
    "oft": OFTConfig,
}
# What no layer's name has, and a regular expression for several of them has.
_REGEX = re.compile(r"[*+?^$\\|()\[\]{}]")
_VIRTUAL_TOKENS = 20
# AdaLoRA learns the number of steps when the run knows it.
_MANY_STEPS = 2**31


def adapter_config(recipe: Recipe, model: Any) -> PeftConfig:
    """PEFT's configuration for the recipe's adapter on this model.

    Raises:
        UserError: when PEFT refuses a setting, or the settings do not fit the model.
    """
    method = recipe.method.finetuning_type
    values = {name: recipe.value(key) for name, key in PARAMETERS_OF_SETTINGS[method].items()}
    if method not in PROMPT_METHODS:
        values["target_modules"] = _targets(recipe, model)
        values["modules_to_save"] = _existing_layers(recipe, model) or None
        if _trains_tied_weights(recipe, model):
            values |= _tying(method)
    values |= _own_settings(recipe, model)
    values |= recipe.method.adapter_kwargs or {}
    # PEFT trains and saves the head of a model for classification with the adapter.
    task = TaskType.SEQ_CLS if recipe.method.stage == "rm" else TaskType.CAUSAL_LM
    try:
        return _CONFIGS[method](task_type=task, **values)
    except (TypeError, ValueError) as error:
        raise UserError(f"PEFT refuses these settings of {method}: {error}", field="adapter_kwargs") from error


def _own_settings(recipe: Recipe, model: Any) -> dict[str, object]:
    """What a method needs beside the parameters that it shares with others."""
    method, lora = recipe.method.finetuning_type, recipe.lora
    if method in PROMPT_METHODS:
        return {"num_virtual_tokens": _VIRTUAL_TOKENS}
    if method == "adalora":
        return {"init_r": -(-3 * lora.lora_rank // 2), "total_step": _MANY_STEPS, **_alpha(recipe)}
    if method in ("loha", "lokr"):
        return {"alpha": _alpha(recipe)["lora_alpha"]}
    if method == "ia3":
        # Outputs are scaled, of every layer; `adapter_kwargs` may choose layers whose inputs are.
        return {"feedforward_modules": []}
    if method != "lora":
        return {}
    values: dict[str, object] = {**_alpha(recipe), "trainable_token_indices": trainable_tokens(model, recipe)}
    if lora.pissa_init and not is_blueprint(model):
        values["init_lora_weights"] = "pissa" if lora.pissa_iter < 0 else f"pissa_niter_{lora.pissa_iter}"
    if recipe.method.use_llama_pro:
        values["layers_to_transform"] = sorted(added_blocks(model, recipe))
    return values


def _alpha(recipe: Recipe) -> dict[str, object]:
    alpha = recipe.lora.lora_alpha
    return {"lora_alpha": alpha if alpha is not None else 2 * recipe.lora.lora_rank}


def _targets(recipe: Recipe, model: Any) -> str | list[str]:
    """The layers that get an adapter: names, or what PEFT takes as a regular expression for whole names."""
    method = recipe.method.finetuning_type
    field = "oft_target" if method == "oft" else "lora_target"
    named = list(recipe.oft.oft_target if method == "oft" else recipe.lora.lora_target)
    if named == ["all"]:
        if method == "ln_tuning":
            return _norms(model)
        if layers := hqq_layers(model):
            return sorted({name.rpartition(".")[2] for name in layers})
        # PEFT takes no choice of layers together with this word.
        return _linear_layers(model) if recipe.method.use_llama_pro and method == "lora" else "all-linear"
    if len(named) == 1 and _REGEX.search(named[0]):
        try:
            re.compile(named[0])
        except re.error as error:
            raise UserError(f"not a regular expression: {error}", field=field, value=named[0]) from error
        return named[0]
    if "all" in named:
        raise UserError("all takes every linear layer already", field=field, value=named, hint="Name it alone.")
    if missing := [name for name in named if not _is_there(name, model)] if named else [""]:
        raise UserError(
            "no layer of this model has such a name" if named else "names no layer",
            field=field,
            value=missing[0],
            hint=f"Choose all, or among {', '.join(_linear_layers(model))}.",
        )
    return named


def _is_there(name: str, model: Any) -> bool:
    """Whether a layer has this name, or one that ends with it: as PEFT finds layers."""
    return any(f".{full}".endswith(f".{name}") for full, _ in model.named_modules() if full)


def _existing_layers(recipe: Recipe, model: Any) -> list[str]:
    """The layers that are trained whole. PEFT passes over what is not there without a word.

    Raises:
        UserError: when the model has no layer of such a name.
    """
    for name in (named := _whole_layers(recipe)):
        if not _is_there(name, model):
            known = {full.split(".")[-2] for full, _ in model.named_parameters() if layer_of(full) is None}
            raise UserError(
                "no layer of this model has such a name",
                field="additional_target",
                value=name,
                hint=f"Outside of the blocks there are {', '.join(sorted(known))}.",
            )
    return named


def _linear_layers(model: Any) -> list[str]:
    """The names of the linear layers inside of blocks: `q_proj`, `down_proj`."""
    found = (name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear))
    return sorted({name.rpartition(".")[2] for name in found if layer_of(name + ".") is not None})


def _norms(model: Any) -> list[str]:
    """The names of the normalizing layers: `input_layernorm`, `norm`."""
    found = (name for name, module in model.named_modules() if type(module).__name__.endswith("Norm"))
    return sorted({name.rpartition(".")[2] for name in found})


def _whole_layers(recipe: Recipe) -> list[str]:
    """The layers that are trained whole beside the adapter."""
    return list(
        recipe.oft.additional_target if recipe.method.finetuning_type == "oft" else recipe.lora.additional_target
    )


def _tying(method: str) -> dict[str, object]:
    """What keeps two layers one that share their weights, where PEFT can do it."""
    if method in ("lora", "adalora"):
        return {"ensure_weight_tying": True}
    raise UserError(
        f"embedding and output layer of this model share their weights, and {method} would train them apart",
        field="additional_target",
        hint="Leave them out, or use finetuning_type = lora.",
    )


def _trains_tied_weights(recipe: Recipe, model: Any) -> bool:
    """Whether embedding and output layer share their weights and one of them is to be trained whole."""
    if model.get_output_embeddings() is None or not model.config.get_text_config().tie_word_embeddings:
        return False
    shared = {id(model.get_input_embeddings()), id(model.get_output_embeddings())}
    names = {name.rpartition(".")[2] for name, module in model.named_modules() if id(module) in shared}
    return any(target.rpartition(".")[2] in names for target in _whole_layers(recipe))


def is_blueprint(model: Any) -> bool:
    """Whether the model has shapes but no numbers (torch's meta device), as for an estimate of its memory."""
    return any(parameter.is_meta for parameter in model.parameters())
