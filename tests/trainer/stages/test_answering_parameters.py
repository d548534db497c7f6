"""Every parameter of ppo, grpo and rloo acts: changing it changes what can be named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, cast

import pytest
import torch

from tests.methods.training import home_in, train_here
from tests.stages.courses import Courses, figures_of
from trainer.config import Recipe
from trainer.config.parameter import parameters
from trainer.data import EncodedRows
from trainer.errors import UserError
from trainer.stages.reward_functions import check_expected, reward_function
from trainer.stages.rollouts import Answer

Figures = dict[int, dict[str, float]]
Look = Callable[[Figures], object]


def at(step: int, name: str) -> Look:
    """A figure at a step; None where it is not there."""
    return lambda figures: figures[step].get(name)


def steps_with_new_answers(figures: Figures) -> list[int]:
    return [step for step, values in figures.items() if "reward" in values]


LOSS_OF_VALUES = at(1, "loss/value")
SECOND_PENALTY = at(3, "kl_coef")
MOVED_OUTSIDE = at(2, "clipped")
FIRST_GRADIENT = at(1, "grad_norm")
ACTS: dict[str, tuple[str, object, Look]] = {
    "ppo.ppo_buffer_size": ("ppo", 2, steps_with_new_answers),
    "ppo.ppo_epochs": ("ppo", 1, steps_with_new_answers),
    "ppo.ppo_score_norm": ("ppo", True, LOSS_OF_VALUES),
    "ppo.ppo_whiten_rewards": ("ppo", True, LOSS_OF_VALUES),
    "ppo.ppo_kl_coef": ("ppo", 0.5, at(1, "kl_coef")),
    "ppo.ppo_kl_horizon": ("ppo", 10, SECOND_PENALTY),
    "ppo.ppo_clip": ("ppo", 1e-6, MOVED_OUTSIDE),
    "ppo.ppo_value_weight": ("ppo", 0.0, FIRST_GRADIENT),
    "ppo.ppo_gamma": ("ppo", 0.5, LOSS_OF_VALUES),
    "ppo.ppo_lambda": ("ppo", 0.0, LOSS_OF_VALUES),
    "grpo.num_generations": ("grpo", 2, at(1, "entropy")),
    "grpo.beta": ("grpo", 0.0, at(1, "kl")),
    "grpo.num_iterations": ("grpo", 1, steps_with_new_answers),
    "grpo.epsilon": ("grpo", 1e-6, MOVED_OUTSIDE),
    "grpo.epsilon_high": ("grpo", 1e-6, MOVED_OUTSIDE),
    "grpo.use_bias_correction_kl": ("grpo", True, at(2, "grad_norm")),
    "grpo.scale_rewards": ("grpo", False, FIRST_GRADIENT),
    "generation.temperature": ("grpo", 0.3, at(1, "entropy")),
    "generation.top_k": ("grpo", 2, at(1, "entropy")),
    "generation.top_p": ("grpo", 0.05, at(1, "entropy")),
    "generation.max_new_tokens": ("grpo", 3, at(1, "answer_tokens")),
    "reward.reward_weights": ("grpo", [3.0], at(1, "reward")),
}
"""Stage, another value, and the figure that it changes."""
ELSEWHERE = {
    "ppo.reward_model",
    "ppo.reward_model_type",
    "ppo.reward_model_adapters",
    "ppo.reward_model_quantization_bit",
    "reward.reward_model_weight",
    "reward.reward_timeout",
    "reward.reward_file",
    "reward.eval_greedy",
    "reward.reward_funcs",
    "reward.reward_words",
    "reward.reward_regex",
    "reward.reward_format",
    "reward.reward_answer_regex",
    "reward.reward_length",
}
"""Tested below, with the judges, the service, the user's file, or the evaluation."""


@pytest.fixture(scope="module")
def courses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Courses]:
    folder = tmp_path_factory.mktemp("acting")
    with home_in(folder):
        yield Courses(folder)


def figures(courses: Courses, stage: str, **values: Any) -> Figures:
    """The figures of three steps by step; a policy that moves far at each."""
    short = {
        "max_steps": 3,
        "eval_strategy": "no",
        "val_size": 0,
        "learning_rate": 0.1,
        "lr_scheduler_type": "constant",
    }
    run = courses.run(stage, "run", finetuning_type="lora", lora_rank=4, **(short | values))
    return {step: values for (kind, step), values in figures_of(train_here(run).run).items() if kind == "metrics"}


@pytest.fixture(scope="module")
def usual(courses: Courses) -> dict[str, Figures]:
    return {stage: figures(courses, stage) for stage in ("ppo", "grpo")}


