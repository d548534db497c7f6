"""A full disk under a run that is going: nothing is lost, the run says so, and ends well once there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiny import make_tiny_data
from tests.training_runs import TrainingRuns, events_of, losses_of, wait_for
from trainer.run import RunState, damaged_checkpoints, list_checkpoints

_SIZE = 4 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_run_waits_for_room_and_then_saves_its_last_weights(
    small_disk: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    runs = TrainingRuns(small_disk, tiny_model, make_tiny_data(tmp_path / "sums.json"))
    run = runs.create("full", train={"max_steps": 12, "save_steps": 2})
    process = runs.start(run)
    wait_for(lambda: list_checkpoints(run.checkpoints_folder, verify="size"))
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    wait_for(lambda: run.state() is RunState.PAUSED)
    whole = list_checkpoints(run.checkpoints_folder, verify="sha256")
    assert whole
    assert damaged_checkpoints(run.checkpoints_folder) == []
    filler.unlink()
    process.join(60)
    assert process.exitcode == 0
    assert run.state() is RunState.FINISHED
    kept = [found.step for found in list_checkpoints(run.checkpoints_folder, verify="sha256")]
    assert kept[-1] == 12
    assert {found.step for found in whole} <= set(kept)
    assert sorted(losses_of(run)) == list(range(1, 13))
    assert any(event.id == "run_disk_full" for event in events_of(run, "finding"))
