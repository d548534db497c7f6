"""The Trainer of the stages whose loss is a mean over rows (answers, pairs) and not over tokens."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Trainer

from .figures import Figures
from .run_trainer import RunTrainer
from .token_counts import trained_in


class _RowLoss(Trainer):
    """How a Trainer comes to the loss of a batch from those of its rows."""

    def row_losses(self, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """The loss of each row of a batch, (rows,)."""
        raise NotImplementedError

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The part of the mean over all rows that this micro-batch makes; alone, its mean."""
        losses = self.row_losses(model, inputs)
        return losses.sum() / (num_items_in_batch or len(losses))

    def prediction_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, None, None]:
        """The loss of an evaluation batch."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, inputs)
        return loss.detach(), None, None


class RowTrainer(RunTrainer, _RowLoss):
    """Accumulation and evaluation weigh every row the same, however rows are batched.

    A stage writes `row_losses` and adds to `figures` what shall be seen beside the loss.
    """

    loss_is_over_rows = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The loss of a micro-batch comes divided by the rows of the whole batch: nothing is to be divided again.
        self.model_accepts_loss_kwargs = True
        self.make_figures()

    def make_figures(self) -> None:
        """Begin to gather figures."""
        self._training_figures, self._evaluation_figures = Figures(), Figures()

    @property
    def figures(self) -> Figures:
        """Where the figures of the batch at hand go."""
        return self._training_figures if self.model.training else self._evaluation_figures

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The micro-batches of the next step, and how many rows they hold together."""
        batches, _ = super().get_batch_samples(*args, **kwargs)
        return batches, trained_in(batches)

    def stage_figures(self, logs: dict[str, float], training: bool, weights: list[int]) -> dict[str, float]:
        """The means since the last log."""
        if training and "loss" in logs:
            return self._training_figures.take()
        if not training:
            return {f"eval_{name}": value for name, value in self._evaluation_figures.take().items()}
        return {}

    def forget_evaluation(self) -> None:
        """An evaluation that was cut short leaves nothing behind."""
        self._evaluation_figures.take()
