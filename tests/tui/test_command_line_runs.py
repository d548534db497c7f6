"""Starting, watching, stopping and deleting runs, with real background processes that play a trainer."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.run.fake_trainer import write_run
from tests.tui.command_line_world import World, a_world
from trainer.run import RunState
from tui import progress_view


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with a_world(tmp_path, monkeypatch, capsys) as made:
        yield made


def wait_until_running(world: World, name: str) -> None:
    for _ in range(300):
        status = world.find(name).status()
        if status is not None and status.step > 0:
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} does not run: {world.find(name).log_file.read_text()}")


def test_train_follows_the_run_to_its_end(world: World) -> None:
    world.fake_trainer(steps=20, save_steps=10, eval_steps=10, delay=0.01)
    result = world.trimtab("train", "mine", "lora_rank=4", "--name", "one")
    assert result.code == 0
    assert "Run one started" in result.out
    assert "step 20/20" in result.out
    assert "step 20: checkpoint saved (schedule)" in result.out
    assert "evaluation eval_loss" in result.out
    assert "one: finished at step 20" in result.out
    assert world.find("one").recipe().lora.lora_rank == 4


def test_a_failed_run_shows_its_log_and_exits_1(world: World) -> None:
    world.fake_trainer(steps=20, fail_at=5)
    result = world.trimtab("train", "mine", "--name", "one")
    assert result.code == 1
    assert "one: failed at step 4: CUDA out of memory" in result.out
    assert "| fake trainer: one, 20 steps" in result.out
    assert "trimtab resume" not in result.out
    assert "start a new run" in result.out
    assert result.out.count("CUDA out of memory") == 1


def test_what_a_run_says_cannot_steer_the_terminal(world: World) -> None:
    world.fake_trainer(steps=20, fail_at=5)
    world.trimtab("train", "mine", "--name", "one")
    run = world.find("one")
    for file in (run.status_file, run.events_file):
        file.write_text(file.read_text().replace("CUDA", r"CUDA\u001b[2J"))
    run.log_file.write_text("\x1b]0;mine\x07")
    for command in ("status", "attach"):
        result = world.trimtab(command, "one")
        assert r"CUDA\x1b[2J" in result.out
        assert "\x1b" not in result.out
    assert r"| \x1b]0;mine\x07" in result.out


def test_a_failed_run_with_a_checkpoint_can_go_on(world: World) -> None:
    world.fake_trainer(steps=20, save_steps=2, fail_at=5)
    assert "trimtab resume one" in world.trimtab("train", "mine", "--name", "one").out


def test_a_killed_run_is_lost_and_can_be_resumed(world: World) -> None:
    world.fake_trainer(steps=20, save_steps=10, crash_at=15)
    result = world.trimtab("train", "mine", "--name", "one")
    assert result.code == 1
    assert "one: lost" in result.out
    world.fake_trainer(steps=20, save_steps=10)
    resumed = world.trimtab("resume", "one")
    assert resumed.code == 0
    assert "one goes on from step 10" in resumed.out
    assert "one: finished at step 20" in resumed.out


def test_a_detached_run_is_stopped_with_a_checkpoint(world: World) -> None:
    world.fake_trainer(steps=100_000, save_steps=90_000, delay=0.01)
    started = world.trimtab("train", "mine", "--name", "one", "--detach")
    assert started.code == 0
    wait_until_running(world, "one")
    again = world.trimtab("resume", "one")
    assert (again.code, "trimtab attach one" in again.err) == (2, True)
    deleted = world.trimtab("delete", "one", "--yes")
    assert (deleted.code, "trimtab stop one" in deleted.err) == (2, True)
    stopped = world.trimtab("stop", "one")
    assert stopped.code == 0
    assert "one: stopped" in stopped.out
    state = json.loads(world.trimtab("status", "one", "--json").out)
    assert state["state"] == "stopped"
    assert Path(state["last_checkpoint"]).is_dir()
    assert world.trimtab("stop", "one").code == 0
    assert world.trimtab("attach", "one").code == 3


def test_stop_now_kills_a_trainer_that_hangs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from tui.commands import runs

    world.fake_trainer(steps=100_000, delay=0.01)
    world.trimtab("train", "mine", "--name", "one", "--detach")
    wait_until_running(world, "one")
    status = world.find("one").status()
    assert status is not None
    os.kill(status.pid, signal.SIGSTOP)
    monkeypatch.setattr(runs, "_PATIENCE_SECONDS", 0.5)
    stopped = world.trimtab("stop", "one", "--now")
    assert stopped.code == 0
    assert world.find("one").state() is RunState.LOST


@pytest.fixture
def heeded_interrupt() -> Iterator[None]:
    """Ctrl-C raises, also where the tests themselves were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupt")
