"""Supervised fine-tuning: TRL's SFTTrainer on rows that we tokenized and labelled ourselves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import datasets
from trl import SFTConfig, SFTTrainer

from trainer.config import Recipe
from trainer.data import EncodedRows, PreparedData
from trainer.data.collate import IsolatingCollator, PaddingCollator, StreamedExamples, TokenSequences
from trainer.data.packing import OneByOne, cuts_up_text, training_layout
from trainer.engine.argument_checks import check_optimizer, check_schedule
from trainer.engine.arguments import training_arguments
from trainer.engine.isolation import check_rows_stay_apart
from trainer.engine.predictions import AnswerPredictions, Prediction
from trainer.engine.run_trainer import RunTrainer
from trainer.engine.token_counts import weigh_by_tokens
from trainer.model.precision import trained_precision_kept, use_float32_logits
from trainer.run.messages import Say, silent
from trainer.stages.hidden_states import causal_model
from trainer.stages.sft_losses import TokenLoss, WeighingModel, token_loss


class SftTrainer(RunTrainer, SFTTrainer):
    """TRL's trainer with our run protocol in front."""

    token_loss: TokenLoss | None = None
    """What is trained on instead of the negative log-likelihood; evaluations go by that one all the same."""

    def stage_figures(self, logs: dict[str, float], training: bool, weights: list[int]) -> dict[str, float]:
        """TRL logs its figures itself, as means over batches; they become means over tokens here."""
        figures = self._metrics["train" if training else "eval"]
        weigh_by_tokens(figures, weights)
        if "eval_loss" in logs and self.recipe.method.compute_accuracy:
            return {"eval_accuracy": figures["mean_token_accuracy"][0]}
        return {}

    def evaluation_loop(self: Any, dataloader: Any, *args: Any, **kwargs: Any) -> Any:
        """The loss of an evaluation and, where asked for, the scores of generated answers."""
        output = super().evaluation_loop(dataloader, *args, **kwargs)
        if self.recipe.train.predict_with_generate:
            prefix = kwargs.get("metric_key_prefix", "eval")
            output.metrics.update(self.answers.scores(dataloader.dataset, prefix))
        return output

    @cached_property
    def answers(self) -> AnswerPredictions:
        """What generates answers to evaluation rows."""
        return AnswerPredictions(self)

    def predictions(self, rows: Any) -> Iterator[Prediction]:
        """A generated answer for each row."""
        return self.answers.of(rows)

    def forget_evaluation(self) -> None:
        """What an evaluation that was cut short has gathered does not go into the next one."""
        self._metrics["eval"].clear()

    def compute_loss(self: Any, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The mean loss of a micro-batch's tokens over all tokens of the step."""
        if self.token_loss is not None and self.model.training:
            causal = causal_model(self.accelerator.unwrap_model(self.model))
            model = WeighingModel(model, causal, self.token_loss)
        return super().compute_loss(model, inputs, *args, **kwargs)


def build_sft_trainer(
    model: Any, tokenizer: Any, data: PreparedData, recipe: Recipe, folder: Path, say: Say = silent
) -> SftTrainer:
    """The trainer for stage sft, ready for `attach` and `train`; a loss that is not the usual one is told.

    Raises:
        UserError: when the installed version refuses a setting, or the model lets packed rows see each other.
    """
    trainer = build_sequence_trainer(SftTrainer, model, tokenizer, data, recipe, folder)
    trainer.token_loss = token_loss(trainer.model, recipe, say)
    return trainer


Kind = TypeVar("Kind", bound=SftTrainer)


def build_sequence_trainer(
    kind: type[Kind], model: Any, tokenizer: Any, data: PreparedData, recipe: Recipe, folder: Path
) -> Kind:
    """A trainer of `kind` on sequences of labelled tokens.

    The loss is the mean negative log-likelihood of the labelled tokens (-100 is not trained) over the whole batch,
    accumulation included.

    Raises:
        UserError: when the installed version refuses a setting, or the model lets packed rows see each other.
    """
    arguments = training_arguments(
        SFTConfig,
        recipe,
        folder,
        # Rows come truncated and labelled; TRL must not touch them.
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        # What our sequences hold goes to the collator alone.
        remove_unused_columns=False,
        # A stream is read here and not by one process for all: its batches hold more than tensors.
        accelerator_config={"dispatch_batches": False},
        # TRL would take the architecture's own weight, which nobody asked for.
        router_aux_loss_coef=recipe.model.moe_aux_loss_coef or 0.0,
    )
    check_optimizer(arguments, model, recipe)
    check_schedule(arguments)
    # TRL would mirror the padding token onto the model, had it made the collator itself.
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    collator = sequence_collator(model, tokenizer.pad_token_id, recipe, on_gpu=arguments.device.type == "cuda")
    with trained_precision_kept(model):
        trainer = kind(
            model=model,
            args=arguments,
            data_collator=collator,
            # TRL insists on this type, and looks at the first row alone; the Trainer takes any.
            train_dataset=datasets.Dataset.from_list([{"input_ids": [], "labels": []}]),
            eval_dataset=evaluation_sequences(data, recipe),
            processing_class=tokenizer,
        )
    if recipe.model.upcast_lmhead_output:
        use_float32_logits(trainer.model, outputs=("log_probs", "entropy", "is_top1"))
    trainer.train_dataset = training_sequences(data, recipe)
    if isinstance(collator, IsolatingCollator):
        field = "padding_free" if recipe.data.padding_free else "neat_packing"
        check_rows_stay_apart(trainer.model, trainer.accelerator, collator, field)
    return trainer


def sequence_collator(
    model: Any, pad_token_id: int, recipe: Recipe, *, on_gpu: bool
) -> PaddingCollator | IsolatingCollator:
    """What makes batches of sequences, as the recipe says whether rows see each other."""
    data = recipe.data
    multiple = 8 if on_gpu else 1
    if data.neat_packing or data.padding_free:
        flash = "flash" in str(model.config._attn_implementation)
        return IsolatingCollator(pad_token_id, multiple, flat=data.padding_free or flash)
    return PaddingCollator(pad_token_id, multiple, ignore_padding=data.ignore_pad_token_for_loss)


def training_sequences(data: PreparedData, recipe: Recipe) -> TokenSequences | StreamedExamples:
    """What is trained on, packed where the recipe packs."""
    if data.stream is not None:
        return StreamedExamples(data.stream)
    layout = training_layout(data.train.lengths(), recipe)
    return TokenSequences(data.train, layout, learns_across=cuts_up_text(recipe))


def evaluation_sequences(data: PreparedData, recipe: Recipe) -> TokenSequences | dict[str, TokenSequences] | None:
    """What is evaluated on, by data set where each has its own loss. Rows are not packed, so that losses compare with
    those of unpacked runs; running text is cut up as in training.
    """
    if data.evaluation is None:
        return None
    if data.evaluation_sets:
        return {name: _unpacked(rows, recipe) for name, rows in data.evaluation_sets.items()}
    return _unpacked(data.evaluation, recipe)


def _unpacked(rows: EncodedRows, recipe: Recipe) -> TokenSequences:
    is_text = cuts_up_text(recipe)
    layout = training_layout(rows.lengths(), recipe) if is_text else OneByOne(rows.lengths())
    return TokenSequences(rows, layout, learns_across=is_text)
