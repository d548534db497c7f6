"""How the weights in a model folder are quantized already, read off its config.json. Not for quantizing them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import Finding, Recipe
from trainer.data.findings import finding


@dataclass(frozen=True)
class StoredQuantization:
    """A quantization that a model comes with."""

    method: str
    """As transformers names it: gptq, awq, fp8, mxfp4, bitsandbytes, compressed-tensors ..."""
    needs: tuple[str, ...]
    """The modules of packages without which it cannot be loaded."""
    unpacked: bool
    """Its weights become 16-bit ones when they are loaded."""


# What transformers 5.23 imports for each; the others need nothing beside it, or only for speed.
_PACKAGES: dict[str, tuple[str, ...]] = {
    "gptq": ("optimum", "gptqmodel"),
    "awq": ("gptqmodel",),
    "bitsandbytes": ("bitsandbytes",),
    "compressed-tensors": ("compressed_tensors",),
    "aqlm": ("aqlm",),
    "quanto": ("optimum.quanto",),
    "torchao": ("torchao",),
    "vptq": ("vptq",),
    "auto-round": ("auto_round",),
}
# Their arithmetic is code that transformers downloads from the hub, and has no gradients.
_UNPACKED = ("fp8", "mxfp4")


def stored_quantization(config: Mapping[str, Any]) -> StoredQuantization | None:
    """The quantization in the content of a config.json; None when the weights are whole."""
    inner = config.get("text_config")
    found = config.get("quantization_config") or (inner.get("quantization_config") if isinstance(inner, dict) else None)
    if not isinstance(found, Mapping) or not found:
        return None
    # Older bitsandbytes checkpoints do not name their method.
    in_bits = found.get("load_in_4bit") or found.get("load_in_8bit")
    method = str(found.get("quant_method") or ("bitsandbytes" if in_bits else "unknown"))
    return StoredQuantization(method, _PACKAGES.get(method, ()), unpacked=method in _UNPACKED)


def quantization_of_folder(folder: Path) -> StoredQuantization | None:
    """The same for a model folder; None also when it has no config.json that can be read."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return stored_quantization(config) if isinstance(config, dict) else None


def stored_quantization_findings(recipe: Recipe, folder: Path) -> list[Finding]:
    """What a recipe cannot do with weights that are quantized already."""
    stored = quantization_of_folder(folder)
    if stored is None or recipe.model.train_from_scratch:
        return []
    name, method = str(recipe.model.model_name_or_path), recipe.method.finetuning_type
    text = "model_is_unpacked" if stored.unpacked else "model_is_quantized"
    found = [finding(text, "info", "model.model_name_or_path", model=name, method=stored.method)]
    if method in ("full", "freeze"):
        fields = ("method.finetuning_type", "model.model_name_or_path")
        change: dict[str, object] = {"method.finetuning_type": "lora"}
        values = {"model": name, "method": stored.method, "finetuning_type": method}
        found.append(finding("model_quantized_needs_adapter", "error", *fields, change=change, **values))
    if recipe.quantization.quantization_bit is not None:
        key = "quantization.quantization_bit"
        fields = (key, "model.model_name_or_path")
        values = {"model": name, "method": stored.method}
        found.append(finding("model_quantized_twice", "error", *fields, change={key: None}, **values))
    return found
