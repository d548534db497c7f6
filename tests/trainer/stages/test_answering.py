"""ppo, grpo and rloo from prompts to checkpoints: curves, resume, live commands, what is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from tests.trainer.stages.answering import answering, log_of
from tests.trainer.stages.conftest import MakeRun
from tests.training_runs import TrainingRuns, events_of, losses_of, same_weights, wait_for, weights_of
from trainer.chat.loading import load_for_chat
from trainer.config.answering import steps_of_answers
from trainer.data.python_file import python_file
from trainer.data.remote_code import give_consent
from trainer.model.load import load_model
from trainer.model.prepare import prepare_model
from trainer.model.tokenizer import load_tokenizer
from trainer.run import RunDirectory, list_checkpoints
from trainer.run.messages import silent
from trainer.stages.reward_models import RewardAdapter, WholeRewardModel
from trainer.stages.rollouts import Answer, answer_batch


def test_killed_in_the_middle_of_a_buffer_a_run_goes_on_with_the_same_answers(
    runs: TrainingRuns, stage_run: MakeRun
) -> None:
    run = answering(stage_run, "ppo", "lora")
    assert runs.train(run) == 0, log_of(run)
    metrics = events_of(run, "metrics")
    # Two steps go through each buffer.
    assert ["reward" in event.values for event in metrics] == [True, False] * 3
    assert all(-1e-4 < event.values["kl"] < 50 for event in metrics[:1])
    samples = events_of(run, "sample")
    assert {type(sample.score) for sample in samples} == {float}
    assert samples[0].prompt.startswith("What is")
    # Step 3 was the first one of the second buffer.
    killed = answering(stage_run, "ppo", "lora", name="killed", train={"max_steps": 6})
    assert runs.train(killed, TRIMTAB_FAULT="checkpoint:before-rename@2") == -9
    assert [found.step for found in list_checkpoints(killed.checkpoints_folder, verify="size")] == [3]
    assert runs.train(killed, resume=True) == 0, log_of(killed)
    assert same_weights(weights_of(run, 6), weights_of(killed, 6))
    assert losses_of(run) == losses_of(killed)
    assert not any("value_head" in name or ".reward." in name for name in weights_of(run, 6))
    assert load_for_chat(str(killed.checkpoints_folder / "step-00000006")).model.generation_config is not None


@pytest.mark.parametrize(("stage", "steps"), [("ppo", 4), ("grpo", 14)])
def test_an_epoch_has_the_steps_that_were_foretold(
    runs: TrainingRuns, stage_run: MakeRun, stage: str, steps: int
) -> None:
    run = answering(stage_run, stage, train={"max_steps": -1, "num_train_epochs": 1.0, "save_steps": 100})
    assert steps_of_answers(run.recipe(), 7) == steps
    assert runs.train(run) == 0, log_of(run)
    assert events_of(run, "end")[0].step == steps


def test_a_policy_of_equal_rewards_is_moved_by_nothing_but_the_penalty(runs: TrainingRuns, stage_run: MakeRun) -> None:
    run = answering(stage_run, "grpo", reward={"reward_funcs": ["length"], "reward_regex": None})
    assert runs.train(run) == 0, log_of(run)
    first = events_of(run, "metrics")[0].values
    assert (first["reward"], first["reward_std"], first["groups_of_one_mind"]) == (1.0, 0.0, 1.0)
    assert first["loss"] == pytest.approx(0, abs=1e-6)
    [told] = [event for event in events_of(run, "finding") if event.severity == "warning"]
    assert (told.step, told.text[:48]) == (4, "all answers of the first 3 buffers got the same ")


def test_a_stop_between_answers_saves_what_was_before_them(runs: TrainingRuns, stage_run: MakeRun) -> None:
    steady = {"save_steps": 1000, "lr_scheduler_type": "constant"}
    run = answering(stage_run, "ppo", train={"max_steps": 400, **steady}, ppo={"ppo_epochs": 1})
    process = runs.start(run)
    wait_for(lambda: events_of(run, "metrics"))
    run.send("stop")
    process.join(60)
    assert process.exitcode == 0, log_of(run)
    step = events_of(run, "end")[0].step
    assert [found.step for found in list_checkpoints(run.checkpoints_folder, verify="size")] == [step]
    # Answered by the trainer that stopped, and not refused by the next one.
    answers = [(answer.verb, answer.accepted, answer.text) for answer in events_of(run, "command-result")]
    assert answers == [("stop", True, f"stopped, saved at step {step}")]
    more = step + 2
    run = _longer(run, more)
    assert runs.train(run, resume=True) == 0, log_of(run)
    straight = answering(stage_run, "ppo", name="straight", train={"max_steps": more, **steady}, ppo={"ppo_epochs": 1})
    assert runs.train(straight) == 0, log_of(straight)
    assert same_weights(weights_of(run, more), weights_of(straight, more))


def _longer(run: RunDirectory, steps: int) -> RunDirectory:
    text = run.recipe_file.read_text()
    run.recipe_file.write_text(text.replace("max_steps = 400", f"max_steps = {steps}"))
    return run


class RewardServer(BaseHTTPRequestHandler):
    """Gives each text its number of letters "a"; the first request fails."""

    asked: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        failing = len(self.asked) == 1
        self.send_response(503 if failing else 200)
        self.end_headers()
        if not failing:
            self.wfile.write(json.dumps({"scores": [text.count("a") for text in body["messages"]]}).encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def reward_server() -> Iterator[str]:
    RewardServer.asked = []
    server = HTTPServer(("127.0.0.1", 0), RewardServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/score/evaluation"
    server.shutdown()


def test_a_service_gives_the_reward_and_is_asked_again_when_it_fails(
    runs: TrainingRuns, stage_run: MakeRun, reward_server: str
) -> None:
    model = {"reward_model": reward_server, "reward_model_type": "api", "ppo_epochs": 1}
    none = {"reward_funcs": [], "reward_regex": None}
    run = answering(stage_run, "ppo", ppo=model, reward=none, train={"max_steps": 1})
    assert runs.train(run) == 0, log_of(run)
    assert "trying again" in log_of(run)
    first, second = RewardServer.asked[:2]
    assert first == second
    assert set(first) == {"model", "messages"}
    assert "What is" in first["messages"][0]
    mean = sum(text.count("a") for body in RewardServer.asked[1:] for text in body["messages"]) / 4
    assert events_of(run, "metrics")[0].values["reward"] == pytest.approx(mean)


def test_a_service_that_is_not_there_is_named(runs: TrainingRuns, stage_run: MakeRun) -> None:
    model = {"reward_model": "http://127.0.0.1:9/none", "reward_model_type": "api"}
    run = answering(stage_run, "ppo", ppo=model, reward={"reward_funcs": [], "reward_regex": None})
    process = runs.start(run)
    wait_for(lambda: run.log_file.is_file() and "trying again" in run.log_file.read_text())
    process.kill()
    assert "Connection refused" in run.log_file.read_text()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_reward_model_is_asked_in_training_and_not_saved(runs: TrainingRuns, stage_run: MakeRun, method: str) -> None:
    rm = stage_run("rm", method, name="rm", train={"max_steps": 3, "eval_strategy": "no"})
    assert runs.train(rm) == 0, log_of(rm)
    folder = str(rm.checkpoints_folder / "step-00000003")
    model = {"reward_model": folder, "reward_model_type": method, "ppo_epochs": 1}
    run = answering(stage_run, "ppo", ppo=model, reward={"reward_funcs": [], "reward_regex": None})
    assert runs.train(run) == 0, log_of(run)
    assert len({sample.score for sample in events_of(run, "sample")}) > 1
    last = run.checkpoints_folder / "step-00000006"
    assert not any("reward" in name for name in weights_of(run, 6))
    assert not (last / "reward").exists()
    if method == "lora":
        _check_both_ways_to_ask(run, folder)


def _check_both_ways_to_ask(run: RunDirectory, folder: str) -> None:
    """The adapter upon the policy's base gives the numbers of the whole reward model, and leaves the policy alone."""
    recipe = run.recipe()
    tokenizer = load_tokenizer(recipe)
    policy = prepare_model(load_model(recipe, silent), recipe, silent)
    trained = [name for name, parameter in policy.named_parameters() if parameter.requires_grad]
    generator = torch.Generator().manual_seed(0)
    ids = [torch.randint(3, 250, (size,), generator=generator) for size in (5, 9, 3, 7)]
    answers = [Answer(prompt, answer, True, "", "", "") for prompt, answer in ((ids[0], ids[1]), (ids[2], ids[3]))]
    batch = answer_batch(answers, tokenizer.pad_token_id)
    before = policy(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    adapter = RewardAdapter.on(policy, recipe, tokenizer)
    whole = WholeRewardModel.load(recipe, policy, tokenizer)
    scores = adapter.scores(answers, lambda: None)
    torch.testing.assert_close(scores, whole.scores(answers, lambda: None))
    alone = torch.cat([adapter.scores([answer], lambda: None) for answer in answers])
    torch.testing.assert_close(scores, alone)
    assert [name for name, parameter in policy.named_parameters() if parameter.requires_grad] == trained
    after = policy(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    assert torch.equal(before, after)
    assert folder == recipe.ppo.reward_model


def test_a_file_of_the_users_gives_the_reward_after_consent(
    runs: TrainingRuns, stage_run: MakeRun, tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def reward(prompt, answer, expected):\n    return float(expected) + ('user' in prompt)\n")
    reward = {"reward_funcs": ["python"], "reward_regex": None, "reward_file": str(file)}
    run = answering(stage_run, "grpo", reward=reward, train={"max_steps": 1})
    home = {"XDG_DATA_HOME": str(tmp_path / "data-home")}
    assert runs.train(run, **home) == 1
    assert "trimtab trust" in events_of(run, "end")[0].text
    give_consent(python_file(file)[0], str(file))
    run = answering(stage_run, "grpo", name="agreed", reward=reward, train={"max_steps": 1})
    assert runs.train(run, **home) == 0, log_of(run)
    assert "the same reward" not in log_of(run)
    for sample in events_of(run, "sample"):
        question = int(sample.prompt.split("What is ")[1].split(" ")[0])
        assert sample.score == question + 2
    # The third buffer fails; what was learned before is kept.
    file.write_text("calls = []\ndef reward(*_):\n    calls.append(1)\n    return 1 / (0 if len(calls) > 8 else 1)\n")
    changed = answering(stage_run, "grpo", name="changed", reward=reward, train={"max_steps": 1})
    assert runs.train(changed, **home) == 1
    give_consent(python_file(file)[0], str(file))
    failing = answering(stage_run, "grpo", name="failing", reward=reward)
    assert runs.train(failing, **home) == 1
    assert "mine.py:4: reward() fails: ZeroDivisionError" in events_of(failing, "end")[0].text
    assert [found.step for found in list_checkpoints(failing.checkpoints_folder, verify="size")] == [3, 4]