def test_ctrl_c_leaves_the_view_and_not_the_run(world: World) -> None:
    world.fake_trainer(steps=100_000, delay=0.01)
    world.trimtab("train", "mine", "--name", "one", "--detach")
    wait_until_running(world, "one")
    threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
    left = world.trimtab("attach", "one", "--plain")
    assert left.code == 130
    assert left.out.endswith("The run goes on.\nLook at it: trimtab attach one\nStop it: trimtab stop one\n")
    assert world.find("one").state().alive


def test_watching_as_json_gives_one_object_a_line(world: World) -> None:
    world.fake_trainer(steps=20, delay=0.02)
    world.trimtab("train", "mine", "--name", "one", "--detach")
    lines = [json.loads(line) for line in world.trimtab("status", "--watch", "--json").out.splitlines()]
    assert len(lines) > 1
    assert lines[-1]["state"] == "finished"
    assert lines[-1]["step"] == 20
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)


def test_runs_and_status_agree(world: World) -> None:
    write_run(world.runs_folder / "done", steps=40)
    write_run(world.runs_folder / "gone", steps=40, end="lost")
    listed = json.loads(world.trimtab("runs", "--json").out)
    assert [(run["name"], run["state"], run["step"], run["total_steps"]) for run in listed] == [
        ("gone", "lost", 24, 40),
        ("done", "finished", 40, 40),
    ]
    assert json.loads(world.trimtab("status", "done", "--json").out) == listed[1]
    assert set(listed[0]) == {
        *("name", "path", "state", "message", "step", "total_steps", "epoch", "loss", "reward", "learning_rate"),
        *("tokens_per_second", "seconds_left", "evaluation_step", "evaluation", "last_checkpoint", "elapsed"),
    }
    table = world.trimtab("runs").out
    assert "done" in table
    assert "finished" in table
    assert "40/40" in world.trimtab("status", "done").out
    near = world.trimtab("status", "don")
    assert (near.code, "Did you mean done?" in near.err) == (2, True)


def test_a_loss_that_is_no_number_is_told_as_it_is(world: World) -> None:
    write_run(world.runs_folder / "odd", steps=10, nan_at=10)
    out = world.trimtab("attach", "odd").out
    assert "odd: finished at step 10" in out
    assert json.loads(world.trimtab("status", "odd", "--json").out)["state"] == "finished"


def test_a_finished_run_is_not_resumed_and_stays_as_it_is(world: World) -> None:
    run = write_run(world.runs_folder / "done", steps=10)
    before = run.status_file.read_bytes()
    refused = world.trimtab("resume", "done")
    assert (refused.code, "already finished" in refused.err, "resume_from_checkpoint" in refused.err) == (2, True, True)
    assert run.status_file.read_bytes() == before


def test_a_second_run_is_told_of_the_first(world: World) -> None:
    world.fake_trainer(steps=100_000, delay=0.01)
    assert world.trimtab("train", "mine", "--name", "first", "--detach").err == ""
    wait_until_running(world, "first")
    assert "run first is going too" in world.trimtab("train", "mine", "--name", "second", "--detach").err
    lost = write_run(world.runs_folder / "lost", steps=20, end="lost")
    assert f"run {lost.name}" not in world.trimtab("resume", "lost", "--detach").err


def test_the_option_is_named_where_the_name_was_given(world: World) -> None:
    assert "--name = 'a/b'" in world.trimtab("train", "mine", "--name", "a/b").err
    assert "run_name = 'a b'" in world.trimtab("train", "mine", "run_name=a b").err


def test_delete_asks_somebody_or_wants_yes(world: World) -> None:
    run = write_run(world.runs_folder / "done", steps=10)
    refused = world.trimtab("delete", "done")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert run.exists()
    assert world.trimtab("delete", "done", "--yes").code == 0
    assert world.run_names() == []


def test_the_rich_view_draws_a_run_and_fits_a_narrow_terminal(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(world.runs_folder / "done", steps=20)
    monkeypatch.setattr(progress_view, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    assert progress_view.follow(run, from_start=True) == 0
    printed = capsys.readouterr().out
    assert "20/20" in printed
    assert "done: finished at step 20" in printed
