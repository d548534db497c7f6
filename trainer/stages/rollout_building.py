"""Building a trainer that answers prompts: what ppo, grpo and rloo have in common. Not for their losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from transformers import TrainingArguments

from trainer.config import Recipe
from trainer.data import PreparedData
from trainer.engine.argument_checks import check_optimizer, check_schedule
from trainer.engine.arguments import training_arguments
from trainer.run.messages import Say

from .generation import drawing_settings, evaluation_settings
from .reference import make_reference
from .reward_functions import check_expected
from .rewards import make_rewards
from .rollout_trainer import RolloutTrainer

Kind = TypeVar("Kind", bound=RolloutTrainer)


def build_on_prompts(
    kind: type[Kind],
    model: Any,
    tokenizer: Any,
    data: PreparedData,
    recipe: Recipe,
    folder: Path,
    say: Say,
    *,
    with_reference: bool = True,
) -> Kind:
    """A trainer of `kind` on the prompts of the data, with reference and rewards.

    Raises:
        UserError: when the installed version refuses a setting, or reference or reward cannot be had.
    """
    arguments = training_arguments(TrainingArguments, recipe, folder, remove_unused_columns=False)
    check_optimizer(arguments, model, recipe)
    check_schedule(arguments)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    if arguments.gradient_checkpointing and recipe.model.use_reentrant_gc:
        # Otherwise nothing that goes into the first layer asks for gradients, where only adapters are trained.
        model.enable_input_require_grads()
    settings = drawing_settings(model, tokenizer, recipe)
    trainer = kind(
        model=model,
        args=arguments,
        data_collator=list,
        train_dataset=data.train,
        eval_dataset=data.evaluation_sets or data.evaluation,
        processing_class=tokenizer,
    )
    trainer.prompts, trainer.settings = data.train, settings
    trainer.evaluation_settings = evaluation_settings(model, tokenizer, recipe)
    trainer.reference = make_reference(trainer.model, recipe, say) if with_reference else None
    check_expected(recipe, data.train)
    trainer.rewards = make_rewards(recipe, trainer.model, tokenizer, say)
    return trainer
