"""How many optimizer steps the stages take that write answers themselves. Not for those that learn from given rows."""

from __future__ import annotations

import math

from trainer.config.form import IN_ANSWERING
from trainer.config.recipe import Recipe


def steps_of_answers(recipe: Recipe, prompts: int) -> int | None:
    """The steps of an epoch over that many prompts, as full buffers are gone through; None for other stages."""
    if recipe.method.stage not in IN_ANSWERING.values:
        return None
    by_ppo = recipe.method.stage == "ppo"
    steps = recipe.ppo.ppo_buffer_size if by_ppo else 1
    epochs = recipe.ppo.ppo_epochs if by_ppo else recipe.grpo.num_iterations
    answers = recipe.train.per_device_train_batch_size * recipe.train.gradient_accumulation_steps * steps
    buffer = max(1, answers // (1 if by_ppo else recipe.grpo.num_generations))
    return math.ceil(prompts / buffer) * steps * epochs
