"""Supervised fine-tuning: TRL's SFTTrainer on rows that we tokenized and labelled ourselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trl import SFTConfig, SFTTrainer

from trainer.config import Recipe
from trainer.data import PreparedData
from trainer.data.collate import PaddingCollator, to_dataset
from trainer.engine.argument_checks import check_optimizer, check_schedule
from trainer.engine.arguments import training_arguments
from trainer.engine.run_trainer import RunTrainer


class SftTrainer(RunTrainer, SFTTrainer):
    """TRL's trainer with our run protocol in front."""


def build_sft_trainer(model: Any, tokenizer: Any, data: PreparedData, recipe: Recipe, folder: Path) -> SftTrainer:
    """The trainer for stage sft, ready for `attach` and `train`.

    The loss is the mean negative log-likelihood of the labelled tokens (-100 is not trained) over the whole batch,
    accumulation included.
    """
    arguments = training_arguments(
        SFTConfig,
        recipe,
        folder,
        # Rows come truncated and labelled; TRL must not touch them.
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    check_optimizer(arguments, model)
    check_schedule(arguments)
    # TRL would mirror the padding token onto the model, had it made the collator itself.
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return SftTrainer(
        model=model,
        args=arguments,
        data_collator=PaddingCollator(
            tokenizer.pad_token_id,
            pad_to_multiple_of=8 if arguments.device.type == "cuda" else 1,
            ignore_padding=recipe.data.ignore_pad_token_for_loss,
        ),
        train_dataset=to_dataset(data.train),
        eval_dataset=None if data.evaluation is None else to_dataset(data.evaluation),
        processing_class=tokenizer,
    )
