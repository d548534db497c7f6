"""The changes that make a run fit, with arithmetic in the place of the estimate: which are tried, and in what order."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from trainer.advice import Saving, ranked, savings
from trainer.config import Hardware, Recipe, load_preset, resolve

GPU = Hardware(cuda=True, bf16=True, gpu_count=1, cpu_cores=8)


@dataclass
class Arithmetic:
    """Stands for the estimate: weights by method, activations by batch, length and checkpointing."""

    calls: int = 0

    def __call__(self, recipe: Recipe) -> Any:
        self.calls += 1
        bits = recipe.quantization.quantization_bit or 16
        weights = {"lora": 16 * bits / 16, "full": 64}[str(recipe.method.finetuning_type)]
        if recipe.train.optim != "adamw_torch":
            weights -= 20
        length = recipe.train.per_device_train_batch_size * recipe.data.cutoff_len / 1024
        kept = length if recipe.train.gradient_checkpointing else 8 * length
        return SimpleNamespace(total=int(weights + kept), evaluation=0)


def found(room: int, *settings: str) -> tuple[list[Saving], Arithmetic]:
    overrides = ["model_name_or_path=shipped:demo_model", "dataset=none", *settings]
    recipe = resolve(load_preset("base", overrides=overrides).recipe, GPU).recipe
    estimate = Arithmetic()
    return ranked([*savings(recipe, estimate(recipe), room, GPU, estimate)]), estimate


def test_the_smallest_step_that_fits_is_proposed() -> None:
    ways, _ = found(20, "per_device_train_batch_size=8", "gradient_accumulation_steps=2", "cutoff_len=1024")
    assert ways[0].change == {"train.per_device_train_batch_size": 4, "train.gradient_accumulation_steps": 4}
    assert (ways[0].total, ways[0].fits) == (20, True)


def test_harmless_changes_come_before_those_that_hurt() -> None:
    ways, _ = found(25, "disable_gradient_checkpointing=true", "per_device_train_batch_size=2", "cutoff_len=2048")
    allowed = {"model.disable_gradient_checkpointing": False, "train.gradient_checkpointing": True}
    assert ways[0].change == allowed
    assert [way.fits for way in ways] == sorted((way.fits for way in ways), reverse=True)


def test_where_no_change_is_enough_several_together_are_proposed_first() -> None:
    ways, _ = found(6, "disable_gradient_checkpointing=true", "per_device_train_batch_size=2", "cutoff_len=1024")
    together, *alone = ways
    assert together.fits
    assert together.change == {
        "model.disable_gradient_checkpointing": False,
        "train.gradient_checkpointing": True,
        "train.per_device_train_batch_size": 1,
        "train.gradient_accumulation_steps": 16,
        "quantization.quantization_bit": 4,
    }
    assert not any(way.fits for way in alone)
    assert [way.total for way in alone] == sorted(way.total for way in alone)


def test_when_nothing_helps_enough_the_best_is_still_told() -> None:
    ways, _ = found(1, "per_device_train_batch_size=2", "cutoff_len=1024")
    assert ways
    assert not any(way.fits for way in ways)


def test_changes_that_the_rules_refuse_are_not_proposed() -> None:
    ways, _ = found(30, "finetuning_type=full", "cutoff_len=512")
    changes = [dict(way.change) for way in ways]
    assert {"method.finetuning_type": "lora"} in changes
    # Quantized weights cannot be trained in full.
    assert {"quantization.quantization_bit": 4} not in changes


def test_few_estimates_are_made() -> None:
    """Each takes a second for a large model."""
    _, estimate = found(1, "per_device_train_batch_size=64", "cutoff_len=16384")
    assert estimate.calls <= 8
