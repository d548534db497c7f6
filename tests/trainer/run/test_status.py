"""What state a run is in: from what it says, whether its process lives, and how old its heartbeat is."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from typing import Any

import pytest

from tests.trainer.run.conftest import wait_until
from trainer.errors import UserError
from trainer.run import EndEvent, EventWriter, RunDirectory, RunLock, RunState, Status, StatusWriter, list_runs
from trainer.run.files import to_json, write_whole
from trainer.run.process import boot_id, identify, is_alive, this_process


def status_of(pid: int, **changes: Any) -> Status:
    """The status that a trainer with that pid would have written just now."""
    process = identify(pid)
    status = Status(
        phase="running",
        pid=pid,
        process_start=process.start,
        boot_id=process.boot_id,
        host=process.host,
        namespace=process.namespace,
        heartbeat=time.time(),
        monotonic=time.monotonic(),
    )
    return replace(status, **changes)


def state_with(run: RunDirectory, status: Status, *, touched: float | None = None) -> RunState:
    """The state of a run whose status.json holds this, written at `touched` (wall seconds)."""
    write_whole(run.status_file, to_json(asdict(status)))
    if touched is not None:
        os.utime(run.status_file, (touched, touched))
    return run.state()


@pytest.fixture
def dead_pid() -> int:
    """The pid of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("phase", ["preparing", "running", "evaluating", "saving", "paused"])
def test_a_living_trainer_is_what_it_says(run: RunDirectory, phase: str) -> None:
    assert state_with(run, status_of(os.getpid(), phase=phase)) == RunState(phase)


def test_a_phase_of_tomorrow_is_running(run: RunDirectory) -> None:
    assert state_with(run, status_of(os.getpid(), phase="levitating")) == RunState.RUNNING


@pytest.mark.parametrize("reason", ["finished", "stopped", "failed"])
def test_a_trainer_that_ended_says_how(run: RunDirectory, reason: str, dead_pid: int) -> None:
    assert state_with(run, status_of(dead_pid, exit_reason=reason)) == RunState(reason)


def test_a_trainer_that_is_gone_without_a_word_is_lost(run: RunDirectory, dead_pid: int) -> None:
    assert state_with(run, status_of(dead_pid)) == RunState.LOST


def test_an_end_in_the_journal_counts_when_the_status_could_not_be_written(run: RunDirectory, dead_pid: int) -> None:
    with EventWriter(run) as writer:
        writer.write(EndEvent("finished", 9))

    assert state_with(run, status_of(dead_pid)) == RunState.FINISHED


def test_a_reused_pid_is_not_the_trainer(run: RunDirectory) -> None:
    status = status_of(os.getpid())

    assert state_with(run, replace(status, process_start=status.process_start - 1)) == RunState.LOST


def test_a_zombie_is_dead(run: RunDirectory) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    identity = identify(process.pid)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and not reaped

    assert is_alive(identity) is False
    assert state_with(run, status_of(process.pid)) == RunState.LOST
    process.wait()


def test_a_process_of_an_earlier_boot_is_dead(run: RunDirectory) -> None:
    assert state_with(run, status_of(os.getpid(), boot_id="another")) == RunState.LOST


@pytest.mark.parametrize(("age", "state"), [(5, RunState.RUNNING), (120, RunState.LOST)])
def test_on_another_machine_the_heartbeat_decides(run: RunDirectory, age: float, state: RunState) -> None:
    then = time.time() - age
    status = status_of(1, host="elsewhere", boot_id="another", heartbeat=then)

    assert state_with(run, status, touched=then) == state


def test_without_a_heartbeat_for_a_minute_it_is_stalled(run: RunDirectory) -> None:
    status = status_of(os.getpid(), monotonic=time.monotonic() - 61, heartbeat=time.time() - 61)

    assert state_with(run, status, touched=time.time() - 61) == RunState.STALLED
    # A full disk: the heartbeat could only touch the file.
    assert state_with(run, status, touched=time.time()) == RunState.RUNNING


@pytest.mark.parametrize("jump", [-7200, 7200])
def test_setting_the_clock_changes_nothing(run: RunDirectory, jump: float) -> None:
    then = time.time() + jump

    assert state_with(run, status_of(os.getpid(), heartbeat=then), touched=then) == RunState.RUNNING


def test_a_run_that_was_just_made_prepares_and_later_is_lost(run: RunDirectory) -> None:
    assert run.status() is None
    assert run.state() == RunState.PREPARING

    record = json.loads(run.identity_file.read_text())
    run.identity_file.write_text(json.dumps({**record, "created": record["created"] - 100}))
    assert run.state() == RunState.LOST


def test_a_damaged_status_is_none_and_the_journal_decides(run: RunDirectory) -> None:
    run.status_file.write_bytes(b"\x00" * 100)
    assert run.status() is None
    with EventWriter(run) as writer:
        writer.write(EndEvent("stopped", 9))
    record = json.loads(run.identity_file.read_text())
    run.identity_file.write_text(json.dumps({**record, "created": 0}))

    assert run.state() == RunState.STOPPED


