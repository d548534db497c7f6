"""Which attention code a model is computed with, and why. Not for the shifted attention itself (`shift_attention`)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

from trainer.config import Recipe
from trainer.errors import UserError
from trainer.run.messages import Words, words

from .shift_attention import SHIFTED, register_shifted_attention


@dataclass(frozen=True)
class Attention:
    """What was chosen."""

    name: str
    """As transformers calls it."""
    said: Words


@dataclass(frozen=True)
class _Flash:
    """A version of FlashAttention."""

    name: str
    title: str
    module: str
    package: str
    capability: int
    """Compute capability (major) of the first GPUs that have it."""
    installed_by: str


_WITH_PIP = "Install it (pip install flash-attn --no-build-isolation)"
# No registry has it, and whoever takes its name there may not be its author.
_FROM_SOURCE = "Build it from the folder hopper of the flash-attention repository"
_FLASH = {
    "fa2": _Flash("flash_attention_2", "FlashAttention 2", "flash_attn", "flash-attn", 8, _WITH_PIP),
    "fa3": _Flash("flash_attention_3", "FlashAttention 3", "flash_attn_interface", "flash-attn-3", 9, _FROM_SOURCE),
}


def choose_attention(recipe: Recipe, config: Any, dtype: torch.dtype) -> Attention:
    """The attention for the recipe's `flash_attn` and `shift_attn` and a model of this configuration.

    Raises:
        UserError: when what was asked for cannot run here, or not with this model.
    """
    kind = model_class(config)
    asked = recipe.model.flash_attn
    if recipe.model.shift_attn:
        return _shifted(kind)
    if asked in _FLASH:
        _check_flash(asked, kind, dtype)
        return Attention(_FLASH[asked].name, words("run_attention_asked", name=_FLASH[asked].title, value=asked))
    if asked == "sdpa":
        if kind is not None and not kind._supports_sdpa:
            raise UserError(
                f"{kind.__name__} cannot be computed with it",
                field="flash_attn",
                value=asked,
                hint="Set flash_attn = auto, which takes what the model has.",
            )
        return Attention("sdpa", words("run_attention_asked", name="sdpa", value=asked))
    if asked == "disabled":
        return Attention("eager", words("run_attention_asked", name="eager", value=asked))
    return _automatic(kind, dtype)


def model_class(config: Any) -> Any | None:
    """The class that transformers has for a causal model of this configuration; None where it has none."""
    found = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    return found[0] if isinstance(found, tuple) else found


def _automatic(kind: Any | None, dtype: torch.dtype) -> Attention:
    """FlashAttention 2 where it is installed and runs, else PyTorch's fused attention, else the plain one."""
    flash = _FLASH["fa2"]
    fused = kind is None or kind._supports_sdpa
    why = _why_no_flash(flash, kind, dtype)
    if why is None:
        return Attention(flash.name, words("run_attention_flash", package=flash.package))
    if fused:
        return Attention("sdpa", words(f"run_attention_sdpa_{why}", package=flash.package))
    return Attention("eager", words("run_attention_plain", model=kind.__name__ if kind else ""))


def _why_no_flash(flash: _Flash, kind: Any | None, dtype: torch.dtype) -> str | None:
    """What keeps FlashAttention from being used, in one word; None when nothing does."""
    if not torch.cuda.is_available() or torch.cuda.get_device_capability()[0] < flash.capability:
        return "gpu"
    # Its fetched form (the package `kernels` downloads code from the hub) is never used: only what was installed.
    if importlib.util.find_spec(flash.module) is None:
        return "package"
    if kind is None or not kind._supports_flash_attn:
        return "model"
    return None if dtype in (torch.bfloat16, torch.float16) else "precision"


def _check_flash(asked: str, kind: Any | None, dtype: torch.dtype) -> None:
    flash = _FLASH[asked]
    why = _why_no_flash(flash, kind, dtype)
    if why is None:
        return
    needed = {
        "gpu": f"{flash.title} needs an NVIDIA GPU of compute capability {flash.capability}.0 or newer",
        "package": f"{flash.title} needs the package {flash.package}, which is not installed",
        "model": f"{kind.__name__ if kind else 'this model'} cannot be computed with {flash.title}",
        "precision": f"{flash.title} computes in 16 bits only, and this run in float32",
    }
    hints = {
        "package": f"{flash.installed_by}, or set flash_attn = auto.",
        "precision": "Turn bf16 or fp16 on, or set flash_attn = auto.",
    }
    raise UserError(needed[why], field="flash_attn", value=asked, hint=hints.get(why, "Set flash_attn = auto."))


def _shifted(kind: Any | None) -> Attention:
    if kind is None or not kind._supports_attention_backend or not kind._supports_sdpa:
        name = "this model" if kind is None else kind.__name__
        raise UserError(
            f"the attention of {name} cannot be replaced: it does not go through transformers' attention interface",
            field="shift_attn",
            value=True,
            hint="Turn shift_attn off.",
        )
    register_shifted_attention()
    return Attention(SHIFTED, words("run_attention_shifted"))
