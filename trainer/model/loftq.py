"""LoftQ: an adapter on 4-bit weights that starts from what the quantization lost of them.

PEFT's own function needs a CUDA GPU and forgets that an adapter's output is scaled by alpha / rank.
Source: https://arxiv.org/abs/2310.08659, with one alternating step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from safetensors import safe_open

from trainer.errors import UserError

_ITERATIONS = 16


@torch.no_grad()
def start_from_what_was_lost(model: Any, folder: Path) -> None:
    """Set the new adapter of `model` so that base and adapter come near the full weights, which are in `folder`.

    Raises:
        UserError: when the weights are not there under the names that they have in the model.
    """
    from bitsandbytes.functional import dequantize_4bit

    files = _files(folder)
    for name, layer in model.named_modules():
        if not isinstance(layer, LoraLayer) or getattr(layer.get_base_layer().weight, "quant_state", None) is None:
            continue
        held = layer.get_base_layer().weight
        full = _full_weight(files, f"{name.removeprefix('base_model.model.')}.weight", folder).to(held.device).float()
        lost = full - dequantize_4bit(held.data, held.quant_state).float()
        rank = layer.r["default"]
        left, strength, right = torch.svd_lowrank(lost, rank, niter=_ITERATIONS)
        root = (strength / layer.scaling["default"]).sqrt()
        layer.lora_A["default"].weight.copy_((right * root).T)
        layer.lora_B["default"].weight.copy_(left * root)


def _files(folder: Path) -> dict[str, Path]:
    """By tensor: the file that holds it."""
    found: dict[str, Path] = {}
    for file in folder.glob("model*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            found |= dict.fromkeys(opened.keys(), file)
    return found


def _full_weight(files: dict[str, Path], name: str, folder: Path) -> torch.Tensor:
    if name not in files:
        raise UserError(
            f"{folder} has no safetensors with {name}, which loftq_init needs",
            field="loftq_init",
            value=True,
            hint="Turn it off.",
        )
    with safe_open(files[name], framework="pt") as opened:
        tensor: torch.Tensor = opened.get_tensor(name)
        return tensor
