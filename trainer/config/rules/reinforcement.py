"""Rules of the stages that learn from rewards of their own answers: ppo, grpo, rloo."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trainer.config.finding import Finding
from trainer.config.form import IN_ANSWERING, IN_GROUPS, WITH_DROPOUT
from trainer.config.hardware import Hardware
from trainer.config.recipe import Recipe
from trainer.config.rules.base import Rule, error, warning
from trainer.config.tables.reinforcement import REWARD_FUNCTIONS

_SETTINGS = {"regex": "reward_regex", "format": "reward_format", "python": "reward_file"}


def _answers(recipe: Recipe) -> bool:
    return recipe.method.stage in IN_ANSWERING.values


def rewards(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """There is a reward, and the model for it can be had."""
    if not _answers(recipe):
        return
    stage, method, ppo = recipe.method.stage, recipe.method.finetuning_type, recipe.ppo
    if not ppo.reward_model:
        for name in ("reward_model_adapters", "reward_model_quantization_bit"):
            key = f"ppo.{name}"
            if recipe.value(key):
                yield error("reward_parts_without_model", key, "ppo.reward_model", change={key: None}, name=name)
        if not recipe.reward.reward_funcs:
            yield error("no_reward", "ppo.reward_model", "reward.reward_funcs", "method.stage", stage=stage)
        return
    if ppo.reward_model_type == "lora" and method != "lora":
        fields = ("ppo.reward_model_type", "method.finetuning_type")
        yield error("ppo_reward_adapter", *fields, change={"ppo.reward_model_type": "full"}, method=method)
    if ppo.reward_model_type == "api" and not ppo.reward_model.startswith(("http://", "https://")):
        yield error("reward_service_address", "ppo.reward_model", "ppo.reward_model_type", value=ppo.reward_model)


def reward_functions(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Functions that exist, each with its weight and what it needs."""
    if not _answers(recipe):
        return
    table, key = recipe.reward, "reward.reward_funcs"
    for name in table.reward_funcs:
        if name not in REWARD_FUNCTIONS:
            yield error("reward_function_unknown", key, name=name, known=", ".join(REWARD_FUNCTIONS))
        elif name in _SETTINGS and not recipe.value(f"reward.{_SETTINGS[name]}"):
            yield error("reward_setting_missing", f"reward.{_SETTINGS[name]}", key, name=name, setting=_SETTINGS[name])
    for name, setting in _SETTINGS.items():
        if recipe.value(f"reward.{setting}") and name not in table.reward_funcs:
            change: dict[str, object] = {key: [*table.reward_funcs, name]}
            yield warning("reward_setting_unused", f"reward.{setting}", key, change=change, name=name, setting=setting)
    weights = table.reward_weights
    if weights and len(weights) != len(table.reward_funcs):
        fields, counts = ("reward.reward_weights", key), {"weights": len(weights), "count": len(table.reward_funcs)}
        yield error("reward_weights_count", *fields, change={"reward.reward_weights": []}, **counts)


def reward_patterns(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Patterns that can be searched for."""
    if not _answers(recipe):
        return
    for name in ("reward_regex", "reward_format", "reward_answer_regex"):
        key = f"reward.{name}"
        pattern = recipe.value(key)
        try:
            re.compile(str(pattern or ""))
        except re.error as problem:
            yield error("reward_pattern", key, name=name, value=pattern, problem=str(problem))


def drawn_answers(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Answers have to be drawn by the very probabilities that are learned."""
    if not _answers(recipe):
        return
    table, key = recipe.generation, "generation.do_sample"
    if table.num_beams > 1:
        beams = "generation.num_beams"
        yield error("answers_and_beams", beams, "method.stage", change={beams: 1}, stage=recipe.method.stage)
    if table.repetition_penalty != 1:
        penalty = "generation.repetition_penalty"
        yield warning("answers_and_repetition", penalty, "method.stage", change={penalty: 1.0})
    if recipe.lora.lora_dropout > 0 and recipe.method.finetuning_type in WITH_DROPOUT.values:
        dropout = "lora.lora_dropout"
        yield warning("answers_and_dropout", dropout, "method.stage", change={dropout: 0.0})
    if not table.do_sample:
        yield error("answers_not_drawn", key, "method.stage", change={key: True}, stage=recipe.method.stage)
    elif table.top_p < 1 or table.top_k > 0:
        change: dict[str, object] = {"generation.top_p": 1.0, "generation.top_k": 0}
        yield warning("answers_of_likeliest_tokens", "generation.top_p", "generation.top_k", change=change)


def groups(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """A step holds whole groups of answers."""
    if recipe.method.stage not in IN_GROUPS.values:
        return
    size, accumulation = recipe.train.per_device_train_batch_size, recipe.train.gradient_accumulation_steps
    group = recipe.grpo.num_generations
    if size * accumulation % group:
        steps = next(steps for steps in range(accumulation, accumulation + group) if size * steps % group == 0)
        key = "train.gradient_accumulation_steps"
        fields = ("grpo.num_generations", "train.per_device_train_batch_size", key)
        answers = size * accumulation
        yield error("answers_and_groups", *fields, change={key: steps}, answers=answers, group=group, steps=steps)


def loop(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """What these stages do without."""
    if not _answers(recipe):
        return
    stage, train = recipe.method.stage, recipe.train
    if recipe.model.shift_attn:
        change: dict[str, object] = {"model.shift_attn": False}
        yield error("ppo_and_shift_attn", "model.shift_attn", "method.stage", change=change, stage=stage)
    if train.group_by_length:
        key = "train.group_by_length"
        yield error("length_groups_in_stage", key, "method.stage", change={key: False}, stage=stage)


REINFORCEMENT_RULES: tuple[Rule, ...] = (rewards, reward_functions, reward_patterns, drawn_answers, groups, loop)
