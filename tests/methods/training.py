"""Trains a case in this process, through the trainer's own entry point, and looks at its parameters."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from transformers import TrainerCallback

import trainer.building
import trainer.training
from tests.methods.case import MethodCase
from tests.tiny import make_tiny_data, make_tiny_model
from trainer.config import Hardware, Recipe, check, resolve
from trainer.model.expand import expand_model
from trainer.run import RunDirectory, create_run, list_checkpoints

STEPS = 4
_CPU = Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2)
# All rows in each step, so that losses can be compared from step to step.
_VALUES: dict[str, object] = {
    "data.cutoff_len": 64,
    "train.max_steps": STEPS,
    "train.per_device_train_batch_size": 4,
    "train.gradient_accumulation_steps": 2,
    "train.learning_rate": 1e-2,
    "train.lr_scheduler_type": "constant",
    "train.warmup_ratio": 0.0,
    "train.logging_steps": 1,
    "train.save_steps": STEPS // 2,
    "train.telemetry_seconds": 60.0,
}


@contextlib.contextmanager
def home_in(folder: Path) -> Iterator[None]:
    """Keep what trimtab remembers of this user below a folder meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        yield


@dataclass
class Trained:
    """A run that is over: its directory, its model, and the parameters before the first step and after the last."""

    run: RunDirectory
    model: Any
    before: dict[str, torch.Tensor]
    after: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def changed(self) -> set[str]:
        """The parameters that are not what they were."""
        return {name for name, value in self.after.items() if not torch.equal(value, self.before[name])}

    @property
    def checkpoint(self) -> Path:
        """The checkpoint of the last step."""
        return list_checkpoints(self.run.checkpoints_folder)[-1].path


@dataclass
class Workshop:
    """Makes models, data and runs in one folder; what does not differ is made once."""

    folder: Path

    def model(self, architecture: str = "qwen3", *, tied: bool = True) -> Path:
        """The tiny model of an architecture."""
        folder = self.folder / "models" / f"{architecture}-{'tied' if tied else 'untied'}"
        return folder if folder.is_dir() else make_tiny_model(folder, architecture=architecture, tied=tied)

    def expanded_model(self, case: MethodCase) -> Path:
        """The tiny model of a case, with added blocks where it has some."""
        model = self.model(case.architecture, tied=case.tied)
        if not case.added_blocks:
            return model
        folder = model.with_name(f"{model.name}-with-{case.added_blocks}")
        if not folder.is_dir():
            expand_model(model, folder, case.added_blocks)
        return folder

    def data(self) -> Path:
        """Eight rows."""
        file = self.folder / "sums.json"
        return file if file.is_file() else make_tiny_data(file, 8)

    def run(self, case: MethodCase) -> RunDirectory:
        """A new run of the case, checked as the command line checks it."""
        base = {
            "model.model_name_or_path": str(self.expanded_model(case)),
            "data.dataset": [str(self.data())],
        }
        recipe = Recipe().with_values({**_VALUES, **base, **case.values})
        assert [found.text for found in check(recipe, _CPU) if found.severity == "error"] == []
        return create_run("test", resolve(recipe, _CPU), name=None, folder=self.folder / "run", extra_identity={})

    def train(self, case: MethodCase) -> Trained:
        """Train the case from its start to its end."""
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        return train_here(self.run(case))

    def train_again_from_the_middle(self, trained: Trained) -> Trained:
        """Go on with a copy of the run from its first checkpoint, as after a crash."""
        folder = self.folder / "resumed"
        shutil.rmtree(folder, ignore_errors=True)
        run = RunDirectory(shutil.copytree(trained.run.path, folder))
        for checkpoint in list_checkpoints(run.checkpoints_folder)[1:]:
            shutil.rmtree(checkpoint.path)
        return train_here(run, resume=True)


def train_here(run: RunDirectory, *, resume: bool = False, watching: Sequence[TrainerCallback] = ()) -> Trained:
    """Train a run in this process, its output in its log; `watching` are callbacks of the trainer.

    Raises:
        AssertionError: the run failed.
    """
    seen: list[Trained] = []
    build = trainer.building.build_trainer

    def building(*args: Any) -> Any:
        built = build(*args)
        for callback in watching:
            built.add_callback(callback)
        seen.append(Trained(run, built.model, parameters_of(built.model)))
        return built

    with _as_it_was(), mock.patch("trainer.building.build_trainer", building), run.log_file.open("a") as log:
        sys.stdout = sys.stderr = log
        code = trainer.training.train(run.path, resume=resume)
    assert code == 0, run.log_file.read_text()[-3000:]
    seen[0].after = parameters_of(seen[0].model.eval())
    return seen[0]


def parameters_of(model: Any) -> dict[str, torch.Tensor]:
    """Copies of all parameters and buffers by short name; tied ones once."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {short_name(name): value.detach().clone() for name, value in named}


def short_name(name: str) -> str:
    """The name without what transformers and PEFT wrap it in."""
    name = name.removeprefix("base_model.model.").removeprefix("model.")
    name = name.replace(".default", "").replace(".base_layer.bias", ".bias")
    return name.removesuffix(".weight").removesuffix(".base_layer")


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """What a trainer process does to its own process, undone."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)}
    streams = sys.stdout, sys.stderr
    # The trainer collects garbage between its steps; what is there already need not be looked at again.
    gc.freeze()
    try:
        with mock.patch.dict(os.environ):
            yield
    finally:
        gc.unfreeze()
        sys.stdout, sys.stderr = streams
        for number, handler in handlers.items():
            signal.signal(number, handler)
