"""What a recipe says about splitting the model over GPUs, as far as that stands in the recipe and not in a file."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config.recipe import Recipe


@dataclass(frozen=True)
class Sharding:
    """How weights are split."""

    name: str
    field: str


def is_zero3(recipe: Recipe) -> bool:
    """Whether inline DeepSpeed settings say ZeRO stage 3; of a settings file, its usual name is believed."""
    settings = recipe.train.deepspeed
    if isinstance(settings, dict):
        zero = settings.get("zero_optimization")
        return isinstance(zero, dict) and zero.get("stage") == 3
    return settings is not None and any(mark in settings.lower() for mark in ("z3", "zero3", "zero_3", "zero-3"))


def sharding(recipe: Recipe) -> Sharding | None:
    """The kind of splitting that holds no whole weights anywhere; None when there is none."""
    if is_zero3(recipe):
        return Sharding("DeepSpeed ZeRO-3", "train.deepspeed")
    if recipe.train.fsdp:
        return Sharding("FSDP", "train.fsdp")
    return None
