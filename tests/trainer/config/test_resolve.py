"""Values that are left open are filled in, each with its reason."""

import pytest

from trainer.config import Choice, Hardware, Recipe, check, load_preset, resolve

PROCESSOR = Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2)
OLD_GPU = Hardware(cuda=True, bf16=False, gpu_count=1, cpu_cores=8)
GPU = Hardware(cuda=True, bf16=True, gpu_count=1, cpu_cores=8)


@pytest.mark.parametrize(("method", "rate"), [("lora", 1e-4), ("freeze", 5e-5), ("full", 1e-5)])
def test_learning_rate_follows_the_method(method: str, rate: float) -> None:
    resolved = resolve(Recipe().with_values({"method.finetuning_type": method}), PROCESSOR)
    assert resolved.recipe.train.learning_rate == rate
    assert resolved.chosen["train.learning_rate"] == Choice(rate, f"usual for sft with {method}")


def test_lora_alpha_is_twice_the_rank_where_there_is_lora() -> None:
    assert resolve(Recipe().with_values({"lora.lora_rank": 24}), GPU).recipe.lora.lora_alpha == 48
    full = resolve(Recipe().with_values({"method.finetuning_type": "full"}), GPU)
    assert full.recipe.lora.lora_alpha is None


@pytest.mark.parametrize(
    ("hardware", "value", "reason"),
    [
        (PROCESSOR, False, "no NVIDIA GPU"),
        (OLD_GPU, False, "the GPU has no bfloat16"),
        (GPU, True, "the GPU computes in bfloat16"),
    ],
)
def test_bf16_follows_the_hardware(hardware: Hardware, value: bool, reason: str) -> None:
    assert resolve(Recipe(), hardware).chosen["train.bf16"] == Choice(value, reason)


def test_bf16_stays_off_beside_other_precisions() -> None:
    assert resolve(Recipe().with_values({"train.fp16": True}), GPU).recipe.train.bf16 is False
    assert resolve(Recipe().with_values({"method.pure_bf16": True}), GPU).recipe.train.bf16 is False


def test_gradient_checkpointing_saves_memory_on_gpus_only() -> None:
    assert resolve(Recipe(), GPU).recipe.train.gradient_checkpointing is True
    assert resolve(Recipe(), PROCESSOR).recipe.train.gradient_checkpointing is False
    kept = Recipe().with_values({"model.disable_gradient_checkpointing": True})
    assert resolve(kept, GPU).recipe.train.gradient_checkpointing is False


def test_what_the_user_set_is_left_alone() -> None:
    recipe = Recipe().with_values({"train.learning_rate": 3e-3, "lora.lora_alpha": 5, "train.bf16": False})
    resolved = resolve(recipe, GPU)
    assert (resolved.recipe.train.learning_rate, resolved.recipe.lora.lora_alpha) == (3e-3, 5)
    assert not {"train.learning_rate", "lora.lora_alpha", "train.bf16"} & resolved.chosen.keys()


def test_evaluation_figures_follow_each_other() -> None:
    recipe = Recipe().with_values(
        {"train.eval_strategy": "steps", "train.save_steps": 70, "train.load_best_model_at_end": True}
    )
    train = resolve(recipe, PROCESSOR).recipe.train
    assert (train.eval_steps, train.metric_for_best_model, train.greater_is_better) == (70, "loss", False)
    assert train.per_device_eval_batch_size == train.per_device_train_batch_size


def test_a_rising_figure_is_better() -> None:
    recipe = Recipe().with_values({"train.metric_for_best_model": "accuracy"})
    assert resolve(recipe, PROCESSOR).recipe.train.greater_is_better is True


def test_pre_training_packs_and_neat_packing_too() -> None:
    text = resolve(Recipe().with_values({"method.stage": "pt"}), GPU).recipe.data
    assert (text.packing, text.neat_packing) == (True, True)
    plain = resolve(Recipe().with_values({"method.stage": "pt", "data.neat_packing": False}), GPU).recipe.data
    assert (plain.packing, plain.neat_packing) == (True, False)
    prompted = Recipe().with_values({"method.stage": "pt", "method.finetuning_type": "prefix_tuning"})
    assert resolve(prompted, GPU).chosen["data.neat_packing"] == Choice(False, "prefix_tuning cannot keep texts apart")
    assert resolve(Recipe().with_values({"data.neat_packing": True}), GPU).recipe.data.packing is True
    assert resolve(Recipe(), GPU).recipe.data.packing is None


@pytest.mark.parametrize("hardware", [PROCESSOR, OLD_GPU, GPU])
def test_a_resolved_recipe_is_as_clean_as_before_and_stays_as_it_is(hardware: Hardware) -> None:
    resolved = resolve(load_preset("demo").recipe, hardware)
    assert [finding for finding in check(resolved.recipe, hardware) if finding.severity != "info"] == []
    assert resolve(resolved.recipe, hardware).chosen == {}
