"""Evaluation of ppo, grpo and rloo: answers to held-out prompts, which leave the training as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.stages.answering import answering, log_of
from tests.trainer.stages.conftest import MakeRun
from tests.training_runs import TrainingRuns, events_of, losses_of, same_weights, wait_for, weights_of
from trainer.data.python_file import python_file
from trainer.data.remote_code import give_consent
from trainer.run import RunDirectory, list_checkpoints

FIGURES = {"eval_reward", "eval_reward_std", "eval_kl", "eval_answer_tokens", "eval_answers_ended"}
HELD: dict[str, Any] = {"data": {"val_size": 3}, "train": {"eval_strategy": "steps", "eval_steps": 1}}
SPEEDS = ("eval_runtime", "eval_samples_per_second", "eval_steps_per_second")


def evaluations_of(run: RunDirectory) -> list[tuple[int, dict[str, float]]]:
    """Step and figures of each evaluation, without how fast it was."""
    return [
        (event.step, {name: value for name, value in event.values.items() if name not in SPEEDS})
        for event in events_of(run, "evaluation")
    ]


@pytest.mark.parametrize(("stage", "method"), [("ppo", "full"), ("grpo", "lora")])
def test_a_run_with_evaluation_learns_bit_for_bit_what_one_without_does(
    runs: TrainingRuns, stage_run: MakeRun, tmp_path: Path, stage: str, method: str
) -> None:
    file, home = tmp_path / "dice.py", {"XDG_DATA_HOME": str(tmp_path / "data-home")}
    file.write_text("import random\ndef reward(*_):\n    return random.random()\n")
    give_consent(python_file(file)[0], str(file))
    dice = {"reward_funcs": ["regex", "python"], "reward_weights": [1.0, 0.5], "reward_file": str(file)}
    evaluated = answering(stage_run, stage, method, reward=dice, **HELD)
    assert runs.train(evaluated, **home) == 0, log_of(evaluated)
    blind = answering(stage_run, stage, method, name="blind", reward=dice, data={"val_size": 3})
    assert runs.train(blind, **home) == 0, log_of(blind)
    assert same_weights(weights_of(evaluated, 6), weights_of(blind, 6))
    assert losses_of(evaluated) == losses_of(blind)
    evaluations = evaluations_of(evaluated)
    assert [step for step, _ in evaluations] == [1, 2, 3, 4, 5, 6]
    for _, values in evaluations:
        assert set(values) == FIGURES | {"eval_rewards/regex", "eval_rewards/python"}
        by_parts = values["eval_rewards/regex"] + 0.5 * values["eval_rewards/python"]
        assert values["eval_reward"] == pytest.approx(by_parts)
    shown = [sample for sample in events_of(evaluated, "sample") if sample.held_out]
    assert len(shown) == 6 * 3
    prompts = {sample.prompt for sample in shown}
    assert len(prompts) == 3
    assert not prompts & {sample.prompt for sample in events_of(evaluated, "sample") if not sample.held_out}


def test_an_evaluation_that_is_stopped_is_made_up_for(runs: TrainingRuns, stage_run: MakeRun, tmp_path: Path) -> None:
    """The reward takes long for a held-out prompt, once: in the evaluation after step 3."""
    rows = tmp_path / "held.json"
    rows.write_text(json.dumps([{"instruction": f"Held out {i}?"} for i in range(3)]))
    mark, file, home = tmp_path / "slept", tmp_path / "slow.py", {"XDG_DATA_HOME": str(tmp_path / "data-home")}
    file.write_text(
        "import pathlib, time\nmark = pathlib.Path(r'" + str(mark) + "')\n"
        "def reward(prompt, answer, expected):\n"
        "    if 'Held' in prompt and not mark.exists():\n        mark.write_text('')\n        time.sleep(2)\n"
        "    return float(len(answer))\n"
    )
    give_consent(python_file(file)[0], str(file))
    tables: dict[str, Any] = {
        "reward": {"reward_funcs": ["python"], "reward_regex": None, "reward_file": str(file)},
        "data": {"eval_dataset": [str(rows)]},
        "train": {"eval_strategy": "steps", "eval_steps": 3, "save_steps": 100},
    }
    run = answering(stage_run, "ppo", **tables)
    process = runs.start(run, **home)
    wait_for(mark.exists)
    run.send("stop")
    process.join(60)
    assert process.exitcode == 0, log_of(run)
    assert [found.step for found in list_checkpoints(run.checkpoints_folder, verify="size")] == [3]
    assert not evaluations_of(run)
    assert runs.train(run, resume=True, **home) == 0, log_of(run)
    straight = answering(stage_run, "ppo", name="straight", **tables)
    assert runs.train(straight, **home) == 0, log_of(straight)
    assert evaluations_of(run) == evaluations_of(straight)
    assert same_weights(weights_of(run, 6), weights_of(straight, 6))


def test_the_run_ends_early_with_the_best_rewarded_weights(runs: TrainingRuns, stage_run: MakeRun) -> None:
    """Likeliest answers are all alike where nothing moves, so that no evaluation is better than the first."""
    still = {"learning_rate": 1e-12, "load_best_model_at_end": True, "save_steps": 1, "save_total_limit": 1}
    train = {**HELD["train"], **still, "max_steps": 20, "per_device_eval_batch_size": 2}
    method = {"early_stopping_steps": 2}
    run = answering(
        stage_run, "ppo", "full", data=HELD["data"], train=train, method=method, reward={"eval_greedy": True}
    )
    recipe = run.recipe().train
    assert (recipe.metric_for_best_model, recipe.greater_is_better) == ("reward", True)
    assert runs.train(run) == 0, log_of(run)
    end = events_of(run, "end")[0]
    assert (end.step, end.values["best"]) == (3, 1)
    assert len({values["eval_reward"] for _, values in evaluations_of(run)}) == 1


def test_evaluate_now(runs: TrainingRuns, stage_run: MakeRun) -> None:
    steady = {"max_steps": 400, "save_steps": 1000, "logging_steps": 1}
    run = answering(stage_run, "rloo", data={**HELD["data"], "eval_on_each_dataset": True}, train=steady)
    process = runs.start(run)
    wait_for(lambda: events_of(run, "metrics"))
    run.send("evaluate")
    wait_for(lambda: events_of(run, "evaluation"))
    run.send("stop")
    process.join(60)
    assert process.exitcode == 0, log_of(run)
    answer = events_of(run, "command-result")[0]
    _, values = evaluations_of(run)[0]
    assert answer.text == f"eval_reward {values['eval_reward']:.4f}"
    of_the_set = next(name for name in values if name.endswith("-rows_reward"))
    assert values[of_the_set] == values["eval_reward"]


@pytest.mark.parametrize(("stage", "method"), [("ppo", "full"), ("grpo", "lora"), ("rloo", "freeze")])
def test_evaluation_without_training(runs: TrainingRuns, stage_run: MakeRun, stage: str, method: str) -> None:
    run = answering(stage_run, stage, method, data=HELD["data"], train={"do_train": False, "do_eval": True})
    assert runs.train(run) == 0, log_of(run)
    assert events_of(run, "end")[0].reason == "finished"
    (step, values), *rest = evaluations_of(run)
    assert (step, rest) == (0, [])
    assert values["eval_kl"] == pytest.approx(0, abs=1e-4)
