"""Stages grpo and rloo: several answers to a prompt are compared with each other, so that no value head is needed.

GRPO: Shao et al. 2024 (DeepSeekMath), arXiv 2402.03300, section 4.1. DAPO: Yu et al. 2025, arXiv 2503.14476. Dr. GRPO:
Liu et al. 2025, arXiv 2503.20783. RLOO: Ahmadian et al. 2024, arXiv 2402.14740.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from trainer.config import Recipe
from trainer.config.tables.reinforcement import GrpoTable
from trainer.data import PreparedData
from trainer.data.dataset import NOT_TRAINED
from trainer.run.messages import Say

from .ppo_formulas import clipped_share, policy_losses
from .rollout_building import build_on_prompts
from .rollout_trainer import RolloutTrainer

_TINY = 1e-4


def group_advantages(scores: torch.Tensor, group: int, *, scale: bool) -> torch.Tensor:
    """(rows,): the score less the mean of its group and, with `scale`, over the spread of the group."""
    grouped = scores.view(-1, group)
    found = grouped - grouped.mean(1, keepdim=True)
    return (found / (grouped.std(1, keepdim=True) + _TINY) if scale else found).flatten()


def leave_one_out(scores: torch.Tensor, group: int) -> torch.Tensor:
    """(rows,): the score less the mean of the other answers to the prompt."""
    grouped = scores.view(-1, group)
    others = (grouped.sum(1, keepdim=True) - grouped) / (group - 1)
    return (grouped - others).flatten()


def kl_estimates(new: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Schulman's k3: an estimate of the KL distance from each token that is unbiased and never below 0."""
    ratio = reference - new
    return ratio.exp() - ratio - 1


def clip_range(table: GrpoTable) -> tuple[float, float]:
    """How far the ratio counts, below 1 and above."""
    return table.epsilon, table.epsilon if table.epsilon_high is None else table.epsilon_high


def by_answer(losses: torch.Tensor, mask: torch.Tensor, loss_type: str, longest: int) -> torch.Tensor:
    """(rows,): what the tokens of an answer add to a loss that is then divided by `step_divisor`."""
    summed = (losses * mask).sum(1)
    match loss_type:
        case "grpo":
            return summed / mask.sum(1)
        case "dr_grpo":
            return summed / longest
        case _:
            return summed


def answer_losses(
    new: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor, low: float, high: float
) -> torch.Tensor:
    """(rows,): RLOO, where what is drawn is the whole answer, with one probability and one advantage."""
    gained = (advantages * mask).sum(1) / mask.sum(1)
    return policy_losses((new * mask).sum(1), (old * mask).sum(1), gained, low, high)


class GroupTrainer(RolloutTrainer):
    """GRPO and RLOO."""

    table: GrpoTable
    is_rloo: bool

    def learned_from(self, tensors: Mapping[str, torch.Tensor], scores: torch.Tensor) -> dict[str, torch.Tensor]:
        """The advantage of each answer, the same for all its tokens."""
        mask, group = tensors["labels"][:, 1:] != NOT_TRAINED, self.answers_per_prompt
        self.figures.add("groups_of_one_mind", (scores.view(-1, group).std(1) == 0).float())
        if self.is_rloo:
            if self.reference is not None:
                scores = scores - self.table.beta * (tensors["old"] - tensors["reference"]).sum(1)
            gained = leave_one_out(scores, group)
        else:
            gained = group_advantages(scores, group, scale=self.table.scale_rewards)
        return {"advantages": gained[:, None] * mask}

    def step_divisor(self, batches: Sequence[dict[str, torch.Tensor]]) -> int:
        """All tokens for `dapo`, else all answers."""
        if not self.is_rloo and self.table.loss_type == "dapo":
            return super().step_divisor(batches)
        return sum(len(batch["input_ids"]) for batch in batches)

    def losses(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The losses of tokens or answers, summed."""
        table, scores = self.table, self.policy_scores(model, inputs)
        mask, new = scores.is_answer, scores.tokens
        old = new.detach() if self.is_on_policy else inputs["old"]
        low, high = clip_range(table)
        if self.is_rloo:
            outside = clipped_share((new.detach() * mask).sum(1), (old * mask).sum(1), low, high)
            losses = answer_losses(new, old, inputs["advantages"], mask, low, high)
        else:
            outside = clipped_share(new.detach(), old, low, high)[mask]
            losses = policy_losses(new, old, inputs["advantages"], low, high)
            if self.reference is not None:
                away = kl_estimates(new, inputs["reference"])
                weights = (new - old).exp() if table.use_bias_correction_kl else 1.0
                losses = losses + table.beta * away * weights
            losses = by_answer(losses, mask, table.loss_type, int(self.settings.max_new_tokens))
        self.figures.add("clipped", outside)
        return losses.sum()


def build_group_trainer(
    model: Any, tokenizer: Any, data: PreparedData, recipe: Recipe, folder: Path, say: Say
) -> GroupTrainer:
    """The trainer for stages grpo and rloo, ready for `attach` and `train`; what was chosen is told.

    Raises:
        UserError: when the installed version refuses a setting, or reference or reward cannot be had.
    """
    table = recipe.grpo
    trainer = build_on_prompts(GroupTrainer, model, tokenizer, data, recipe, folder, say, with_reference=table.beta > 0)
    trainer.table, trainer.is_rloo = table, recipe.method.stage == "rloo"
    trainer.answers_per_prompt, trainer.buffer_epochs = table.num_generations, table.num_iterations
    return trainer
