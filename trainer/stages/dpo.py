"""Stage dpo: from pairs of better and worse answers, with any loss of `preference_losses`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from trainer.config import Recipe
from trainer.data import PreparedData
from trainer.run.messages import Say

from .answer_rows import build_on_answers
from .log_probabilities import answer_scores
from .preference import PreferenceTrainer, give_reference
from .preference_losses import LossSettings, PairScores, bco_losses, log_odds_ratio, pair_losses


@dataclass
class RewardShift:
    """BCO's running mean of the rewards of all answers so far."""

    mean: float = 0.0
    answers: int = 0

    def update(self, rewards: torch.Tensor) -> None:
        """Take the rewards of a batch in, (answers,)."""
        count = rewards.numel()
        self.answers += count
        self.mean += (float(rewards.detach().mean()) - self.mean) * count / self.answers


class DpoTrainer(PreferenceTrainer):
    """Pairs of answers; both go through the model in one batch."""

    shift: RewardShift

    def row_losses(self, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """The loss of each pair."""
        reference = self.reference_sums(inputs)
        answers = answer_scores(model, inputs)
        chosen, rejected = answers.sums(self.table.ld_alpha).chunk(2)
        if reference is None:
            reference = torch.zeros_like(torch.stack((chosen, rejected)))
        scores = PairScores(chosen, rejected, *reference, *answers.lengths.chunk(2))
        losses = self._losses(scores)
        self._add_figures(scores, answers.tokens.sum(1).detach())
        return losses

    def answer_sums(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(2, pairs): the log-probabilities of better and worse answers."""
        return torch.stack(answer_scores(model, inputs).sums(self.table.ld_alpha).chunk(2))

    def _losses(self, scores: PairScores) -> torch.Tensor:
        table = self.table
        settings = LossSettings(table.pref_loss, table.pref_beta, table.dpo_label_smoothing, table.simpo_gamma)
        with_bco = table.pref_bco_weight > 0 or "bco_pair" in table.losses
        if with_bco and self.model.training:
            self.shift.update(table.pref_beta * torch.cat((scores.chosen_ratio, scores.rejected_ratio)))
        losses = torch.zeros_like(scores.chosen)
        for loss, weight in zip(table.losses, table.loss_weights, strict=True):
            losses = losses + weight * pair_losses(scores, replace(settings, pref_loss=loss), self.shift.mean)
        if table.pref_bco_weight > 0:
            weighted = table.pref_bco_weight * bco_losses(scores, table.pref_beta, self.shift.mean)
            losses = (losses + weighted) / (1 + table.pref_bco_weight)
        return losses - table.pref_ftx * scores.chosen_mean if table.pref_ftx else losses

    def _add_figures(self, scores: PairScores, log_probabilities: torch.Tensor) -> None:
        chosen, rejected = self._rewards(scores)
        figures = self.figures
        figures.add("rewards/chosen", chosen)
        figures.add("rewards/rejected", rejected)
        figures.add("rewards/margins", chosen - rejected)
        figures.add("rewards/accuracies", (chosen > rejected).float())
        for name, values in zip(("chosen", "rejected"), log_probabilities.chunk(2), strict=True):
            figures.add(f"logps/{name}", values)
        if "orpo" in self.table.losses:
            figures.add("log_odds_ratio", log_odds_ratio(scores))
        if self.table.pref_ftx or not {"orpo", "sft"}.isdisjoint(self.table.losses):
            figures.add("nll_loss", -scores.chosen_mean)

    def _rewards(self, scores: PairScores) -> tuple[torch.Tensor, torch.Tensor]:
        """What the loss takes for the rewards of the better and the worse answers: without reference the
        log-probabilities per token, else the log-ratios, times beta."""
        beta = self.table.pref_beta
        if not self.table.pairs_need_reference:
            return beta * scores.chosen_mean.detach(), beta * scores.rejected_mean.detach()
        return beta * scores.chosen_ratio.detach(), beta * scores.rejected_ratio.detach()

    def stage_state(self) -> dict[str, float]:
        """What a resumed run needs beside weights and optimizer."""
        return {"shift_mean": self.shift.mean, "shift_answers": self.shift.answers}

    def restore_stage(self, state: dict[str, float], folder: Path) -> None:
        """Put it back."""
        self.shift = RewardShift(state["shift_mean"], int(state["shift_answers"]))


def build_dpo_trainer(
    model: Any, tokenizer: Any, data: PreparedData, recipe: Recipe, folder: Path, say: Say
) -> DpoTrainer:
    """The trainer for stage dpo, ready for `attach` and `train`; what was chosen is told.

    Raises:
        UserError: when the installed version refuses a setting, or the reference cannot be loaded.
    """
    trainer = build_on_answers(DpoTrainer, model, tokenizer, data, recipe, folder)
    trainer.table = recipe.preference
    trainer.shift = RewardShift()
    if recipe.preference.pairs_need_reference:
        give_reference(trainer, recipe, say)
    return trainer
