"""The whole program as its user runs it: real commands, the real trainer in its own session, the real cockpit."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiny import make_tiny_data
from tests.training_runs import events_of, losses_of, wait_for
from trainer.run import RunDirectory, RunState

_ROOT = Path(__file__).resolve().parent.parent


class Shell:
    """A folder, a home and an environment of its own in which `trimtab` is called."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "HOME": str(folder / "home"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "TRIMTAB_RUNS": str(folder / "runs"),
            "TRIMTAB_LANGUAGE": "en",
            "TERM": "xterm-256color",
            "HF_HUB_OFFLINE": "1",
        }
        make_tiny_data(folder / "sums.json")
        (folder / "tiny.toml").write_text(
            f"""description = "tiny"
[model]
model_name_or_path = "{model}"
[data]
dataset = ["sums.json"]
[train]
max_steps = 6
per_device_train_batch_size = 2
gradient_accumulation_steps = 1
learning_rate = 1e-2
logging_steps = 1
save_steps = 3
""",
            encoding="utf-8",
        )

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "tui", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def directory(self, name: str) -> RunDirectory:
        return RunDirectory(self.folder / "runs" / name)


@pytest.fixture
def shell(tmp_path: Path, tiny_model: Path) -> Iterator[Shell]:
    made = Shell(tmp_path, tiny_model)
    yield made
    for run in (tmp_path / "runs").glob("*"):
        status = RunDirectory(run).status()
        if status is not None and RunDirectory(run).state().alive:
            os.kill(status.pid, signal.SIGKILL)


def test_train_status_chat_and_delete_from_the_command_line(shell: Shell) -> None:
    trained = shell.run("train", "tiny.toml", "max_steps=4", "--name", "first")
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert "4/4" in trained.stdout
    (listed,) = json.loads(shell.run("runs", "--json").stdout)
    assert listed["name"] == "first"
    assert listed["state"] == "finished"
    assert json.loads(shell.run("status", "first", "--json").stdout)["step"] == 4
    answer = shell.run("chat", "first", "--prompt", "What is 1 plus 2?", "max_new_tokens=4")
    assert answer.returncode == 0, answer.stderr
    assert shell.run("delete", "first", "--yes").returncode == 0
    assert json.loads(shell.run("runs", "--json").stdout) == []


def test_a_stopped_run_resumes_from_the_command_line(shell: Shell) -> None:
    started = shell.run("train", "tiny.toml", "max_steps=3000", "save_steps=1000", "--name", "long", "--detach")
    assert started.returncode == 0, started.stderr
    run = shell.directory("long")
    wait_for(lambda: (status := run.status()) and status.step >= 3)
    stopped = shell.run("stop", "long")
    assert stopped.returncode == 0, stopped.stderr
    assert run.state() is RunState.STOPPED
    step = max(losses_of(run))
    assert shell.run("resume", "long", "--detach").returncode == 0
    wait_for(lambda: (status := run.status()) and status.step > step)
    assert events_of(run, "resume")[0].step == step
    assert shell.run("stop", "long", "--now").returncode == 0


def test_killing_the_cockpit_leaves_the_run_alone_and_a_new_one_shows_it(shell: Shell) -> None:
    started = shell.run("train", "tiny.toml", "max_steps=60", "save_strategy=no", "--name", "steady", "--detach")
    assert started.returncode == 0, started.stderr
    run = shell.directory("steady")
    wait_for(lambda: (status := run.status()) and status.step >= 1)
    cockpit = _Cockpit(shell, "attach", "steady")
    wait_for(lambda: "steady" in cockpit.read())
    cockpit.kill()
    wait_for(lambda: run.state() is RunState.FINISHED, seconds=120)
    assert sorted(losses_of(run)) == list(range(1, 61))
    again = _Cockpit(shell, "attach", "steady")
    wait_for(lambda: "60/60" in again.read())
    again.kill()


class _Cockpit:
    """The cockpit in a terminal of its own, 120 columns by 40 lines."""

    def __init__(self, shell: Shell, *words: str) -> None:
        self._seen = b""
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(shell.folder)
            os.environ.update(shell.environment, COLUMNS="120", LINES="40")
            os.execv(sys.executable, shell.command(*words))
        os.set_blocking(self._descriptor, False)

    def read(self) -> str:
        """Everything that was drawn so far."""
        try:
            while chunk := os.read(self._descriptor, 65536):
                self._seen += chunk
        except OSError:
            time.sleep(0.05)
        return self._seen.decode(errors="replace")

    def kill(self) -> None:
        """Kill -9, and close the terminal."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._descriptor)


def test_an_installed_wheel_brings_presets_and_data(tmp_path: Path, shell: Shell) -> None:
    pytest.importorskip("hatchling")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site-packages")
    environment = {**shell.environment, "PYTHONPATH": str(tmp_path / "site-packages")}
    checked = subprocess.run(
        [sys.executable, "-P", "-m", "tui", "check", "demo", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert json.loads(checked.stdout)["rows"] > 100
    paths = json.loads(
        subprocess.run(
            [sys.executable, "-P", "-m", "tui", "paths", "--json"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert any(str(tmp_path / "site-packages") in str(value) for value in paths.values()), paths
