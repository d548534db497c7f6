"""Stage ppo: the policy learns from the rewards of its own answers, judged token by token by a value head.

The formulas and their papers are in `ppo_formulas`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from trainer.config import Recipe
from trainer.config.tables.reinforcement import PpoTable
from trainer.data import PreparedData
from trainer.data.dataset import NOT_TRAINED
from trainer.run.messages import Say

from .hidden_states import causal_model, last_hidden_state
from .log_probabilities import AnswerScores
from .ppo_formulas import (
    AdaptiveKl,
    RunningSpread,
    advantages,
    clipped_share,
    explained_share,
    policy_losses,
    token_rewards,
    value_losses,
    whitened,
)
from .rollout_building import build_on_prompts
from .rollout_trainer import RolloutTrainer

_HEAD = "value_head"
_HEAD_FILE = "value_head.safetensors"


class PpoTrainer(RolloutTrainer):
    """Policy and value head learn together; the KL penalty is part of the reward of each token."""

    table: PpoTable
    penalty: AdaptiveKl
    spread: RunningSpread

    def policy_view(self, model: Any, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Log-probabilities and values of the tokens as they are drawn."""
        scores, values = self._with_values(model, batch)
        return {"old": scores.tokens, "values": values * scores.is_answer}

    def _with_values(self, model: Any, batch: Mapping[str, torch.Tensor]) -> tuple[AnswerScores, torch.Tensor]:
        """The policy's scores, and the values before each token is written, (rows, length - 1) float32."""
        own = self.accelerator.unwrap_model(self.model)
        with last_hidden_state(causal_model(own)) as hidden:
            scores = self.policy_scores(model, batch)
        return scores, own.get_submodule(_HEAD)(hidden[0][:, :-1].float())[..., 0]

    def learned_from(self, tensors: Mapping[str, torch.Tensor], scores: torch.Tensor) -> dict[str, torch.Tensor]:
        """Advantages and returns of each token."""
        table, mask = self.table, tensors["labels"][:, 1:] != NOT_TRAINED
        if table.ppo_score_norm:
            self.spread.update(scores)
            scores = self.spread.normalized(scores)
        log_ratio = tensors["old"] - tensors["reference"]
        rewards = token_rewards(scores, log_ratio, mask, self.penalty.weight)
        if table.ppo_whiten_rewards:
            rewards = whitened(rewards, mask, shift=False)
        gained = advantages(rewards, tensors["values"], mask, table.ppo_gamma, table.ppo_lambda)
        self.figures.add("kl_coef", torch.tensor([self.penalty.weight]))
        self.penalty.update(float((log_ratio * mask).sum(1).mean()), len(scores))
        returns = gained + tensors["values"]
        self.figures.add("value_explained", explained_share(tensors["values"][mask], returns[mask]))
        return {"advantages": whitened(gained, mask), "returns": returns * mask}

    def losses(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Policy and value losses of the tokens, summed."""
        table = self.table
        scores, values = self._with_values(model, inputs)
        mask = scores.is_answer
        new = scores.tokens[mask]
        old = new.detach() if self.is_on_policy else inputs["old"][mask]
        policy = policy_losses(new, old, inputs["advantages"][mask], table.ppo_clip, table.ppo_clip)
        value = value_losses(values[mask], inputs["values"][mask], inputs["returns"][mask], table.ppo_clip)
        figures = self.figures
        figures.add("loss/policy", policy)
        figures.add("loss/value", value)
        figures.add("clipped", clipped_share(new.detach(), old, table.ppo_clip, table.ppo_clip))
        return (policy + table.ppo_value_weight * value).sum()

    @contextmanager
    def saved_form(self) -> Iterator[None]:
        """The value head is no part of the language model that is saved."""
        model = self.accelerator.unwrap_model(self.model)
        head = model.get_submodule(_HEAD)
        delattr(model, _HEAD)
        try:
            yield
        finally:
            model.add_module(_HEAD, head)

    def stage_state(self) -> dict[str, float]:
        """Penalty and spread of the scores."""
        spread = self.spread
        return {
            "kl_weight": self.penalty.weight,
            "score_mean": spread.mean,
            "score_variance": spread.variance,
            "score_count": spread.count,
        }

    def save_stage(self, folder: Path) -> None:
        """The value head, and what is left of the buffer."""
        super().save_stage(folder)
        head = self.accelerator.unwrap_model(self.model).get_submodule(_HEAD)
        save_file({name: values.contiguous() for name, values in head.state_dict().items()}, folder / _HEAD_FILE)

    def restore_stage(self, state: dict[str, float], folder: Path) -> None:
        """Take it back."""
        super().restore_stage(state, folder)
        self.penalty.weight = state["kl_weight"]
        self.spread = RunningSpread(state["score_mean"], state["score_variance"], int(state["score_count"]))
        head = self.accelerator.unwrap_model(self.model).get_submodule(_HEAD)
        head.load_state_dict(load_file(folder / _HEAD_FILE))


def build_ppo_trainer(
    model: Any, tokenizer: Any, data: PreparedData, recipe: Recipe, folder: Path, say: Say
) -> PpoTrainer:
    """The trainer for stage ppo, ready for `attach` and `train`; what was chosen is told.

    Raises:
        UserError: when the installed version refuses a setting, or reference or reward cannot be had.
    """
    trainer = build_on_prompts(PpoTrainer, model, tokenizer, data, recipe, folder, say)
    trainer.table = table = recipe.ppo
    trainer.buffer_steps, trainer.buffer_epochs = table.ppo_buffer_size, table.ppo_epochs
    trainer.penalty = AdaptiveKl(table.ppo_kl_coef, table.ppo_target, table.ppo_kl_horizon)
    trainer.spread = RunningSpread()
    # After the reference, which is no copy of it.
    trainer.model.add_module(_HEAD, value_head(trainer.model))
    return trainer


def value_head(model: Any) -> torch.nn.Linear:
    """From the last hidden state of a token to what is still to be expected; 0 at the start."""
    head = torch.nn.Linear(int(model.config.get_text_config().hidden_size), 1, device=model.device)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    return head
