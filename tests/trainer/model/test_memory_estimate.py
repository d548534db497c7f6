"""The memory estimate against what PyTorch's profiler sees in a real training step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import make_tiny_model
from trainer.config import Hardware, Recipe, load_preset, resolve
from trainer.errors import UserError
from trainer.estimate import answer
from trainer.model.memory import Device, estimate_memory

GIBI = 2**30
CPU = Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2)
GPU = Hardware(cuda=True, bf16=True, gpu_count=1, cpu_cores=8)


def recipe(model: Path, *settings: str, hardware: Hardware = CPU) -> Recipe:
    overrides = [f"model_name_or_path={model}", "dataset=none", *settings]
    return resolve(load_preset("base", overrides=overrides).recipe, hardware).recipe


def write_config(folder: Path, **values: Any) -> Path:
    """The shape of a model without weights."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
    }
    (folder / "config.json").write_text(json.dumps({**shape, **values}), encoding="utf-8")
    return folder


def measured_peak(settings: Recipe, batch: int, length: int) -> int:
    """Bytes that a second training step holds at most, written out plainly."""
    import torch
    from torch.profiler import ProfilerActivity, profile
    from transformers import AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    from trainer.model.prepare import prepare_model
    from trainer.run.messages import silent

    model = AutoModelForCausalLM.from_pretrained(settings.model.model_name_or_path, dtype=torch.float32)
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    model = prepare_model(model, settings, silent).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    ids = torch.zeros((batch, length), dtype=torch.long)

    def step() -> None:
        outputs = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids, fused_lm_head=True)
        (-outputs.log_probs.sum() / ids.numel()).backward()
        del outputs
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    step()
    state = [value for each in optimizer.state.values() for value in each.values()]
    held = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in [*model.parameters(), *state]}
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        step()
    current = peak = 0
    for event in record.profiler.kineto_results.events():
        if event.name() == "[memory]":
            current += event.nbytes()
            peak = max(peak, current)
    return sum(held.values()) + peak


@pytest.mark.parametrize("method", ["lora", "full", "freeze"])
def test_estimate_is_within_five_per_cent_of_a_real_step(tmp_path: Path, method: str) -> None:
    model = make_tiny_model(tmp_path / "model", layers=6)
    settings = recipe(
        model,
        f"finetuning_type={method}",
        "per_device_train_batch_size=4",
        "gradient_accumulation_steps=1",
        "cutoff_len=256",
    )
    estimate = estimate_memory(settings, is_gpu=False)
    assert estimate.tensors == pytest.approx(measured_peak(settings, 4, 256), rel=0.05)
    assert estimate.layers == 6


@pytest.mark.parametrize("method", ["loha", "lokr", "prefix_tuning"])
def test_adapters_that_work_otherwise_are_simulated_too(tmp_path: Path, method: str) -> None:
    """They do not fall back on the formula, which knows LoRA alone."""
    settings = recipe(make_tiny_model(tmp_path / "model"), f"finetuning_type={method}", "cutoff_len=32")
    assert not estimate_memory(settings, is_gpu=False).is_formula


def test_parts_of_full_training_are_counted_right(tmp_path: Path) -> None:
    """Seven billion parameters in float32: weights, gradients and two moments, 4 bytes each."""
    model = write_config(tmp_path / "model")
    estimate = estimate_memory(recipe(model, "finetuning_type=full"), is_gpu=False)
    parameters = 2 * 32000 * 4096 + 32 * (4 * 4096**2 + 3 * 4096 * 11008 + 2 * 4096) + 4096
    assert estimate.trained_weights == estimate.gradients == 4 * parameters
    assert estimate.optimizer == pytest.approx(8 * parameters, rel=1e-3)
    assert estimate.total == estimate.tensors + estimate.overhead


def test_what_does_not_fit_gets_ways_out_and_what_fits_gets_none(tmp_path: Path) -> None:
    settings = recipe(write_config(tmp_path / "model", num_hidden_layers=2), "cutoff_len=64", hardware=GPU)
    needed = estimate_memory(settings, is_gpu=True).total
    roomy = answer(settings, [Device("a GPU", True, 24 * GIBI, 23 * GIBI)])
    assert (roomy.verdict, roomy.savings) == ("fits", ())
    crowded = answer(settings, [Device("a GPU", True, 24 * GIBI, needed - 1)])
    assert crowded.verdict == "no"
    assert {"quantization.quantization_bit": 8} in [dict(saving.change) for saving in crowded.savings]
    assert all(saving.total < needed for saving in crowded.savings)
    assert crowded.to_json()["device"]["used"] == 24 * GIBI - needed + 1


