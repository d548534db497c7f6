"""Adapters upon adapters, their start, their files, and what is said of them: what no entry of the table can show."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import torch
from peft import PeftConfig, PeftModel
from transformers import AutoModelForCausalLM

from tests.methods.case import case
from tests.methods.test_methods import logits
from tests.methods.training import Trained, Workshop, home_in
from tests.training_runs import events_of
from trainer.chat.loading import load_for_chat
from trainer.config import Recipe
from trainer.config.form import ADAPTER_METHODS
from trainer.errors import UserError
from trainer.model import pissa
from trainer.model.adapters import load_adapters, merge_adapters
from trainer.model.describe import count_parameters
from trainer.model.load import load_model
from trainer.model.prepare import prepare_model
from trainer.run.messages import silent


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("adapters")
    with home_in(folder):
        yield Workshop(folder)


def kept(trained: Trained) -> str:
    """The checkpoint, moved to where the next run does not remove it."""
    place = trained.run.path.parent.parent / "kept" / str(len(list(trained.run.path.parent.parent.glob("kept/*"))))
    place.parent.mkdir(exist_ok=True)
    return str(trained.checkpoint.rename(place))


@pytest.fixture(scope="module")
def first(workshop: Workshop) -> str:
    """A LoRA adapter on the tiny model."""
    return kept(workshop.train(case("first", "", lora_target=["q_proj", "v_proj"])))


@pytest.fixture(scope="module")
def second(workshop: Workshop, first: str) -> str:
    """An adapter of another kind that was trained on the model with the first one merged."""
    trained = workshop.train(
        case("second", "", finetuning_type="miss", adapter_name_or_path=[first], create_new_adapter=True)
    )
    assert trained.before["layers.0.self_attn.q_proj"].ne(base_weight(workshop)).any()
    return kept(trained)


def base_weight(workshop: Workshop) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(workshop.model())
    return model.model.layers[0].self_attn.q_proj.weight


def said(checkpoint: str) -> torch.Tensor:
    """What the chat with a checkpoint says."""
    return logits(load_for_chat(checkpoint).tuned()[0])


def test_a_chat_finds_the_adapters_below(workshop: Workshop, first: str, second: str) -> None:
    base = AutoModelForCausalLM.from_pretrained(workshop.model())
    below = PeftModel.from_pretrained(base, first).merge_and_unload()
    expected = logits(PeftModel.from_pretrained(below, second).eval())
    torch.testing.assert_close(said(second), expected, rtol=0, atol=1e-5)
    merged = merge_adapters(AutoModelForCausalLM.from_pretrained(workshop.model()), [first, second])
    torch.testing.assert_close(logits(merged.eval()), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("named", [1, 2])
def test_all_but_the_last_are_merged_and_the_last_is_trained_on(
    workshop: Workshop, first: str, second: str, named: int
) -> None:
    start = said(second)
    trained = workshop.train(
        case("third", "", finetuning_type="miss", adapter_name_or_path=[first, second][-named:], learning_rate=1e-9)
    )
    torch.testing.assert_close(logits(trained.model), start, rtol=0, atol=1e-4)
    assert {name.rpartition(".")[2] for name in trained.changed} == {"miss_block"}
    details = json.loads((trained.checkpoint / "trimtab.json").read_text())
    assert details["merged_adapters"] == [first]
    torch.testing.assert_close(said(str(trained.checkpoint)), logits(trained.model), rtol=0, atol=1e-5)
    told = [event.text for event in events_of(trained.run, "finding")]
    assert any("the settings of adapter" in text and "r 8" in text for text in told)


def test_an_adapter_of_another_kind_is_not_trained_on(workshop: Workshop, first: str) -> None:
    with pytest.raises(AssertionError, match=r"this adapter is one of lora\. Set finetuning_type = lora"):
        workshop.train(case("wrong", "", finetuning_type="vera", adapter_name_or_path=[first]))


def test_prompts_are_trained_on(workshop: Workshop) -> None:
    start = workshop.train(case("start", "", finetuning_type="prompt_tuning", max_steps=1, learning_rate=0.1))
    before, checkpoint = start.after["prompt_encoder.embedding"], kept(start)
    on = workshop.train(case("on", "", finetuning_type="prompt_tuning", adapter_name_or_path=[checkpoint], max_steps=1))
    assert torch.equal(on.before["prompt_encoder.embedding"], before)
    assert on.changed == {"prompt_encoder.embedding"}


def test_what_cannot_be_trained_on_or_kept_together_says_so(workshop: Workshop) -> None:
    adalora = kept(workshop.train(case("ada", "", finetuning_type="adalora", max_steps=2)))
    with pytest.raises(AssertionError, match="has given up ranks and cannot be trained on"):
        workshop.train(case("on", "", finetuning_type="adalora", adapter_name_or_path=[adalora]))
    with pytest.raises(AssertionError, match="share their weights, and vera would train them apart"):
        workshop.train(case("tied", "", finetuning_type="vera", lora__additional_target=["lm_head"]))


def test_an_adapter_of_a_smaller_model_is_refused(workshop: Workshop, first: str) -> None:
    from tests.tiny import make_tiny_model

    larger = AutoModelForCausalLM.from_pretrained(make_tiny_model(workshop.folder / "larger", layers=3))
    with pytest.raises(UserError, match="does not fit this model"):
        load_adapters(larger, [first], trainable=False)


def test_base_models_are_named_by_their_whole_path(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    model = workshop.model()
    monkeypatch.chdir(model.parent)
    trained = workshop.train(case("relative", "", model_name_or_path=model.name, max_steps=1))
    assert PeftConfig.from_pretrained(str(trained.checkpoint)).base_model_name_or_path == str(model)
    assert json.loads((trained.checkpoint / "trimtab.json").read_text())["base_model"] == str(model)


def test_a_pissa_checkpoint_is_a_lora_on_the_unchanged_base(workshop: Workshop) -> None:
    trained = workshop.train(case("pissa", "", pissa_init=True, lora_rank=4))
    checkpoint, now = kept(trained), logits(trained.model)
    model = load_for_chat(checkpoint)
    base = AutoModelForCausalLM.from_pretrained(workshop.model()).eval()
    untuned, context = model.untuned()
    with context:
        torch.testing.assert_close(logits(untuned), logits(base), rtol=0, atol=0)
    assert untuned.peft_config["default"].r == 8
    again = workshop.train(case("again", "", adapter_name_or_path=[checkpoint], learning_rate=1e-9, max_steps=1))
    torch.testing.assert_close(logits(again.model), now, rtol=0, atol=1e-5)


def test_a_converted_pissa_checkpoint_needs_nothing_of_ours(workshop: Workshop) -> None:
    trained = workshop.train(case("pissa", "", pissa_init=True, pissa_convert=True, lora_rank=4))
    base = AutoModelForCausalLM.from_pretrained(workshop.model())
    alone = PeftModel.from_pretrained(base, str(trained.checkpoint)).eval()
    assert (alone.peft_config["default"].r, alone.peft_config["default"].init_lora_weights) == (8, True)
    torch.testing.assert_close(logits(alone), logits(trained.model), rtol=0, atol=1e-5)


def test_pissa_resumes_where_the_decomposition_comes_out_otherwise(workshop: Workshop) -> None:
    trained = workshop.train(case("pissa", "", pissa_init=True, pissa_iter=0, lora_rank=4))
    torch.manual_seed(7)
    recipe = trained.run.recipe()
    other = prepare_model(load_model(recipe, silent), recipe, silent).eval()
    pissa.restore(other, trained.checkpoint)
    torch.testing.assert_close(logits(other), logits(trained.model), rtol=0, atol=1e-5)


def test_loftq_starts_nearer_to_the_full_weights(workshop: Workshop) -> None:
    full = logits(AutoModelForCausalLM.from_pretrained(workshop.model()).eval())
    values = {
        "model.model_name_or_path": str(workshop.model()),
        "quantization.quantization_bit": 4,
        "lora.loftq_init": True,
        "lora.lora_rank": 16,
    }
    recipe = Recipe().with_values(values)
    model = prepare_model(load_model(recipe, silent), recipe, silent).eval()
    with model.disable_adapter():
        lost = float((logits(model) - full).abs().mean())
    assert float((logits(model) - full).abs().mean()) < lost / 2


def test_four_bits_count_as_the_numbers_that_they_stand_for(workshop: Workshop) -> None:
    values = {"model.model_name_or_path": str(workshop.model()), "method.finetuning_type": "ia3"}
    counts = []
    for bits in (None, 4):
        recipe = Recipe().with_values({**values, "quantization.quantization_bit": bits})
        counts.append(count_parameters(prepare_model(load_model(recipe, silent), recipe, silent)))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("architecture", "values", "said"),
    [
        ("qwen3_moe", {"lora.lora_dropout": 0.1}, r"lora_dropout = 0\.1: .*Set it to 0"),
        ("qwen3", {"lora.lora_target": ["all", "lm_head"]}, r"lora_target = \['all', 'lm_head'\]: .*Name it alone"),
        (
            "qwen3",
            {"method.finetuning_type": "prompt_tuning", "method.adapter_kwargs": {"num_virtual_tokens": -3}},
            r"adapter_kwargs = \{'num_virtual_tokens': -3\}: prompt_tuning cannot be put on this model",
        ),
    ],
)
def test_a_setting_that_the_model_does_not_allow_is_named(
    workshop: Workshop, architecture: str, values: dict[str, object], said: str
) -> None:
    recipe = Recipe().with_values({"model.model_name_or_path": str(workshop.model(architecture)), **values})
    with pytest.raises(UserError, match=said):
        prepare_model(load_model(recipe, silent), recipe, silent)


@pytest.mark.parametrize("method", [*ADAPTER_METHODS, "freeze", "full"])
def test_every_method_prepares_a_model_without_numbers(workshop: Workshop, method: str) -> None:
    values = {"model.model_name_or_path": str(workshop.model("llama")), "method.finetuning_type": method}
    recipe = Recipe().with_values(values)
    real = load_model(recipe, silent)
    with torch.device("meta"):
        blueprint = prepare_model(AutoModelForCausalLM.from_config(real.config), recipe, silent)
    assert count_parameters(blueprint) == count_parameters(prepare_model(real, recipe, silent))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"lora_target": ["q_proj"]},
            "lora (r 8, lora_alpha 16, lora_dropout 0.0, use_rslora False, use_dora False) on q_proj, in 2 layers; "
            "everything else is frozen",
        ),
        (
            {"finetuning_type": "ia3", "lora_target": ["q_proj"]},
            "ia3 on q_proj, in 2 layers; everything else is frozen",
        ),
        ({"finetuning_type": "full"}, "nothing is frozen"),
        (
            {"finetuning_type": "freeze", "freeze_trainable_layers": 1, "freeze_trainable_modules": ["mlp"]},
            "trained: layers 1 (mlp). Frozen: layers 0 (input_layernorm, mlp, post_attention_layernorm, self_attn); "
            "layers 1 (input_layernorm, post_attention_layernorm, self_attn); embed_tokens, norm",
        ),
        (
            {"finetuning_type": "prefix_tuning", "learning_rate": 0.1},
            "prefix_tuning: 20 trained vectors in front of every sequence; the model is frozen",
        ),
    ],
    ids=["lora", "ia3", "full", "freeze", "prefix_tuning"],
)
def test_what_is_trained_is_said_before_the_first_step(
    workshop: Workshop, values: dict[str, object], text: str
) -> None:
    trained = workshop.train(case("said", "", max_steps=1, **values))
    told = [event.text for event in events_of(trained.run, "finding")]
    assert text in told
    assert any("parameters are trained" in each for each in told)
