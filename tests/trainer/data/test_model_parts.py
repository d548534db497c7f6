"""Parts of the model that a recipe names and the model's files do not have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue
from trainer.config import Recipe, resolve_model_path
from trainer.data import preflight
from trainer.data.model_parts import unknown_parts

DEMO = Path(resolve_model_path("shipped:demo_model"))
FREEZE = {"method.finetuning_type": "freeze"}
FULL = {"method.finetuning_type": "full"}


@pytest.mark.parametrize(
    ("values", "severity", "text"),
    [
        ({"lora.lora_target": ["q_porj", "v_proj"]}, "warning", "lora_target = q_porj: no weight .*; there is q_proj"),
        ({"lora.additional_target": ["lm_head", "xyz"]}, "warning", "additional_target = xyz: .*; there is down_proj,"),
        (FREEZE | {"freeze.freeze_extra_modules": ["nrom"]}, "warning", "freeze_extra_modules = nrom: .* is norm"),
        (FREEZE | {"freeze.freeze_trainable_layers": -5}, "error", "the model has 4 layers: expected a number from 1"),
        (FULL | {"badam.use_badam": True, "badam.badam_start_block": 4}, "error", "expected a number from 0 to 3"),
    ],
)
def test_what_the_model_does_not_have(values: dict[str, Any], severity: str, text: str) -> None:
    [told] = unknown_parts(Recipe().with_values(values), DEMO)
    assert told.severity == severity
    assert re.search(text, told.text)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"lora.lora_target": ["self_attn.q_proj"]},
        {"lora.lora_target": [r".*layers\.9\..*"]},
        FREEZE | {"freeze.freeze_trainable_modules": ["mlp"], "freeze.freeze_trainable_layers": -4},
        FULL | {"lora.lora_target": ["not_used"]},
    ],
)
def test_what_the_model_has_and_what_is_not_used(values: dict[str, Any]) -> None:
    assert list(unknown_parts(Recipe().with_values(values), DEMO)) == []


def test_a_warmup_that_the_epochs_do_not_reach_the_end_of(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(make_model(), [dialogue("A", "B"), dialogue("C", "D"), dialogue("E", "F")])
    size = {"train.per_device_train_batch_size": 2, "train.gradient_accumulation_steps": 1}
    values = {**size, "train.num_train_epochs": 2.0, "train.warmup_steps": 4}
    [told] = [each for each in preflight(recipe.with_values(values)) if each.severity == "error"]
    assert told.text.startswith("warmup_steps = 4 is not shorter than the run, which has 4 steps")
    assert all(each.severity == "info" for each in preflight(recipe.with_values({**values, "train.warmup_steps": 3})))