def test_rows_shorter_than_the_cutoff_need_less(tmp_path: Path) -> None:
    settings = recipe(make_tiny_model(tmp_path / "model"), "cutoff_len=512", "per_device_train_batch_size=8")
    short, long = (estimate_memory(settings, is_gpu=False, length=length) for length in (64, 4096))
    assert short.tensors < long.tensors
    assert (short.length, long.length) == (64, 512)


@pytest.mark.parametrize(
    "values",
    [
        {"model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "num_hidden_layers": 12},
        {"model_type": "mistral", "architectures": ["MistralForCausalLM"]},
    ],
    ids=lambda values: str(values["model_type"]),
)
def test_other_architectures_extend_to_all_layers(tmp_path: Path, values: dict[str, Any]) -> None:
    """The estimate of many layers equals that of the same model simulated whole."""
    small = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2}
    shape = {"num_hidden_layers": 8, "head_dim": 16, "vocab_size": 512, **small, **values}
    settings = recipe(write_config(tmp_path / "model", **shape), "finetuning_type=lora", "cutoff_len=64")
    extended = estimate_memory(settings, is_gpu=False)
    assert not extended.is_formula
    assert extended.tensors == pytest.approx(simulated_whole(settings), rel=0.01)


def simulated_whole(settings: Recipe) -> int:
    """The peak of a step of all layers, none of them extended."""
    from trainer.model.memory.batch import batch_of
    from trainer.model.memory.blueprint import read_config
    from trainer.model.memory.simulate import simulate

    rows, length = settings.train.per_device_train_batch_size, settings.data.cutoff_len
    batch = batch_of(settings, rows=rows, length=length, is_gpu=False)
    whole = simulate(settings, read_config(settings), batch=batch, checkpointing=False, is_gpu=False)
    return max(whole.passes, whole.update)


def test_experts_are_simulated_too(tmp_path: Path) -> None:
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "head_dim": 16}
    shape = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 6}
    model = write_config(tmp_path / "model", model_type="qwen3_moe", vocab_size=512, **shape, **experts)
    settings = recipe(model, "finetuning_type=full", "cutoff_len=64")
    estimate = estimate_memory(settings, is_gpu=False)
    assert not estimate.is_formula
    assert estimate.tensors == pytest.approx(simulated_whole(settings), rel=0.01)


def test_a_model_that_cannot_be_simulated_gets_a_formula_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*arguments: Any, **keywords: Any) -> None:
        raise NotImplementedError("no fake form")

    monkeypatch.setattr("trainer.model.memory.estimate.simulate", cannot)
    settings = recipe(make_tiny_model(tmp_path / "model"), "finetuning_type=full", "cutoff_len=64")
    estimate = estimate_memory(settings, is_gpu=False)
    assert estimate.is_formula
    assert estimate.trained_weights == estimate.gradients == estimate.optimizer // 2
    assert estimate.activations + estimate.logits > 0


def quantized(model: Path, **values: object) -> Recipe:
    """A LoRA recipe over a quantized base, for a GPU."""
    settings = recipe(model, "cutoff_len=512", "per_device_train_batch_size=1", hardware=GPU)
    return settings.with_values({f"quantization.{name}": value for name, value in values.items()})


def test_four_bits_hold_a_quarter_of_the_linear_weights(tmp_path: Path) -> None:
    model = write_config(tmp_path / "model")
    linear = 32 * (4 * 4096**2 + 3 * 4096 * 11008)
    others = 2 * 32000 * 4096 + 32 * 2 * 4096 + 4096
    whole = estimate_memory(quantized(model), is_gpu=True)
    packed = estimate_memory(quantized(model, quantization_bit=4), is_gpu=True)
    single = estimate_memory(quantized(model, quantization_bit=4, double_quantization=False), is_gpu=True)
    assert whole.frozen_weights == pytest.approx(2 * (linear + others), rel=1e-3)
    assert packed.frozen_weights == pytest.approx(linear * (0.5 + 1.015625 / 64) + 2 * others, rel=1e-3)
    assert single.frozen_weights == pytest.approx(linear * (0.5 + 4 / 64) + 2 * others, rel=1e-3)
    assert packed.total < whole.total / 2


