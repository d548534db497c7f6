"""Stage rm: a model that gives an answer a number, from pairs of better and worse answers.

It is transformers' own model for sequence classification with one label, so that a checkpoint loads without us.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import logsigmoid

from trainer.config import Recipe
from trainer.data import PreparedData
from trainer.engine.predictions import Prediction
from trainer.engine.row_trainer import RowTrainer
from trainer.engine.token_counts import take_counts

from .answer_rows import build_on_answers


class RewardTrainer(RowTrainer):
    """Both answers of a pair go through the model in one batch."""

    def row_losses(self, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """The loss of each pair."""
        output = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
        chosen, rejected = output.logits[:, 0].float().chunk(2)
        figures = self.figures
        figures.add("rewards/chosen", chosen)
        figures.add("rewards/rejected", rejected)
        figures.add("margin", chosen - rejected)
        figures.add("accuracy", (chosen > rejected).float())
        return reward_losses(chosen, rejected)

    def predictions(self, rows: Any) -> Iterator[Prediction]:
        """The numbers of both answers of each pair."""
        done = 0
        for inputs in self.get_eval_dataloader(rows):
            self.live.between_evaluation_batches()
            take_counts(inputs)
            batch = self._prepare_inputs(inputs)
            self.model.eval()
            with torch.no_grad(), self.compute_loss_context_manager():
                output = self.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
            for chosen, rejected in zip(*output.logits[:, 0].float().chunk(2), strict=True):
                better, worse = float(chosen), float(rejected)
                scores = {"accuracy": float(better > worse), "margin": better - worse}
                yield Prediction({**self._texts(rows[done]), "chosen": better, "rejected": worse}, scores)
                done += 1

    def _texts(self, row: Any) -> dict[str, str]:
        names = {"prompt": "prompt", "chosen_text": "first", "rejected_text": "second"}
        return {name: self.processing_class.decode(row[column].tolist()) for name, column in names.items()}


def reward_losses(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """Bradley-Terry, as in Ouyang et al. 2022 (arXiv 2203.02155) eq. 1: -log s(reward(w) - reward(l)), (pairs,)."""
    return -logsigmoid(chosen - rejected)


def build_rm_trainer(model: Any, tokenizer: Any, data: PreparedData, recipe: Recipe, folder: Path) -> RewardTrainer:
    """The trainer for stage rm, ready for `attach` and `train`.

    Raises:
        UserError: when the installed version refuses a setting.
    """
    return build_on_answers(RewardTrainer, model, tokenizer, data, recipe, folder)
