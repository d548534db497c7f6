"""Stage kto: from single answers that are marked good or bad."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainer.config import Recipe
from trainer.data import PreparedData
from trainer.errors import UserError
from trainer.run.messages import Say, words

from .answer_rows import build_on_answers
from .log_probabilities import answer_scores
from .preference import PreferenceTrainer, give_reference
from .preference_losses import kto_losses

# KTO, section 4.3: good answers, by weight, shall be as many as bad ones or up to a third more.
_LEAST, _MOST = 1.0, 4 / 3
_OTHER = "other_"


class KtoTrainer(PreferenceTrainer):
    """Judged answers. What the policy gives answers to other prompts measures how far it is from the reference (KL)."""

    def row_losses(self, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """The loss of each answer, its weight in it."""
        table, good = self.table, inputs["good"]
        reference = self.reference_sums(inputs)
        assert reference is not None
        kl = self._distance(model, inputs, reference[1])
        answers = answer_scores(model, inputs)
        sums = answers.sums()
        ratio = sums - reference[0]
        losses = kto_losses(ratio, good, kl, table.pref_beta)
        losses = losses * torch.where(good, table.kto_chosen_weight, table.kto_rejected_weight)
        self._add_figures(table.pref_beta * ratio.detach(), sums.detach(), good, kl)
        return losses - table.pref_ftx * good * sums / answers.lengths if table.pref_ftx else losses

    def answer_sums(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(2, rows): the log-probabilities of the answers, and of those to other prompts."""
        return torch.stack([answer_scores(model, inputs, prefix).sums() for prefix in ("", _OTHER)])

    def _distance(self, model: Any, inputs: Mapping[str, torch.Tensor], reference: torch.Tensor) -> torch.Tensor:
        """() float32, not below 0: the mean log-ratio of answers that were written for other prompts."""
        was_training = model.training
        model.eval()
        with torch.no_grad():
            sums = answer_scores(model, inputs, _OTHER).sums()
        model.train(was_training)
        return (sums - reference).mean().clamp(min=0)

    def _add_figures(
        self, rewards: torch.Tensor, log_probabilities: torch.Tensor, good: torch.Tensor, kl: torch.Tensor
    ) -> None:
        figures = self.figures
        figures.add("kl", kl.expand(len(good)))
        for name, chosen in (("chosen", good), ("rejected", ~good)):
            figures.add(f"rewards/{name}", rewards[chosen])
            figures.add(f"logps/{name}", log_probabilities[chosen])

    def stage_figures(self, logs: dict[str, float], training: bool, weights: list[int]) -> dict[str, float]:
        """The means since the last log, and by how much good answers are ahead."""
        found = super().stage_figures(logs, training, weights)
        prefix = "" if training else "eval_"
        chosen, rejected = (found.get(f"{prefix}rewards/{name}") for name in ("chosen", "rejected"))
        if chosen is not None and rejected is not None:
            found[f"{prefix}rewards/margins"] = chosen - rejected
        return found


def build_kto_trainer(
    model: Any, tokenizer: Any, data: PreparedData, recipe: Recipe, folder: Path, say: Say
) -> KtoTrainer:
    """The trainer for stage kto, ready for `attach` and `train`; what was chosen is told.

    Raises:
        UserError: when all answers are of one kind, the installed version refuses a setting, or the reference cannot be
            loaded.
    """
    _tell_balance(data, recipe, say)
    trainer = build_on_answers(KtoTrainer, model, tokenizer, data, recipe, folder)
    trainer.table = recipe.preference
    give_reference(trainer, recipe, say)
    return trainer


def _tell_balance(data: PreparedData, recipe: Recipe, say: Say) -> None:
    """How many answers there are of each kind, and the weight that would balance them.

    Raises: UserError when there is only one kind.
    """
    if data.stream is not None:
        say("info", words("run_kto_streamed"))
        return
    if not len(data.train):
        return  # only evaluated
    good = sum(bool(data.train.kto_tag(row)) for row in range(len(data.train)))
    bad = len(data.train) - good
    table = recipe.preference
    if not good or not bad:
        raise UserError(
            f"every answer is marked {'good' if good else 'bad'} ({good + bad} rows): kto learns from both kinds",
            field="dataset",
            value=recipe.data.dataset,
            hint="Add rows of the other kind, or train the good ones with stage sft.",
        )
    if not table.kto_chosen_weight or not table.kto_rejected_weight:
        return
    share = table.kto_chosen_weight * good / (table.kto_rejected_weight * bad)
    if _LEAST <= share <= _MOST:
        say("info", words("run_kto_balanced", good=good, bad=bad))
        return
    name, weight = _balancing_weight(good, bad, table.kto_chosen_weight, table.kto_rejected_weight)
    say("warning", words("run_kto_unbalanced", good=good, bad=bad, name=name, weight=weight))


def _balancing_weight(good: int, bad: int, chosen: float, rejected: float) -> tuple[str, str]:
    """The weight to raise, and to what, so that both kinds count the same."""
    if chosen * good < rejected * bad:
        return "kto_chosen_weight", f"{rejected * bad / good:.3g}"
    return "kto_rejected_weight", f"{chosen * good / bad:.3g}"