def test_a_base_that_is_quantized_already_is_taken_as_it_is_stored(tmp_path: Path) -> None:
    stored = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    model = write_config(tmp_path / "model", quantization_config=stored)
    linear = 32 * (4 * 4096**2 + 3 * 4096 * 11008)
    others = 2 * 32000 * 4096 + 32 * 2 * 4096 + 4096
    estimate = estimate_memory(quantized(model), is_gpu=True)
    assert estimate.frozen_weights == pytest.approx(linear * (0.5 + 2.5 / 128) + 2 * others, rel=1e-3)


@pytest.mark.parametrize(
    ("optim", "bytes_each"),
    [("sgd", 0), ("adafactor", 0.01), ("adamw_bnb_8bit", 2.03), ("lion_32bit", 4), ("paged_adamw_32bit", 0)],
)
def test_other_optimizers_hold_less(tmp_path: Path, optim: str, bytes_each: float) -> None:
    model = write_config(tmp_path / "model", num_hidden_layers=4, vocab_size=512)
    settings = recipe(model, "finetuning_type=full", "cutoff_len=64").with_values({"train.optim": optim})
    estimate = estimate_memory(settings, is_gpu=False)
    parameters = estimate.trained_weights // 4
    assert estimate.optimizer == pytest.approx(bytes_each * parameters, abs=0.02 * parameters)
    assert estimate.stored_optimizer >= estimate.optimizer


def test_a_checkpoint_holds_the_adapter_or_everything(tmp_path: Path) -> None:
    model = write_config(tmp_path / "model", num_hidden_layers=4, vocab_size=512)
    lora = estimate_memory(recipe(model, "cutoff_len=64"), is_gpu=False)
    full = estimate_memory(recipe(model, "finetuning_type=full", "cutoff_len=64"), is_gpu=False)
    small = estimate_memory(recipe(model, "finetuning_type=full", "save_only_model=true"), is_gpu=False)
    assert lora.checkpoint == lora.trained_weights + lora.optimizer
    assert full.checkpoint == pytest.approx(full.trained_weights + full.optimizer, rel=1e-6)
    assert small.checkpoint == pytest.approx(small.trained_weights, rel=1e-6)


def test_larger_batches_of_the_evaluation_count(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    settings = recipe(model, "cutoff_len=64", "per_device_train_batch_size=1", "eval_strategy=epoch", "val_size=0.1")
    small, large = (
        estimate_memory(settings.with_values({"train.per_device_eval_batch_size": rows}), is_gpu=False)
        for rows in (1, 256)
    )
    assert small.evaluation == 0
    assert large.evaluation > 0
    assert large.total > small.total


def test_packed_rows_are_as_long_as_the_cutoff(tmp_path: Path) -> None:
    settings = recipe(make_tiny_model(tmp_path / "model"), "cutoff_len=512", "packing=true")
    assert estimate_memory(settings, is_gpu=False, length=20).length == 512


def test_a_freeze_that_asks_for_more_layers_than_there_are_is_refused(tmp_path: Path) -> None:
    settings = recipe(make_tiny_model(tmp_path / "model"), "finetuning_type=freeze", "freeze_trainable_layers=5")
    with pytest.raises(UserError, match="this model has 2 layers"):
        estimate_memory(settings, is_gpu=False)


def test_answers_of_an_evaluation_hold_their_keys_and_values(tmp_path: Path) -> None:
    model = write_config(tmp_path / "model")
    settings = (
        "cutoff_len=1024",
        "per_device_eval_batch_size=64",
        "generation.max_new_tokens=1024",
        "eval_strategy=no",
    )
    plain, answering = (
        estimate_memory(
            recipe(model, *settings, f"predict_with_generate={value}", hardware=GPU), is_gpu=True, length=1024
        )
        for value in ("false", "true")
    )
    # Keys and values of 32 layers with 32 heads of 128 numbers, two bytes each, for 64 x 2048 tokens.
    cache = 2 * 32 * 32 * 128 * 2 * 64 * 2048
    state = answering.frozen_weights + answering.trained_weights + answering.optimizer
    step = answering.tensors - answering.evaluation
    assert plain.evaluation == 0
    assert answering.evaluation == state + cache - step
