"""PiSSA: an adapter that starts from the largest singular vectors of the weights, which are taken out of the weights.

What is trained lies on a changed base, so a checkpoint holds the adapter's start beside it, in the folder `pissa_init`:
with W = R + B0 A0 and the trained R + B A, an ordinary LoRA of twice the rank on the unchanged base W is
[B, -B0] [A; A0]. With `pissa_convert` the checkpoint itself is that LoRA. Not for starting one: PEFT does that.

Source: https://arxiv.org/abs/2404.02948
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from trainer.config import Recipe

START = "pissa_init"
"""The name of the frozen adapter that keeps the start, and of its folder in a checkpoint."""
_WEIGHTS = "adapter_model.safetensors"


def keep_start(model: Any) -> None:
    """Keep a frozen copy of the new PiSSA adapter; from here on it is an adapter like others."""
    own = model.peft_config["default"]
    # Whoever copies this configuration must not take the weights apart a second time.
    own.init_lora_weights = True
    start = copy.deepcopy(own)
    start.use_dora, start.inference_mode = False, True
    # What is trained whole has no part in it. Of new tokens PEFT wants rows in every adapter; these are never asked.
    start.modules_to_save = start.modules_to_tie = None
    # Of a reward model PEFT would give the start a head as well.
    PeftModel.add_adapter(model, START, start)
    _give_start(model, _products(get_peft_model_state_dict(model)))
    model.set_adapter("default")


def has_start(model: Any) -> bool:
    """Whether the model is trained from a PiSSA start."""
    return START in getattr(model, "peft_config", {})


def is_on_changed_base(folder: Path) -> bool:
    """Whether the adapter in this folder is a PiSSA adapter as it is trained, with its start beside it."""
    if not (folder / START / _WEIGHTS).is_file():
        return False
    return str(PeftConfig.from_pretrained(str(folder)).init_lora_weights).startswith("pissa")


def finish_checkpoint(folder: Path, recipe: Recipe) -> None:
    """Make what PEFT has just saved what the recipe asks for: an ordinary LoRA, or one that says that it is PiSSA."""
    config = LoraConfig.from_pretrained(str(folder))
    if recipe.lora.pissa_convert:
        config, weights = converted(folder)
        save_file(weights, folder / _WEIGHTS, metadata={"format": "pt"})
    else:
        iterations = recipe.lora.pissa_iter
        config.init_lora_weights = "pissa" if iterations < 0 else f"pissa_niter_{iterations}"
    config.inference_mode = True
    config.save_pretrained(str(folder))


def converted(folder: Path) -> tuple[LoraConfig, dict[str, torch.Tensor]]:
    """The adapter of a checkpoint as an ordinary LoRA on the unchanged base: its configuration and its weights."""
    config = LoraConfig.from_pretrained(str(folder))
    start, weights = _products(load_file(folder / START / _WEIGHTS)), load_file(folder / _WEIGHTS)
    for name, value in start.items():
        if "lora_A" in name:
            weights[name] = torch.cat([weights[name], value]).contiguous()
        else:
            weights[name] = torch.cat([weights[name], -value], dim=1).contiguous()
    # The scale is alpha / rank, or alpha / sqrt(rank), and has to stay.
    more = math.sqrt(2) if config.use_rslora else 2
    config.r *= 2
    config.lora_alpha *= more
    config.rank_pattern = {name: 2 * rank for name, rank in config.rank_pattern.items()}
    config.alpha_pattern = {name: more * alpha for name, alpha in config.alpha_pattern.items()}
    config.init_lora_weights = True
    return config, weights


@torch.no_grad()
def restore(model: Any, folder: Path) -> None:
    """Put a checkpoint back into the model that is trained: adapter, start, and the base that belongs to it."""
    before = _scaled_products(model)
    start, saved = _products(load_file(folder / START / _WEIGHTS)), load_file(folder / _WEIGHTS)
    for name, value in start.items():
        # A converted adapter has the start behind it.
        saved[name] = saved[name][: value.shape[0]] if "lora_A" in name else saved[name][:, : value.shape[1]]
    set_peft_model_state_dict(model, saved, adapter_name="default")
    _give_start(model, start)
    for name, product in _scaled_products(model).items():
        # On another machine the decomposition may round otherwise; what is taken out has to be what is put on top.
        if not torch.equal(product, before[name]):
            weight = model.get_submodule(name).get_base_layer().weight
            weight.copy_(weight.float() + before[name] - product)


@torch.no_grad()
def _give_start(model: Any, weights: dict[str, torch.Tensor]) -> None:
    """Copy the matrices of a start into the model."""
    for name, value in weights.items():
        model.get_parameter(f"{name.removesuffix('.weight')}.{START}.weight").copy_(value)


def _scaled_products(model: Any) -> dict[str, torch.Tensor]:
    """By layer: what the start takes out of the weights."""
    layers = {name: module for name, module in model.named_modules() if START in getattr(module, "lora_A", {})}
    return {
        name: (layer.scaling[START] * layer.lora_B[START].weight.float() @ layer.lora_A[START].weight.float()).clone()
        for name, layer in layers.items()
    }


def _products(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The A and B matrices alone, without whole modules and magnitudes."""
    return {name: value.clone() for name, value in weights.items() if ".lora_A." in name or ".lora_B." in name}
