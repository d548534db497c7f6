"""A clean home for tests of the command line: own settings, own runs, the real demo model, a trainer without torch."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.trainer.run.fake_leader import fake_leader
from tests.trainer.run.fake_trainer import fake_program
from trainer.paths import shipped_folder
from trainer.run import RunDirectory, find_run, launch, leading
from tui.command_line import main
from tui.commands import train
from tui.locale import set_language

PRESET = f"""
description = "for tests"
[model]
model_name_or_path = "{shipped_folder("data") / "demo_model"}"
[data]
dataset = ["identity"]
dataset_dir = "{shipped_folder("data")}"
"""


@dataclass(frozen=True)
class Result:
    """What a command returned and printed."""

    code: int
    out: str
    err: str


class World:
    """Runs commands in this process, as `trimtab` would, where no run and no setting of the machine is seen."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.runs_folder = folder / "runs"
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
            monkeypatch.setenv(name, str(folder / name.lower()))
        monkeypatch.setenv("TRIMTAB_RUNS", str(self.runs_folder))
        monkeypatch.setenv("TRIMTAB_LANGUAGE", "en")
        monkeypatch.chdir(folder)
        # The base model that the fake trainer's checkpoints name.
        (folder / "demo").symlink_to(shipped_folder("data") / "demo_model")
        self.preset("mine", PRESET)
        self.fake_trainer(steps=20)

    def preset(self, name: str, content: str) -> Path:
        """Write a preset of the user's own."""
        file = self.folder / "xdg_config_home" / "trimtab" / "presets" / f"{name}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        return file

    def fake_trainer(self, *, delay: float = 0.0, **settings: int) -> None:
        """From now on runs are played by the fake trainer."""
        program = fake_program(delay=delay, **settings)
        self._monkeypatch.setattr(train, "launch", functools.partial(launch, program=program))

    def fake_pipeline(self, **parts: Mapping[str, float]) -> None:
        """From now on pipelines are led by the real leader, and their parts are played by the fake trainer."""
        program = fake_leader(**parts)
        led = functools.partial(leading.launch_pipeline, program=program)
        self._monkeypatch.setattr("tui.commands.pipeline.launch_pipeline", led)

    def trimtab(self, *words: str) -> Result:
        """Run one command."""
        self._capsys.readouterr()
        code = main(words)
        printed = self._capsys.readouterr()
        return Result(code, printed.out, printed.err)

    def find(self, name: str) -> RunDirectory:
        """A run of this world."""
        return find_run(name)

    def run_names(self) -> list[str]:
        """Everything in the runs folder, hidden things too."""
        return sorted(path.name for path in self.runs_folder.iterdir()) if self.runs_folder.is_dir() else []


@contextmanager
def a_world(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    """A world for one test; its runs end with it."""
    set_language("en")
    world = World(folder, monkeypatch, capsys)
    yield world
    for name in world.run_names():
        world.trimtab("stop", "--now", str(world.runs_folder / name))
    set_language("en")