def test_the_writer_tells_who_and_what_and_keeps_the_heart_beating(run: RunDirectory) -> None:
    with StatusWriter(run, interval=0.05) as writer:
        writer.update(phase="running", total_steps=100, step=7, loss=math.nan, tokens_per_second=12.5)
        first = run.status()
        assert first is not None
        assert (first.process, first.step, first.total_steps) == (this_process(), 7, 100)
        assert first.loss is not None
        assert math.isnan(first.loss)
        assert first.boot_id == boot_id()
        wait_until(lambda: (run.status() or first).monotonic > first.monotonic)
        assert (run.status() or first).updated == first.updated
        writer.update(step=8)
        wait_until(lambda: (run.status() or first).step == 8)
        writer.update(exit_reason="finished")
    assert run.state() == RunState.FINISHED


def test_a_resumed_run_keeps_its_progress_and_not_its_end(run: RunDirectory) -> None:
    with StatusWriter(run) as writer:
        writer.update(step=40, total_steps=100, exit_reason="failed", message="out of memory")
    with StatusWriter(run):
        status = run.status()
        assert status is not None
        assert (status.step, status.total_steps, status.exit_reason, status.message) == (40, 100, "", "")
        assert run.state() == RunState.PREPARING


def test_the_time_of_all_stints_is_added_up(run: RunDirectory) -> None:
    assert Status().elapsed == 0
    write_whole(run.status_file, to_json(asdict(status_of(1, started=100.0, updated=130.0, heartbeat=160.0))))
    assert (run.status() or Status()).elapsed == 60
    for _ in range(2):
        with StatusWriter(run):
            status = run.status()
            assert status is not None
            assert 60 <= status.seconds_before <= status.elapsed < 100


def test_a_full_disk_does_not_stop_the_trainer_and_the_old_status_stays_whole(run: RunDirectory, full_disk) -> None:  # type: ignore[no-untyped-def]
    with StatusWriter(run) as writer:
        writer.update(phase="running", step=1)
        with full_disk(10):
            writer.update(phase="saving", step=2)
            assert writer.blocked
            assert (run.status() or Status()).step == 1
        writer.update(phase="running", step=3)
        assert not writer.blocked
        assert (run.status() or Status()).step == 3
    assert sorted(path.name for path in run.path.glob(".status*")) == []


def test_only_one_process_may_write_a_run(run: RunDirectory) -> None:
    program = (
        "import sys, pathlib\nfrom trainer.run import RunDirectory, RunLock\nfrom trainer.errors import UserError\n"
        "sys.stdin.readline()\n"
        "try:\n    lock = RunLock(RunDirectory(pathlib.Path(sys.argv[1])))\n"
        "except UserError as error:\n    print('lost', error)\nelse:\n    print('won')\n"
        "sys.stdout.flush(); sys.stdin.readline()\n"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = sorted((racer.stdout.readline().strip(), racer.pid) for racer in racers if racer.stdout)

    assert said[1][0] == "won"
    assert said[0][0].startswith("lost")
    assert said[0][0].endswith(f"another trainer writes this run (pid {said[1][1]})")
    with pytest.raises(UserError, match="another trainer writes this run"):
        RunLock(run)
    for racer in racers:
        racer.communicate("bye\n")
    RunLock(run).release()


def test_the_lock_can_be_waited_for(run: RunDirectory) -> None:
    lock = RunLock(run)
    threading.Timer(0.1, lock.release).start()

    RunLock(run, patience=30).release()


def test_a_forked_child_neither_frees_the_lock_nor_keeps_it_when_the_trainer_is_killed(run: RunDirectory) -> None:
    program = (
        "import os, sys, pathlib, time\nfrom trainer.run import RunDirectory, RunLock\n"
        "lock = RunLock(RunDirectory(pathlib.Path(sys.argv[1])))\n"
        "if os.fork() == 0:\n    print(os.getpid(), flush=True)\n"
        "time.sleep(60)\n"
    )
    trainer = subprocess.Popen([sys.executable, "-c", program, str(run.path)], stdout=subprocess.PIPE, text=True)
    assert trainer.stdout is not None
    child = int(trainer.stdout.readline())
    with pytest.raises(UserError, match=f"pid {trainer.pid}"):
        RunLock(run)

    trainer.kill()
    trainer.wait()

    RunLock(run).release()
    os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    "damage",
    [
        {"pid": "x"},
        {"step": "a"},
        {"loss": "b"},
        {"loss": True},
        {"heartbeat": None},
        {"phase": ["running"]},
        {"started": 10**400},
    ],
)
def test_a_status_with_values_of_other_kinds_is_no_status(run: RunDirectory, damage: dict[str, object]) -> None:
    write_whole(run.status_file, to_json(asdict(status_of(os.getpid())) | damage))

    assert run.status() is None
    assert run.state() == RunState.PREPARING  # made just now, and nothing known of its trainer


def test_an_identity_with_values_of_other_kinds_does_not_hide_the_other_runs(run: RunDirectory) -> None:
    other = run.path.with_name("other")
    other.mkdir()
    (other / "run.json").write_text('{"format": "x", "created": "yesterday"}')

    assert list_runs() == [run]
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        RunDirectory(other).identity()
