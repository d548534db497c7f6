"""Number formats of single parts of a model: what is held or computed in float32 though the rest is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from trl.trainer.utils import add_fused_lm_head

from trainer.config import Recipe


def upcast_norms(model: Any, recipe: Recipe) -> None:
    """Hold the weights of normalisation layers in float32, with `upcast_layernorm`."""
    if recipe.model.upcast_layernorm:
        for module in model.modules():
            if "norm" in type(module).__name__.lower():
                for parameter in module.parameters(recurse=False):
                    parameter.data = parameter.data.to(torch.float32)


@contextmanager
def trained_precision_kept(model: Any) -> Iterator[None]:
    """What is trained has the same numbers afterwards as before, wherever it lies then.

    TRL rounds adapters on a quantized base to bfloat16. Small updates are lost in it, and of an adapter that is trained
    on, the weights themselves change.
    """
    before = {name: parameter.data for name, parameter in model.named_parameters() if parameter.requires_grad}
    yield
    for name, parameter in model.named_parameters():
        if name in before and parameter.dtype != before[name].dtype:
            parameter.data = before[name].to(parameter.device)


def use_float32_logits(model: Any, *, outputs: tuple[str, ...]) -> None:
    """Let TRL's fused loss, which is in place already, multiply by the output layer in float32 instead of 16 bits.

    `outputs` are the figures that the trainer of the stage wants from it.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    # TRL put its forward pass on the object; under it the class has its own.
    del base.forward
    add_fused_lm_head(base, cast_lm_head_to_fp32=True, outputs=outputs)
