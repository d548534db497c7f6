"""Kill -9 at any moment, also in the middle of a save: resumed, the run ends bit-equal to one that was left alone."""

from __future__ import annotations

import signal

import pytest

from tests.training_runs import TrainingRuns, events_of, losses_of, same_weights, wait_for, weights_of
from trainer.run import RunState, damaged_checkpoints, latest_checkpoint, list_checkpoints

_POINTS = ["before-staging", "mid-file", "before-manifest", "before-rename", "after-rename", "before-rotate"]
_TRAIN = {"max_steps": 8, "save_steps": 2, "save_total_limit": 2, "lr_scheduler_type": "cosine"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_model: object) -> dict[str, object]:
    """The weights at the end of a run that nothing happened to, for LoRA and for full fine-tuning."""
    from pathlib import Path

    from tests.tiny import make_tiny_data

    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        runs = TrainingRuns(folder, Path(str(tiny_model)), make_tiny_data(folder / "sums.json"))
        weights = {}
        for method in ("lora", "full"):
            run = runs.create(method, method={"finetuning_type": method}, train=_TRAIN)
            assert runs.train(run) == 0
            weights[method] = weights_of(run, 8)
    return weights


@pytest.mark.parametrize("point", _POINTS)
def test_killed_during_a_save_resumes_to_the_same_weights(
    runs: TrainingRuns, undisturbed: dict[str, dict[str, object]], point: str
) -> None:
    run = runs.create("killed", train=_TRAIN)
    # The second save is hit, so that there is an older checkpoint to lose.
    assert runs.train(run, TRIMTAB_FAULT=f"checkpoint:{point}@2") == -signal.SIGKILL
    assert run.state() is RunState.LOST
    newest = latest_checkpoint(run.checkpoints_folder)
    assert newest is not None
    assert newest.step == (4 if point in ("after-rename", "before-rotate") else 2)
    assert damaged_checkpoints(run.checkpoints_folder) == []
    assert runs.train(run, resume=True) == 0
    assert same_weights(weights_of(run, 8), undisturbed["lora"])
    assert sorted(losses_of(run)) == list(range(1, 9))
    assert not list(run.checkpoints_folder.glob(".staging*"))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_killed_between_saves_resumes_to_the_same_weights(
    runs: TrainingRuns, undisturbed: dict[str, dict[str, object]], method: str
) -> None:
    run = runs.create("between", method={"finetuning_type": method}, train=_TRAIN)
    process = runs.start(run)
    wait_for(lambda: list_checkpoints(run.checkpoints_folder, verify="size"))
    process.kill()
    process.join()
    assert runs.train(run, resume=True) == 0
    assert same_weights(weights_of(run, 8), undisturbed[method])


def test_killed_before_the_first_save_starts_again(
    runs: TrainingRuns, undisturbed: dict[str, dict[str, object]]
) -> None:
    run = runs.create("early", train=_TRAIN)
    assert runs.train(run, TRIMTAB_FAULT="checkpoint:before-staging@1") == -signal.SIGKILL
    assert runs.train(run, resume=True) == 0
    assert same_weights(weights_of(run, 8), undisturbed["lora"])


def test_terminate_saves_and_exits_and_the_rest_is_the_same(
    runs: TrainingRuns, undisturbed: dict[str, dict[str, object]]
) -> None:
    run = runs.create("term", train=_TRAIN)
    process = runs.start(run)
    wait_for(lambda: (status := run.status()) and status.step >= 3)
    process.terminate()
    process.join(60)
    assert process.exitcode == 0
    saved = latest_checkpoint(run.checkpoints_folder)
    assert saved is not None
    if run.state() is RunState.STOPPED:
        assert saved.step == max(losses_of(run))
        assert "SIGTERM" in events_of(run, "end")[0].text
        assert runs.train(run, resume=True) == 0
    assert same_weights(weights_of(run, 8), undisturbed["lora"])


def test_a_damaged_newest_checkpoint_is_passed_over(
    runs: TrainingRuns, undisturbed: dict[str, dict[str, object]]
) -> None:
    run = runs.create("damaged", train=_TRAIN)
    assert runs.train(run, TRIMTAB_FAULT="checkpoint:before-staging@3") == -signal.SIGKILL
    file = run.checkpoints_folder / "step-00000004" / "adapter_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    assert [found.reason for found in damaged_checkpoints(run.checkpoints_folder)]
    assert runs.train(run, resume=True) == 0
    assert events_of(run, "resume")[0].step == 2
    assert same_weights(weights_of(run, 8), undisturbed["lora"])


def test_a_hang_up_does_not_end_a_run(runs: TrainingRuns) -> None:
    run = runs.create("hangup", train=_TRAIN)
    process = runs.start(run)
    wait_for(lambda: (status := run.status()) and status.step >= 1)
    import os

    assert process.pid is not None
    os.kill(process.pid, signal.SIGHUP)
    process.join(60)
    assert process.exitcode == 0
    assert run.state() is RunState.FINISHED


def test_resuming_a_run_that_is_done_changes_nothing(runs: TrainingRuns) -> None:
    run = runs.create("done", train={**_TRAIN, "lr_scheduler_type": "constant"})
    assert runs.train(run) == 0
    before = weights_of(run, 8)
    assert runs.train(run, resume=True) == 0
    assert run.state() is RunState.FINISHED
    assert [found.step for found in list_checkpoints(run.checkpoints_folder, verify="size")] == [6, 8]
    assert same_weights(weights_of(run, 8), before)


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_over_in_silence(runs: TrainingRuns) -> None:
    run = runs.create("ruined", train=_TRAIN)
    assert runs.train(run, TRIMTAB_FAULT="checkpoint:before-staging@2") == -signal.SIGKILL
    (run.checkpoints_folder / "step-00000002" / "optimizer.pt").write_bytes(b"")
    assert runs.train(run, resume=True) == 1
    assert "no checkpoint of this run is whole (step-00000002" in events_of(run, "end")[0].text


@pytest.mark.parametrize("scheduler", ["reduce_lr_on_plateau", "cosine"])
def test_stopped_during_an_evaluation_the_run_is_the_same(runs: TrainingRuns, scheduler: str) -> None:
    values = {
        "max_steps": 8,
        "save_steps": 2,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "per_device_eval_batch_size": 1,
        "lr_scheduler_type": scheduler,
        "lr_scheduler_kwargs": {"patience": 0, "factor": 0.1} if scheduler == "reduce_lr_on_plateau" else {},
    }
    left_alone = runs.create("alone", data={"val_size": 12}, train=values)
    assert runs.train(left_alone) == 0
    run = runs.create("stopped", data={"val_size": 12}, train=values)
    process = runs.start(run)
    wait_for(lambda: any(event.phase == "evaluating" for event in events_of(run, "phase")))
    process.terminate()
    process.join(60)
    assert process.exitcode == 0
    if run.state() is RunState.STOPPED:
        assert runs.train(run, resume=True) == 0
    assert same_weights(weights_of(run, 8), weights_of(left_alone, 8))
    assert {event.step: event.values["eval_loss"] for event in events_of(run, "evaluation")} == {
        event.step: event.values["eval_loss"] for event in events_of(left_alone, "evaluation")
    }