LATER: dict[str, tuple[str, object, Look, dict[str, Any]]] = {
    # The distance of the first buffer is always 0.
    "ppo.ppo_target": ("ppo", 1e-9, at(3, "kl_coef"), {"ppo_epochs": 1}),
    # Answers of one length weigh the same, however the mean is taken.
    "grpo.loss_type": (
        "grpo",
        "dr_grpo",
        FIRST_GRADIENT,
        {"max_new_tokens": 150, "max_steps": 1, "reward_funcs": ["length"], "reward_length": 60},
    ),
}
"""The same, with what both runs need to show it."""


@pytest.mark.parametrize("key", LATER)
def test_it_acts_where_it_can(courses: Courses, key: str) -> None:
    stage, value, look, more = LATER[key]
    before, after = figures(courses, stage, **more), figures(courses, stage, **more, **{key.partition(".")[2]: value})
    assert look(before) != look(after)


@pytest.mark.parametrize("key", ACTS)
def test_it_acts(courses: Courses, usual: dict[str, Figures], key: str) -> None:
    stage, value, look = ACTS[key]
    before, after = look(usual[stage]), look(figures(courses, stage, **{key.partition(".")[2]: value}))
    assert before != after


@pytest.mark.parametrize(("stage", "range_of_ratio"), [("ppo", "ppo_clip"), ("grpo", "epsilon")])
def test_before_the_first_step_on_a_buffer_the_policy_is_what_it_was_at_the_draw(
    courses: Courses, stage: str, range_of_ratio: str
) -> None:
    """Drawn in one shape of batch and learned in another, a probability differs by rounding alone."""
    found = figures(courses, stage, **{range_of_ratio: 1e-4, "per_device_eval_batch_size": 3})
    assert (found[1]["clipped"], found[3]["clipped"]) == (0, 0)
    assert found[2]["clipped"] > 0.5


def test_none_is_forgotten() -> None:
    of_stages = {each.key for each in parameters() if each.key.partition(".")[0] in ("ppo", "grpo", "reward")}
    assert of_stages == {key for key in ACTS if not key.startswith("generation.")} | LATER.keys() | ELSEWHERE


@pytest.mark.parametrize(
    ("settings", "text", "expected", "worth"),
    [
        ({"reward_funcs": ["exact"]}, " Four\n", "four", 1.0),
        ({"reward_funcs": ["exact"]}, "it is four", "four", 0.0),
        ({"reward_funcs": ["exact"], "reward_answer_regex": r"is (\w+)"}, "is it? it is four", "four", 1.0),
        ({"reward_funcs": ["exact"], "reward_answer_regex": r"is (\w+)"}, "four", "four", 0.0),
        ({"reward_funcs": ["contains"]}, "It is  FOUR.", "is four", 1.0),
        ({"reward_funcs": ["contains"]}, "anything", "", 0.0),
        ({"reward_funcs": ["contains"], "reward_words": ["two", "Three"]}, "one three", "one", 1.0),
        ({"reward_funcs": ["contains"], "reward_words": ["two", "Three"]}, "one", "one", 0.0),
        ({"reward_funcs": ["regex"], "reward_regex": r"\d"}, "no 1", "", 1.0),
        ({"reward_funcs": ["regex"], "reward_regex": r"\d"}, "none", "", 0.0),
        ({"reward_funcs": ["format"], "reward_format": "<think>.*</think>.*"}, "<think>\n</think>\n1", "", 1.0),
        ({"reward_funcs": ["format"], "reward_format": "<think>.*</think>.*"}, "a <think></think>", "", 0.0),
        ({"reward_funcs": ["length"], "reward_length": 6}, "of six tokens", "", 1.0),
        ({"reward_funcs": ["length"], "reward_length": 4}, "of six tokens", "", 0.5),
        ({"reward_funcs": ["length"], "reward_length": 3}, "of six tokens", "", 0.0),
    ],
)
def test_what_an_answer_is_worth(settings: dict[str, Any], text: str, expected: str, worth: float) -> None:
    recipe = Recipe().with_values({f"reward.{name}": value for name, value in settings.items()})
    answer = Answer(torch.arange(3), torch.arange(6), True, "Hi?", text, expected)
    assert float(reward_function(settings["reward_funcs"][0], recipe)(answer)) == worth


class Expecting(list[str]):
    """Rows of which only the expected answers are asked."""

    def expected(self, number: int) -> str:
        return self[number]


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"reward_funcs": ["length", "exact"]}, "reward_funcs = 'exact': it compares with the expected answer"),
        ({"reward_funcs": ["contains"]}, "or set reward_words"),
        ({"reward_funcs": ["contains"], "reward_words": ["hello"]}, ""),
        ({"reward_funcs": ["length"]}, ""),
    ],
)
def test_a_reward_that_compares_with_nothing_is_refused(settings: dict[str, Any], refused: str) -> None:
    recipe = Recipe().with_values({f"reward.{name}": value for name, value in settings.items()})
    check_expected(recipe, cast(EncodedRows, Expecting(["", "four"])))
    with pytest.raises(UserError, match=refused) if refused else nullcontext():
        check_expected(recipe, cast(EncodedRows, Expecting(["", ""])))
