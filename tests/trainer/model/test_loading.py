"""How the base model is loaded: attention, stretched positions, few bits, random weights, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny import make_tiny_model
from trainer.config import Recipe, Severity
from trainer.errors import UserError
from trainer.model.describe import count_parameters
from trainer.model.load import load_model
from trainer.model.loading_record import LoadingRecord
from trainer.model.quantization import dequantized, hqq_layers
from trainer.run.messages import Words


class Told:
    """Keeps what loading says."""

    def __init__(self) -> None:
        self.words: list[Words] = []

    def __call__(self, severity: Severity, said: Words) -> None:
        self.words.append(said)

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.words]


@pytest.fixture
def told() -> Told:
    return Told()


def load(model: Path, told: Told | None = None, **values: object) -> Any:
    """`rope_scaling="yarn"`: parameters by flat name, with `table__name` where two tables have it."""
    keys = {name.replace("__", "."): value for name, value in values.items()}
    recipe = Recipe().with_values({"model.model_name_or_path": str(model), "train.bf16": False, **keys})
    return load_model(recipe, told or Told())


@torch.no_grad()
def logits(model: Any, length: int = 40) -> torch.Tensor:
    """(1, length, vocabulary) for a fixed text."""
    tokens = torch.arange(length)[None] % 200 + 3
    found: torch.Tensor = model.eval()(tokens).logits
    return found


def test_auto_takes_the_fused_attention_and_says_why(tiny_model: Path, told: Told) -> None:
    assert load(tiny_model, told).config._attn_implementation == "sdpa"
    assert told.ids == ["run_attention_sdpa_gpu"]


def test_auto_takes_the_plain_attention_where_there_is_no_fused_one(tmp_path: Path, told: Told) -> None:
    gemma2 = make_tiny_model(tmp_path / "gemma2", architecture="gemma2")
    assert load(gemma2, told).config._attn_implementation == "eager"
    assert told.words[0].text == "attention: the plain one (eager); Gemma2ForCausalLM has no fused form"
    with pytest.raises(UserError, match="flash_attn = 'sdpa': Gemma2ForCausalLM cannot be computed with it"):
        load(gemma2, model__flash_attn="sdpa")


@pytest.mark.parametrize("asked", ["fa2", "fa3"])
def test_flash_attention_without_a_gpu_is_refused(tiny_model: Path, asked: str) -> None:
    with pytest.raises(UserError, match=rf"flash_attn = '{asked}': FlashAttention \d needs an NVIDIA GPU"):
        load(tiny_model, model__flash_attn=asked)


@pytest.mark.parametrize("kind", ["linear", "dynamic", "yarn", "llama3"])
def test_stretched_positions_change_long_texts_and_go_into_the_saved_model(
    tiny_model: Path, tmp_path: Path, told: Told, kind: str
) -> None:
    stretched = load(tiny_model, told, model__rope_scaling=kind, data__cutoff_len=1500)
    assert stretched.config.rope_parameters["factor"] == 3.0
    assert "run_rope" in told.ids
    long = logits(stretched, 1200)
    assert not torch.allclose(long, logits(load(tiny_model), 1200), atol=1e-3)
    stretched.save_pretrained(tmp_path / "saved")
    torch.testing.assert_close(logits(load(tmp_path / "saved"), 1200), long)


def test_dynamic_positions_leave_short_texts_as_they_were(tiny_model: Path) -> None:
    stretched = load(tiny_model, model__rope_scaling="dynamic", data__cutoff_len=2048)
    torch.testing.assert_close(logits(stretched, 400), logits(load(tiny_model), 400))


def test_positions_are_not_stretched_without_need(tiny_model: Path, told: Told) -> None:
    plain = load(tiny_model, told, model__rope_scaling="yarn", data__cutoff_len=512)
    assert plain.config.rope_parameters["rope_type"] == "default"
    assert told.words[0].text == (
        "rope_scaling is not used: cutoff_len = 512 is within the 512 tokens that the model was made for"
    )


def test_positions_that_are_stretched_already_are_stretched_further_or_refused(
    tiny_model: Path, tmp_path: Path
) -> None:
    load(tiny_model, model__rope_scaling="yarn", data__cutoff_len=1024).save_pretrained(tmp_path / "twice")
    further = load(tmp_path / "twice", model__rope_scaling="yarn", data__cutoff_len=2048).config
    assert further.rope_parameters["factor"] == 4.0
    assert further.rope_parameters["original_max_position_embeddings"] == 512
    assert further.max_position_embeddings == 2048
    with pytest.raises(UserError, match=r"stretched already, by yarn. Set rope_scaling = yarn"):
        load(tmp_path / "twice", model__rope_scaling="linear", data__cutoff_len=2048)


def test_only_the_layers_that_see_everything_are_stretched(tmp_path: Path) -> None:
    gemma3 = make_tiny_model(tmp_path / "gemma3", architecture="gemma3")
    before = load(gemma3).config.rope_parameters
    after = load(gemma3, model__rope_scaling="linear", data__cutoff_len=1024).config.rope_parameters
    assert after["sliding_attention"] == before["sliding_attention"]
    assert after["full_attention"] == {**before["full_attention"], "rope_type": "linear", "factor": 2.0}


def test_random_weights_are_those_of_the_seed_and_keep_the_stop_tokens(tiny_model: Path, told: Told) -> None:
    def made(seed: int) -> Any:
        torch.manual_seed(seed)
        return load(tiny_model, told, model__train_from_scratch=True)

    first, again, other = made(1), made(1), made(2)
    assert torch.equal(logits(first), logits(again))
    assert not torch.allclose(logits(first), logits(other))
    assert not torch.allclose(logits(first), logits(load(tiny_model)))
    assert first.generation_config.eos_token_id == load(tiny_model).generation_config.eos_token_id
    assert "run_from_scratch" in told.ids


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        ({"quantization_bit": 4}, "bitsandbytes, 4 bits (nf4, double)"),
        (
            {"quantization_bit": 4, "quantization_type": "fp4", "double_quantization": False},
            "bitsandbytes, 4 bits (fp4)",
        ),
        ({"quantization_bit": 8}, "bitsandbytes, 8 bits"),
    ],
)
def test_quantized_weights_are_near_the_whole_ones(
    tiny_model: Path, told: Told, values: dict[str, object], bits: str
) -> None:
    model = load(tiny_model, told, **{f"quantization__{name}": value for name, value in values.items()})
    linear = model.model.layers[0].mlp.up_proj.weight
    assert linear.dtype in (torch.uint8, torch.int8)
    if linear.dtype is torch.uint8:
        assert linear.quant_state.quant_type == values.get("quantization_type", "nf4")
        assert linear.quant_state.nested == values.get("double_quantization", True)
    assert told.words[-1].text == f"the base model is quantized ({bits}); arithmetic in float32"
    difference = (logits(model) - logits(load(tiny_model))).abs().max()
    assert 0 < difference < 0.5


def test_a_forward_pass_without_gradients_does_not_spoil_later_gradients(tiny_model: Path) -> None:
    """bitsandbytes repacks 4-bit weights on processors with AVX512-BF16; gradients through them are lost then."""

    def gradient(model: Any) -> torch.Tensor:
        embedding = model.get_input_embeddings().weight
        embedding.requires_grad_(True)
        model.train()(torch.arange(3, 40)[None]).logits.square().sum().backward()
        assert embedding.grad is not None
        return embedding.grad.clone()

    fresh, evaluated = (load(tiny_model, quantization__quantization_bit=4) for _ in range(2))
    logits(evaluated)
    torch.testing.assert_close(gradient(evaluated), gradient(fresh), rtol=0, atol=0)


@pytest.fixture
def quantized(tiny_model: Path, tmp_path: Path) -> Path:
    """A model that comes quantized: saved by bitsandbytes."""
    folder = shutil.copytree(tiny_model, tmp_path / "quantized")
    load(tiny_model, quantization__quantization_bit=4).save_pretrained(folder)
    return folder


def test_a_model_that_comes_quantized_is_taken_for_adapters_alone(
    quantized: Path, tiny_model: Path, told: Told
) -> None:
    model = load(quantized, told)
    assert model.is_loaded_in_4bit
    assert told.words[0].text == "the base model comes quantized (bitsandbytes)"
    torch.testing.assert_close(logits(model), logits(load(tiny_model, quantization__quantization_bit=4)))
    with pytest.raises(UserError, match=r"quantized weights cannot be trained. Choose lora"):
        load(quantized, method__finetuning_type="full")
    with pytest.raises(UserError, match=r"quantization_bit = 8: .* is quantized already"):
        load(quantized, quantization__quantization_bit=8)


def test_the_package_that_a_quantized_model_needs_is_named(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "vptq")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "vptq"}}))
    with pytest.raises(UserError, match=r"needs the package vptq, which is not installed. pip install vptq"):
        load(folder)


def test_an_auxiliary_loss_needs_experts(tiny_model: Path) -> None:
    with pytest.raises(UserError, match=r"moe_aux_loss_coef = 0.1: this model .qwen3. is no mixture of experts"):
        load(tiny_model, model__moe_aux_loss_coef=0.1)


def test_a_model_in_fp8_is_unpacked(tiny_model: Path, tmp_path: Path, told: Told) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_model, tmp_path / "fp8")
    packed: dict[str, torch.Tensor] = {}
    for name, weight in load_file(tiny_model / "model.safetensors").items():
        packed[name] = weight
        if "_proj" in name:
            # One scale for each block of 16 x 16.
            scale = weight.abs().max() / 448
            packed[name] = (weight / scale).to(torch.float8_e4m3fn)
            packed[f"{name}_scale_inv"] = scale.repeat(weight.shape[0] // 16, weight.shape[1] // 16)
    save_file(packed, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    stored = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [16, 16]}
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": stored}))
    model = load(folder, told)
    assert told.words[0].id == "run_model_is_unpacked"
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    difference = (logits(model) - logits(load(tiny_model))).abs().max()
    assert 0 < difference < 0.1


def test_hqq_layers_hold_few_bits_and_become_whole_again(tiny_model: Path, told: Told) -> None:
    pytest.importorskip("hqq")
    model = load(tiny_model, told, quantization__quantization_method="hqq", quantization__quantization_bit=4)
    assert len(hqq_layers(model)) == 14
    assert told.words[-1].text == "the base model is quantized (hqq, 4 bits); arithmetic in float32"
    assert count_parameters(model).total == count_parameters(load(tiny_model)).total
    quantized = logits(model)
    assert 0 < (quantized - logits(load(tiny_model))).abs().max() < 0.5
    whole = dequantized(model)
    assert hqq_layers(whole) == []
    torch.testing.assert_close(logits(whole), quantized)


def test_bits_that_a_library_does_not_take_are_refused(tiny_model: Path) -> None:
    with pytest.raises(UserError, match="quantization_bit = 3: bnb does not take so many bits"):
        load(tiny_model, quantization__quantization_bit=3)


def test_an_adapter_is_trained_on_with_the_positions_that_it_was_trained_with(
    tiny_model: Path, tmp_path: Path, told: Told
) -> None:
    stretched = load(tiny_model, model__rope_scaling="yarn", data__cutoff_len=2048)
    recipe = Recipe().with_values({"model.rope_scaling": "yarn"})
    record = LoadingRecord.of_run(recipe, stretched.config)
    (tmp_path / "trimtab.json").write_text(json.dumps({"loading": record.as_json()}))
    again = load(tiny_model, told, model__adapter_name_or_path=[str(tmp_path)])
    assert told.ids[0] == "run_rope_of_adapter"
    torch.testing.assert_close(logits(again, 700), logits(stretched, 700))


def test_positions_that_are_the_models_own_are_not_called_those_of_an_adapter(
    tiny_model: Path, tmp_path: Path, told: Told
) -> None:
    recipe = Recipe().with_values({"model.adapter_name_or_path": ["below"]})
    record = LoadingRecord.of_run(recipe, load(tiny_model).config)
    (tmp_path / "trimtab.json").write_text(json.dumps({"loading": record.as_json()}))
    load(tiny_model, told, model__adapter_name_or_path=[str(tmp_path)])
    assert "run_rope_of_adapter" not in told.ids
