"""Freeze fine-tuning: only some layers, some of their modules, and named modules outside them are trained.

The layer rules are LLaMA-Factory's, so that its settings mean the same here.
"""

from __future__ import annotations

from typing import Any

from trainer.config import Recipe
from trainer.errors import UserError
from trainer.model.added_blocks import added_blocks
from trainer.model.layers import inside_layer, layer_count, layer_of


def freeze_model(model: Any, recipe: Recipe) -> None:
    """Set `requires_grad` so that just the chosen layers and modules train.

    Raises:
        UserError: when a module name does not exist in this model.
    """
    chosen = recipe.freeze
    if recipe.method.use_llama_pro:
        layers = added_blocks(model, recipe)
    else:
        layers = _layers(chosen.freeze_trainable_layers, layer_count(model))
    inside, outside = _module_names(model)
    modules = list(chosen.freeze_trainable_modules)
    extra = list(chosen.freeze_extra_modules or [])
    _check_names("freeze_trainable_modules", [name for name in modules if name != "all"], inside)
    _check_names("freeze_extra_modules", extra, outside)
    for name, parameter in model.named_parameters():
        layer = layer_of(name)
        if layer is None:
            parameter.requires_grad_(name.split(".")[-2] in extra)
        else:
            wanted = "all" in modules or inside_layer(name) in modules
            parameter.requires_grad_(layer in layers and wanted)


def _layers(number: int, count: int) -> set[int]:
    """Layer numbers: the last n for n > 0, the first n for n < 0."""
    if number == 0 or abs(number) > count:
        raise UserError(
            f"this model has {count} layers: expected a number from 1 to {count}, or from -{count} to -1",
            field="freeze_trainable_layers",
            value=number,
        )
    return set(range(count - number, count)) if number > 0 else set(range(-number))


def _module_names(model: Any) -> tuple[set[str], set[str]]:
    """Names that can be chosen, inside the layers (`self_attn`, `mlp`) and outside (`embed_tokens`, `norm`)."""
    inside: set[str] = set()
    outside: set[str] = set()
    for name, _ in model.named_parameters():
        if layer_of(name) is None:
            outside.add(name.split(".")[-2])
        else:
            inside.add(inside_layer(name))
    return inside, outside


def _check_names(field: str, names: list[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise UserError(
                f"this model has no such module: expected {'all, ' if 'trainable' in field else ''}"
                f"{', '.join(sorted(known))}",
                field=field,
                value=name,
            )
