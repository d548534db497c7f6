"""Building a trainer on rows of answers, for dpo, kto and rm. Not for what they learn from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from transformers import TrainingArguments

from trainer.config import Recipe
from trainer.data import EncodedRows, PreparedData
from trainer.data.collate import StreamedExamples
from trainer.data.collate_answers import AnswerCollator, AnswerRows
from trainer.engine.argument_checks import check_optimizer, check_schedule
from trainer.engine.arguments import training_arguments
from trainer.engine.row_trainer import RowTrainer

Kind = TypeVar("Kind", bound=RowTrainer)


def build_on_answers(
    kind: type[Kind], model: Any, tokenizer: Any, data: PreparedData, recipe: Recipe, folder: Path
) -> Kind:
    """A trainer of `kind`.

    Raises:
        UserError: when the installed version refuses a setting.
    """
    arguments = training_arguments(
        TrainingArguments,
        recipe,
        folder,
        remove_unused_columns=False,
        # A stream is read here and not by one process for all: its batches hold more than tensors.
        accelerator_config={"dispatch_batches": False},
    )
    check_optimizer(arguments, model, recipe)
    check_schedule(arguments)
    # A model for classification finds the last token of a row by it.
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    if arguments.gradient_checkpointing and recipe.model.use_reentrant_gc:
        # Otherwise nothing that goes into the first layer asks for gradients, where only adapters are trained.
        model.enable_input_require_grads()
    multiple = 8 if arguments.device.type == "cuda" else 1
    return kind(
        model=model,
        args=arguments,
        data_collator=AnswerCollator(tokenizer.pad_token_id, recipe.data.cutoff_len, multiple),
        train_dataset=_answers(data.train, recipe) if data.stream is None else StreamedExamples(data.stream),
        eval_dataset=_evaluated_on(data, recipe),
        processing_class=tokenizer,
    )


def _evaluated_on(data: PreparedData, recipe: Recipe) -> AnswerRows | dict[str, AnswerRows] | None:
    """What is evaluated on, by data set where each has its own loss."""
    if data.evaluation is None:
        return None
    if data.evaluation_sets:
        return {name: _answers(rows, recipe) for name, rows in data.evaluation_sets.items()}
    return _answers(data.evaluation, recipe)


def _answers(rows: EncodedRows, recipe: Recipe) -> AnswerRows:
    return AnswerRows(rows, judged=recipe.method.stage == "kto", seed=recipe.train.seed)
