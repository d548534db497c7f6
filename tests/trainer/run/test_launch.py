"""Background trainers as real processes: they outlive whoever started them, and a kill at any point loses nothing."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.run.conftest import wait_until
from tests.trainer.run.fake_trainer import fake_program, fake_resolved, write_run
from trainer.errors import UserError
from trainer.run import (
    EndEvent,
    RunDirectory,
    RunReader,
    RunState,
    create_run,
    damaged_checkpoints,
    latest_checkpoint,
    launch,
    list_checkpoints,
    read_events,
)
from trainer.run.faults import CHECKPOINT_POINTS
from trainer.run.process import identify, is_alive


@pytest.fixture(autouse=True)
def no_process_left(runs_folder: Path) -> Iterator[None]:
    """Kill what a test left running."""
    yield
    for path in runs_folder.glob("*/status.json"):
        status = RunDirectory(path.parent).status()
        if status is not None and status.pid != os.getpid() and is_alive(status.process):
            os.kill(status.pid, signal.SIGKILL)


def wait_for_end(run: RunDirectory) -> RunState:
    wait_until(lambda: not run.state().alive)
    return run.state()


def wait_for_step(run: RunDirectory, step: int) -> None:
    def reached() -> bool:
        status = run.status()
        return status is not None and status.step >= step

    wait_until(reached)


def final_weight(run: RunDirectory) -> object:
    newest = latest_checkpoint(run.checkpoints_folder)
    assert newest is not None
    return newest.details["weight"]


def test_a_launched_run_prepares_at_once_runs_and_finishes(run: RunDirectory) -> None:
    pid = launch(run, program=fake_program(steps=20, delay=0.01, save_steps=10))

    assert run.state() in (RunState.PREPARING, RunState.RUNNING)
    assert (run.status() or pytest.fail("no status")).pid == pid
    assert wait_for_end(run) == RunState.FINISHED
    assert RunReader(run).log_tail(2)[0] == "fake trainer: demo-1, 20 steps"
    assert [checkpoint.step for checkpoint in list_checkpoints(run.checkpoints_folder)] == [10, 20]
    assert run.log_file.stat().st_mode & 0o077 == 0
    assert run.events_file.stat().st_mode & 0o077 == 0


def test_a_run_that_is_going_is_not_started_again(run: RunDirectory) -> None:
    launch(run, program=fake_program(steps=1000, delay=0.05))

    with pytest.raises(UserError, match="is going already"):
        launch(run, program=fake_program())


def test_the_environment_is_quiet_and_the_recipes_folder_is_the_working_folder(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_in = Path.cwd()
    monkeypatch.chdir(tmp_path)
    launch(run, program=["/bin/sh", "-c", 'pwd; umask; env; echo "$0"'])

    wait_until(lambda: str(run.path) in RunReader(run).log_tail(1))
    lines = RunReader(run).log_tail(1000)
    assert lines[:2] == [str(made_in), "0077"]
    assert {
        f"TRIMTAB_RUN_DIRECTORY={run.path}",
        "PYTHONUNBUFFERED=1",
        "HF_HUB_DISABLE_TELEMETRY=1",
        "TRL_EXPERIMENTAL_SILENCE=1",
    } <= set(lines)
    # It went without a word.
    assert wait_for_end(run) == RunState.LOST


def test_a_program_that_cannot_be_started_does_not_look_alive(run: RunDirectory) -> None:
    record = run.identity_file.read_text()
    run.log_file.mkdir()
    with pytest.raises(UserError, match="cannot start the trainer"):
        launch(run, program=fake_program())

    assert run.state() == RunState.FAILED
    assert run.identity_file.read_text() == record


def test_a_resumed_run_shows_its_new_life_at_once(run: RunDirectory) -> None:
    launch(run, program=fake_program(steps=40, delay=0.0, save_steps=10, fail_at=25))
    assert wait_for_end(run) == RunState.FAILED

    launch(run, resume=True, program=fake_program(steps=40, delay=0.0, save_steps=10))

    assert run.state() != RunState.FAILED
    assert wait_for_end(run) == RunState.FINISHED
    reader = RunReader(run)
    reader.poll()
    assert reader.series["loss"].points()[0] == list(range(1, 41))
    assert [mark.step for mark in reader.marks if mark.kind == "resume"] == [20]


def test_commands_steer_a_running_trainer(run: RunDirectory) -> None:
    launch(run, program=fake_program(steps=100_000, delay=0.01))
    wait_for_step(run, 3)
    run.send("pause")
    wait_until(lambda: run.state() == RunState.PAUSED)
    run.send("set", name="learning_rate", value=0.5)
    run.send("set", name="learning_rate", value=-1)
    run.send("save")
    run.send("resume")
    run.send("stop")

    assert wait_for_end(run) == RunState.STOPPED
    reader = RunReader(run)
    reader.poll()
    assert [result.accepted for result in reader.command_results] == [True, True, False, True, True, True]
    assert "learning_rate = 0.5" in [mark.text for mark in reader.marks]
    newest = latest_checkpoint(run.checkpoints_folder)
    assert newest is not None
    assert reader.end == EndEvent("stopped", newest.step, "stopped by command")


def test_the_trainer_outlives_the_death_of_its_starters_terminal(run: RunDirectory) -> None:
    starter = (
        "import sys, pathlib, time\nfrom trainer.run import RunDirectory, launch\n"
        "from tests.trainer.run.fake_trainer import fake_program\n"
        "launch(RunDirectory(pathlib.Path(sys.argv[1])), program=fake_program(steps=100000, delay=0.01))\n"
        "time.sleep(60)\n"
    )
    # The child plays the login shell: leader of a session on a terminal of its own, the starter in its foreground.
    shell, terminal = pty.fork()
    if shell == 0:
        os.execv(sys.executable, [sys.executable, "-c", starter, str(run.path)])
    wait_for_step(run, 5)
    status = run.status()
    assert status is not None
    assert os.getsid(status.pid) == status.pid

    os.close(terminal)  # the link is gone: the kernel sends SIGHUP to the session
    os.waitpid(shell, 0)
    os.kill(status.pid, signal.SIGHUP)  # and some shells send it to everything they know

    wait_for_step(run, status.step + 20)
    assert run.state() == RunState.RUNNING
    run.send("stop", save=False)
    assert wait_for_end(run) == RunState.STOPPED


def test_a_killed_trainer_is_lost_and_no_zombie_stays(run: RunDirectory) -> None:
    pid = launch(run, program=fake_program(steps=1000, delay=0.01))
    wait_for_step(run, 2)
    identity = identify(pid)

    os.kill(pid, signal.SIGKILL)

    assert wait_for_end(run) == RunState.LOST
    wait_until(lambda: identify(identity.pid).start != identity.start)


def test_a_terminated_trainer_saves(run: RunDirectory) -> None:
    pid = launch(run, program=fake_program(steps=1000, delay=0.01))
    wait_for_step(run, 2)

    os.kill(pid, signal.SIGTERM)

    assert wait_for_end(run) == RunState.STOPPED
    assert latest_checkpoint(run.checkpoints_folder) is not None


@pytest.fixture(scope="module")
def uninterrupted_weight(tmp_path_factory: pytest.TempPathFactory) -> object:
    """The weight at the end of a run of forty steps that nothing disturbed."""
    run = create_run("demo", fake_resolved(), folder=tmp_path_factory.mktemp("undisturbed"))
    subprocess.run([*fake_program(steps=40, delay=0.0, save_steps=10, keep=2), str(run.path)], check=True)
    return final_weight(run)


@pytest.mark.parametrize("point", [*CHECKPOINT_POINTS, "checkpoint:filling", "checkpoint:mid-replace"])
def test_a_kill_at_any_point_of_a_save_loses_nothing_that_was_saved(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, uninterrupted_weight: object, point: str
) -> None:
    saved = 20 if point in ("checkpoint:after-rename", "checkpoint:before-rotate") else 10
    steps = fake_program(steps=40, delay=0.0, save_steps=10, keep=2)
    subprocess.run([*fake_program(steps=10, delay=0.0, save_steps=10), str(run.path)], check=True)
    if point == "checkpoint:mid-replace":
        # Damage makes the resumed trainer save its step again, over what lies there.
        subprocess.run([*fake_program(steps=20, delay=0.0, save_steps=10), str(run.path), "--resume"], check=True)
        (run.checkpoints_folder / "step-00000020" / "trimtab.json").unlink()

    monkeypatch.setenv("TRIMTAB_FAULT", point)
    killed = subprocess.run([*steps, str(run.path), "--resume"], check=False)
    monkeypatch.delenv("TRIMTAB_FAULT")

    assert killed.returncode == -signal.SIGKILL
    assert run.state() == RunState.LOST
    newest = latest_checkpoint(run.checkpoints_folder)
    assert newest is not None
    assert newest.step == saved
    assert damaged_checkpoints(run.checkpoints_folder) == []
    subprocess.run([*steps, str(run.path), "--resume"], check=True)
    assert run.state() == RunState.FINISHED
    assert final_weight(run) == uninterrupted_weight
    assert [record.seq for record in read_events(run)] == list(range(1, len(list(read_events(run))) + 1))
    assert [path.name for path in run.checkpoints_folder.iterdir() if path.name.startswith(".")] == []


def test_stopping_the_starter_does_not_slow_the_run(run: RunDirectory) -> None:
    starter = (
        "import sys, pathlib, time\nfrom trainer.run import RunDirectory, launch\n"
        "from tests.trainer.run.fake_trainer import fake_program\n"
        "launch(RunDirectory(pathlib.Path(sys.argv[1])), program=fake_program(steps=100000, delay=0.01))\n"
        "time.sleep(60)\n"
    )
    cockpit = subprocess.Popen([sys.executable, "-c", starter, str(run.path)])
    wait_for_step(run, 2)
    os.kill(cockpit.pid, signal.SIGSTOP)
    status = run.status()
    assert status is not None

    wait_for_step(run, status.step + 20)

    cockpit.kill()
    cockpit.wait()
    time.sleep(0.05)
    # It may be saving or evaluating at this moment.
    assert run.state().alive


def test_a_finished_run_is_not_started_again(tmp_path: Path) -> None:
    done = write_run(tmp_path / "runs" / "done", steps=4)
    with pytest.raises(UserError, match="nothing to go on with"):
        launch(done, resume=True, program=fake_program())
    assert done.state() == RunState.FINISHED
