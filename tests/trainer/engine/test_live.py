"""Commands to a run that is going: each is carried out, answered, and leaves the run exact."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.training_runs import (
    TrainingRuns,
    events_of,
    losses_of,
    same_weights,
    wait_for,
    weights_of,
)
from trainer.errors import UserError
from trainer.run import RunDirectory, RunState, list_checkpoints

_LONG = {"max_steps": 400, "save_strategy": "no"}


def _answers(run: RunDirectory, verb: str) -> list[Any]:
    return [event for event in events_of(run, "command-result") if event.verb == verb]


def _step(run: RunDirectory) -> int:
    status = run.status()
    return 0 if status is None else status.step


def test_stop_saves_and_the_run_can_go_on(runs: TrainingRuns) -> None:
    run = runs.create("stop", train=_LONG)
    process = runs.start(run)
    wait_for(lambda: _step(run) >= 3)
    run.send("stop")
    process.join(60)
    assert process.exitcode == 0
    assert run.state() is RunState.STOPPED
    (checkpoint,) = list_checkpoints(run.checkpoints_folder, verify="sha256")
    assert checkpoint.step == max(losses_of(run))
    assert _answers(run, "stop")


def test_stop_without_saving_leaves_no_checkpoint(runs: TrainingRuns) -> None:
    run = runs.create("drop", train=_LONG)
    process = runs.start(run)
    wait_for(lambda: _step(run) >= 2)
    run.send("stop", save=False)
    process.join(60)
    assert process.exitcode == 0
    assert run.state() is RunState.STOPPED
    assert list_checkpoints(run.checkpoints_folder, verify="size") == []


def test_pause_holds_the_steps_and_save_evaluate_sample_work_meanwhile(runs: TrainingRuns) -> None:
    run = runs.create("pause", data={"val_size": 8}, train={**_LONG, "sample_prompts": ["What is 2 plus 3?"]})
    process = runs.start(run)
    wait_for(lambda: _step(run) >= 2)
    run.send("pause")
    wait_for(lambda: run.state() is RunState.PAUSED)
    held = _step(run)
    run.send("save")
    run.send("evaluate")
    run.send("sample")
    run.send("note", text="looks good")
    wait_for(lambda: _answers(run, "note"))
    time.sleep(0.3)
    assert _step(run) == held
    # What was done meanwhile has not ended the pause, and the run says so.
    assert run.state() is RunState.PAUSED
    assert [found.step for found in list_checkpoints(run.checkpoints_folder, verify="sha256")] == [held]
    assert [event.step for event in events_of(run, "evaluation")] == [held]
    # One by the evaluation, one by the command.
    assert [(event.step, event.prompt) for event in events_of(run, "sample")] == [(held, "What is 2 plus 3?")] * 2
    run.send("resume")
    wait_for(lambda: _step(run) > held)
    run.send("stop", save=False)
    process.join(60)
    assert process.exitcode == 0


def test_learning_rate_changes_the_schedule_and_is_journaled(runs: TrainingRuns) -> None:
    run = runs.create("rate", train={**_LONG, "lr_scheduler_type": "constant"})
    process = runs.start(run)
    wait_for(lambda: _step(run) >= 2)
    run.send("set", name="learning_rate", value=5e-4)
    wait_for(lambda: _answers(run, "set"))
    run.send("set", name="learning_rate_scale", value=0.5)
    wait_for(lambda: len(_answers(run, "set")) == 2)
    last = _step(run)
    wait_for(lambda: _step(run) > last + 2)
    run.send("stop", save=False)
    process.join(60)
    first, second = (answer for answer in _answers(run, "set"))
    rates = {event.step: event.values["learning_rate"] for event in events_of(run, "metrics")}
    assert rates[first.step] == pytest.approx(1e-2)
    assert rates[first.step + 1] == pytest.approx(5e-4)
    assert rates[second.step + 1] == pytest.approx(2.5e-4)
    assert second.arguments["name"] == "learning_rate"


def test_settings_that_cannot_be_are_refused_and_the_run_goes_on(runs: TrainingRuns) -> None:
    refused = {
        "learning_rate": ("fast", "expected a number"),
        "learning_rate_scale": (-1, "expected a number above 0"),
        "save_steps": (2.5, "expected a whole number of steps"),
    }
    run = runs.create("refused", train=_LONG)
    process = runs.start(run)
    wait_for(lambda: _step(run) >= 1)
    for name, (value, _) in refused.items():
        run.send("set", name=name, value=value)
    answers = wait_for(lambda: len(found := _answers(run, "set")) == len(refused) and found)
    run.send("stop", save=False)
    process.join(60)
    assert process.exitcode == 0
    for answer, (_, reason) in zip(answers, refused.values(), strict=True):
        assert not answer.accepted
        assert reason in answer.text


def test_a_setting_that_no_run_can_change_is_not_even_sent(runs: TrainingRuns) -> None:
    with pytest.raises(UserError, match="cannot be changed while a run is going"):
        runs.create("fixed").send("set", name="lora_rank", value=16)


def test_evaluate_without_data_is_refused_with_the_way_out(runs: TrainingRuns) -> None:
    run = runs.create("noeval", train=_LONG)
    process = runs.start(run)
    wait_for(lambda: _step(run) >= 1)
    run.send("evaluate")
    (answer,) = wait_for(lambda: _answers(run, "evaluate"))
    run.send("stop", save=False)
    process.join(60)
    assert not answer.accepted
    assert "val_size" in answer.text


def test_settings_made_live_come_back_after_a_crash(runs: TrainingRuns) -> None:
    """A run whose learning rate was changed, killed and resumed equals one that was changed and not killed."""
    values = {"max_steps": 40, "save_steps": 5, "lr_scheduler_type": "linear"}
    run = runs.create("crash", train=values)
    process = runs.start(run)
    wait_for(lambda: _step(run) >= 2)
    run.send("set", name="learning_rate", value=2e-3)
    (answer,) = wait_for(lambda: _answers(run, "set"))
    wait_for(lambda: _step(run) >= answer.step + 1)
    process.kill()
    process.join()
    saved = [found.step for found in list_checkpoints(run.checkpoints_folder, verify="sha256")]
    assert runs.train(run, resume=True) == 0
    straight = runs.create("straight", train=values)
    # The same change at the same step, this time from the journal alone.
    from trainer.run import EventWriter

    writer = EventWriter(straight)
    writer.write(answer)
    writer.close()
    assert runs.train(straight, resume=True) == 0
    assert same_weights(weights_of(run, 40), weights_of(straight, 40)), (answer.step, saved)


def test_the_rate_of_a_schedule_that_follows_the_evaluation_can_be_set_too(runs: TrainingRuns) -> None:
    run = runs.create(
        "plateau",
        data={"val_size": 8},
        train={**_LONG, "lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "steps", "eval_steps": 1000},
    )
    process = runs.start(run)
    wait_for(lambda: _step(run) >= 1)
    run.send("set", name="learning_rate", value=1e-4)
    (answer,) = wait_for(lambda: _answers(run, "set"))
    wait_for(lambda: _step(run) > answer.step + 1)
    run.send("stop", save=False)
    process.join(60)
    assert answer.accepted
    rates = {event.step: event.values["learning_rate"] for event in events_of(run, "metrics")}
    assert rates[answer.step + 1] == pytest.approx(1e-4)


def test_a_command_that_fails_does_not_cost_the_run(runs: TrainingRuns) -> None:
    run = runs.create("clumsy", train=_LONG)
    process = runs.start(run)
    wait_for(lambda: _step(run) >= 1)
    run.send("sample", prompts=5)
    (answer,) = wait_for(lambda: _answers(run, "sample"))
    run.send("stop", save=False)
    process.join(60)
    assert process.exitcode == 0
    assert not answer.accepted
    assert run.state() is RunState.STOPPED
