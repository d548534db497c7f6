"""What runs do with the choices about loading: seen in their losses, figures and checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.methods.case import case
from tests.methods.training import Trained, Workshop, home_in
from tests.training_runs import events_of, losses_of


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("loading")
    with home_in(folder):
        yield Workshop(folder)


def first_figures(trained: Trained) -> dict[str, float]:
    """The figures of the first step."""
    values: dict[str, float] = events_of(trained.run, "metrics")[0].values
    return values


def test_the_balancing_loss_of_experts_is_added_with_its_weight(workshop: Workshop) -> None:
    def train(coefficient: float | None) -> dict[str, float]:
        made = case("moe", "", architecture="qwen3_moe", finetuning_type="full", max_steps=1, save_strategy="no")
        made.values["model.moe_aux_loss_coef"] = coefficient
        return first_figures(workshop.train(made))

    without, weighted = train(None), train(0.5)
    assert "aux_loss" not in without
    assert weighted["aux_loss"] > 0
    assert weighted["loss"] - without["loss"] == pytest.approx(0.5 * weighted["aux_loss"], rel=1e-3)


def test_trained_adapters_of_a_quantized_base_are_float32(workshop: Workshop) -> None:
    trained = workshop.train(case("qlora", "", quantization_bit=4, max_steps=1, save_strategy="no"))
    assert {each.dtype for each in trained.model.parameters() if each.requires_grad} == {torch.float32}


def test_everything_half_precise_with_both_upcasts_trains_and_answers(workshop: Workshop) -> None:
    trained = workshop.train(
        case(
            "bf16",
            "",
            bf16=True,
            upcast_layernorm=True,
            upcast_lmhead_output=True,
            sample_prompts=["What is 1 plus 2?"],
            val_size=2,
            eval_strategy="steps",
            eval_steps=2,
        )
    )
    losses = list(losses_of(trained.run).values())
    assert losses[-1] < losses[0]
    assert [event.text for event in events_of(trained.run, "finding") if event.severity != "info"] == []
    assert len(events_of(trained.run, "sample")) == 2


def test_checkpointed_activations_give_the_same_losses(workshop: Workshop) -> None:
    losses = [
        losses_of(workshop.train(case("gc", "", max_steps=2, save_strategy="no", **how)).run)
        for how in ({}, {"use_unsloth_gc": True}, {"gradient_checkpointing": True, "use_reentrant_gc": False})
    ]
    assert losses[0] == losses[1] == losses[2]


def test_a_compiled_model_trains_and_its_checkpoint_has_the_usual_names(workshop: Workshop) -> None:
    """With the backend that traces the model and compiles nothing, which takes seconds instead of minutes."""
    made = case("compiled", "", finetuning_type="full", torch_compile=True, max_steps=1)
    plain = case("plain", "", finetuning_type="full", max_steps=1)
    made.values["trainer.torch_compile_backend"] = "eager"
    losses, names = [], []
    for each in (plain, made):
        trained = workshop.train(each)
        losses.append(losses_of(trained.run)[1])
        names.append(set(load_file(trained.checkpoint / "model.safetensors")))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert names[0] == names[1]


def test_how_the_base_was_loaded_goes_into_the_checkpoint(workshop: Workshop) -> None:
    made = case("record", "", quantization_bit=8, rope_scaling="linear", cutoff_len=1024, max_steps=1)
    checkpoint: Path = workshop.train(made).checkpoint
    loading = json.loads((checkpoint / "trimtab.json").read_text())["loading"]
    assert loading["quantization"] == {"method": "bnb", "bits": 8, "number_format": "nf4", "double": True}
    assert loading["rope"]["longest"] == 1024
    assert loading["rope"]["parameters"]["factor"] == 2.0
