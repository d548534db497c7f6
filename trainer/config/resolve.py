"""Filling in what depends on other values or on the machine, each with its reason. Not for checking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trainer.config.form import IN_ANSWERING, IN_SEQUENCES, PROMPT_METHODS, WITH_ALPHA
from trainer.config.hardware import Hardware
from trainer.config.model_names import is_hub_name, prefers_modelscope
from trainer.config.recipe import Recipe


@dataclass(frozen=True)
class Choice:
    """A value that was chosen for the user, and why."""

    value: object
    reason: str


@dataclass(frozen=True)
class Resolved:
    """A recipe in which nothing is left to be chosen."""

    recipe: Recipe
    chosen: dict[str, Choice]
    """By dotted key, only what the user had left open."""


# Learning rates by stage and method. LoRA moves few weights from zero and bears ten times what full training does;
# preference training starts from a good model and moves it little (values of the examples of LLaMA-Factory and TRL).
_LEARNING_RATES: dict[str, dict[str, float]] = {
    "pt": {"lora": 1e-4, "freeze": 5e-5, "full": 1e-5},
    "sft": {"lora": 1e-4, "freeze": 5e-5, "full": 1e-5},
    "rm": {"lora": 1e-4, "freeze": 1e-5, "full": 1e-5},
    "ppo": {"lora": 1e-5, "freeze": 1e-6, "full": 1e-6},
    "grpo": {"lora": 1e-5, "oft": 1e-5, "freeze": 1e-6, "full": 1e-6},
    "rloo": {"lora": 1e-5, "oft": 1e-5, "freeze": 1e-6, "full": 1e-6},
    "dpo": {"lora": 5e-6, "freeze": 1e-6, "full": 5e-7},
    "kto": {"lora": 5e-6, "freeze": 1e-6, "full": 5e-7},
}
# The fewer numbers an adapter has, the further each must move: against LoRA's rate (values of the papers and of PEFT's
# examples, such as 4e-3 for VeRA, 3e-3 for IA3, 1e-2 for prefixes and 3e-2 for prompts).
_AGAINST_LORA = {
    "oft": 1,
    "adalora": 5,
    "vera": 40,
    "loha": 1,
    "lokr": 1,
    "miss": 0.2,
    "ia3": 30,
    "ln_tuning": 3,
    "prompt_tuning": 300,
    "prefix_tuning": 100,
}

_FOLLOWING = ("reduce_lr_on_plateau", "greedy")
"""Schedules that go by a figure of the evaluations."""
_SMALLER_IS_BETTER = ("loss", "perplexity", "kl")


def resolve(recipe: Recipe, hardware: Hardware) -> Resolved:
    """The recipe with everything filled in that was left open.

    The run directory holds the result, so that a resume on another day chooses the same.
    """
    chosen: dict[str, Choice] = {}
    for key, choose in _CHOOSERS.items():
        if recipe.value(key) is None and (choice := choose(recipe, hardware)) is not None:
            chosen[key] = choice
            recipe = recipe.with_values({key: choice.value})
    if recipe.data.neat_packing is None and recipe.method.stage in IN_SEQUENCES.values:
        recipe = recipe.with_values({"data.neat_packing": False})
    if recipe.data.neat_packing and not recipe.data.packing:
        chosen["data.packing"] = Choice(True, "neat_packing packs")
        recipe = recipe.with_values({"data.packing": True})
    adding = recipe.model.adding_tokens
    if adding is not None and not recipe.model.resize_vocab:
        chosen["model.resize_vocab"] = Choice(True, f"{adding} adds to the vocabulary")
        recipe = recipe.with_values({"model.resize_vocab": True})
    return Resolved(recipe, chosen)


def _learning_rate(recipe: Recipe, _: Hardware) -> Choice:
    stage, method = recipe.method.stage, recipe.method.finetuning_type
    rates = _LEARNING_RATES[stage]
    rate = rates[method] if method in rates else float(f"{rates['lora'] * _AGAINST_LORA[method]:.3g}")
    return Choice(rate, f"usual for {stage} with {method}")


def _lora_alpha(recipe: Recipe, _: Hardware) -> Choice | None:
    if recipe.method.finetuning_type not in WITH_ALPHA.values:
        return None
    rank = recipe.lora.lora_rank
    return Choice(2 * rank, f"twice lora_rank {rank}")


def _bf16(recipe: Recipe, hardware: Hardware) -> Choice:
    if recipe.train.fp16:
        return Choice(False, "fp16 is on")
    if recipe.method.pure_bf16:
        return Choice(False, "pure_bf16 needs no mixed precision")
    if not hardware.cuda:
        return Choice(False, "no NVIDIA GPU")
    if not hardware.bf16:
        return Choice(False, "the GPU has no bfloat16")
    return Choice(True, "the GPU computes in bfloat16")


def _gradient_checkpointing(recipe: Recipe, hardware: Hardware) -> Choice:
    if recipe.method.finetuning_type == "prefix_tuning":
        return Choice(False, "prefix_tuning cannot do it")
    if recipe.model.disable_gradient_checkpointing:
        return Choice(False, "disable_gradient_checkpointing is set")
    if recipe.model.use_unsloth_gc:
        return Choice(True, "use_unsloth_gc is on")
    if not hardware.cuda:
        return Choice(False, "without a GPU time is scarcer than memory")
    return Choice(True, "saves GPU memory")


def _eval_steps(recipe: Recipe, _: Hardware) -> Choice | None:
    if recipe.train.eval_strategy != "steps":
        return None
    return Choice(recipe.train.save_steps, "as often as save_steps")


def _eval_batch_size(recipe: Recipe, _: Hardware) -> Choice:
    return Choice(recipe.train.per_device_train_batch_size, "as in training")


def _pin_memory(_: Recipe, hardware: Hardware) -> Choice:
    return Choice(hardware.cuda, "there is a GPU" if hardware.cuda else "no NVIDIA GPU")


def _wants_best(recipe: Recipe) -> bool:
    train = recipe.train
    if train.load_best_model_at_end or train.save_strategy == "best":
        return True
    return recipe.method.early_stopping_steps is not None or train.lr_scheduler_type in _FOLLOWING


def _best_metric(recipe: Recipe, _: Hardware) -> Choice | None:
    if not _wants_best(recipe):
        return None
    if recipe.method.stage in IN_ANSWERING.values:
        return Choice("reward", "the reward of the evaluation")
    return Choice("loss", "the loss of the evaluation")


def _greater_is_better(recipe: Recipe, _: Hardware) -> Choice | None:
    metric = recipe.train.metric_for_best_model
    if metric is None:
        return None
    less = metric.endswith(_SMALLER_IS_BETTER)
    return Choice(not less, f"{metric} shall {'fall' if less else 'rise'}")


def _model_hub(recipe: Recipe, _: Hardware) -> Choice | None:
    name = recipe.model.model_name_or_path
    if name is None or "://" in name or not is_hub_name(name) or not prefers_modelscope():
        return None
    return Choice("modelscope", "USE_MODELSCOPE_HUB is set")


def _packing(recipe: Recipe, _: Hardware) -> Choice | None:
    return Choice(True, "pre-training fills every sequence") if recipe.method.stage == "pt" else None


def _neat_packing(recipe: Recipe, _: Hardware) -> Choice | None:
    method = recipe.method.finetuning_type
    if recipe.method.stage != "pt" or not recipe.data.packing:
        return None
    if method in PROMPT_METHODS:
        return Choice(False, f"{method} cannot keep texts apart")
    return Choice(True, "texts that share a sequence shall not see each other")


# In this order: later ones may look at what earlier ones chose.
_CHOOSERS: dict[str, Callable[[Recipe, Hardware], Choice | None]] = {
    "train.learning_rate": _learning_rate,
    "lora.lora_alpha": _lora_alpha,
    "train.bf16": _bf16,
    "train.gradient_checkpointing": _gradient_checkpointing,
    "train.eval_steps": _eval_steps,
    "train.per_device_eval_batch_size": _eval_batch_size,
    "train.dataloader_pin_memory": _pin_memory,
    "train.metric_for_best_model": _best_metric,
    "train.greater_is_better": _greater_is_better,
    "data.packing": _packing,
    "model.model_hub": _model_hub,
    "data.neat_packing": _neat_packing,
}
