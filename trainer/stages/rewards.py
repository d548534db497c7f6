"""What answers are worth: functions of their text and a reward model, weighted and added. Not for learning from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from trainer.config import Recipe
from trainer.run.messages import Say, words

from .reward_functions import RewardOfText, reward_function
from .reward_models import RewardAdapter, WholeRewardModel
from .reward_service import RewardService
from .rollouts import Answer


class RewardModel(Protocol):
    """Something that gives each answer a number."""

    def scores(self, answers: Sequence[Answer], waiting: Callable[[], None]) -> torch.Tensor:
        """(answers,) float32, on the CPU. Where it has to be waited for, `waiting` is called again and again; what it
        raises ends it.
        """
        ...


@dataclass(frozen=True)
class Rewards:
    """The reward of a recipe: what it is the sum of."""

    functions: tuple[tuple[str, float, RewardOfText], ...]
    """Name, weight, function."""
    model: RewardModel | None
    model_weight: float

    def parts(self, answers: Sequence[Answer], waiting: Callable[[], None]) -> dict[str, torch.Tensor]:
        """What each source gives the answers, unweighted, (answers,) float32 by its name.

        `waiting` is called between answers and while a service is waited for; what it raises ends it.

        Raises:
            UserError: when the user's own function or a service fails.
        """
        found = {name: torch.tensor(_each(of, answers, waiting)) for name, _, of in self.functions}
        return found if self.model is None else {**found, "model": self.model.scores(answers, waiting)}

    def total(self, parts: dict[str, torch.Tensor]) -> torch.Tensor:
        """The weighted sum of `parts`, (answers,)."""
        weights = {name: weight for name, weight, _ in self.functions} | {"model": self.model_weight}
        return torch.stack([weights[name] * values for name, values in parts.items()]).sum(0)


def _each(function: RewardOfText, answers: Sequence[Answer], waiting: Callable[[], None]) -> list[float]:
    found = []
    for answer in answers:
        waiting()
        found.append(float(function(answer)))
    return found


def make_rewards(recipe: Recipe, policy: Any, tokenizer: Any, say: Say) -> Rewards:
    """The rewards of a recipe, ready to be asked; what they are is told. `policy` is the model that is trained.

    Raises:
        UserError: when a reward model cannot be loaded, or a pattern or file is not what it should be.
    """
    table = recipe.reward
    weights = table.reward_weights or [1.0] * len(table.reward_funcs)
    functions = tuple(
        (name, weight, reward_function(name, recipe)) for name, weight in zip(table.reward_funcs, weights, strict=True)
    )
    said = [f"{weight:g} x {name}" for name, weight, _ in functions]
    model = _reward_model(recipe, policy, tokenizer) if recipe.ppo.reward_model else None
    if model is not None:
        said.append(f"{table.reward_model_weight:g} x {recipe.ppo.reward_model} ({recipe.ppo.reward_model_type})")
    say("info", words("run_rewards", what=" + ".join(said)))
    return Rewards(functions, model, table.reward_model_weight)


def _reward_model(recipe: Recipe, policy: Any, tokenizer: Any) -> RewardModel:
    match recipe.ppo.reward_model_type:
        case "api":
            return RewardService(str(recipe.ppo.reward_model), recipe.reward.reward_timeout)
        case "lora":
            return RewardAdapter.on(policy, recipe, tokenizer)
        case "full":
            return WholeRewardModel.load(recipe, policy, tokenizer)
