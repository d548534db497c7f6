"""Makes training runs on the tiny model and runs real trainer processes on them, for the tests of engine and faults.

The processes are forked from a fork server that has torch and TRL loaded, which saves four seconds a run.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from trainer.config import Hardware, Recipe, resolve
from trainer.run import RunDirectory, create_run, read_events

# Arrow's default allocator keeps a thread, and a process with threads must not be forked.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
# The libraries touch CUDA when they are imported, and a process that did so must not be forked.
_CONTEXT = multiprocessing.get_context("spawn" if Hardware.detect().cuda else "forkserver")
_CONTEXT.set_forkserver_preload(["trl.trainer.sft_trainer", "peft", "trainer.building", "trainer.training"])
_CPU = Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2)


def train_in_child(folder: str, resume: bool, environment: dict[str, str]) -> None:
    """What a trainer process does, with its output in the run's log; runs in the forked child."""
    os.environ.update(environment)
    sys.path[:0] = [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    # It dies with the tests, as a daemon does, but may have children: the processes of a data loader.
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    os.setsid()
    log = os.open(Path(folder) / "trainer.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    from trainer.training import train

    sys.exit(train(Path(folder), resume=resume))


@dataclass
class TrainingRuns:
    """A factory of runs over one tiny model and one data file."""

    folder: Path
    model: Path
    data: Path

    def create(self, name: str, **tables: dict[str, Any]) -> RunDirectory:
        """A new run: eight steps of LoRA, every step logged, saved every third; `tables` override single values."""
        values: dict[str, dict[str, Any]] = {
            "model": {"model_name_or_path": str(self.model)},
            "data": {"dataset": [str(self.data)], "cutoff_len": 128},
            "lora": {"lora_rank": 4, "lora_dropout": 0.1},
            "train": {
                "max_steps": 8,
                "per_device_train_batch_size": 2,
                "gradient_accumulation_steps": 2,
                "learning_rate": 1e-2,
                "logging_steps": 1,
                "save_steps": 3,
                "telemetry_seconds": 60.0,
            },
        }
        for table, entries in tables.items():
            values.setdefault(table, {}).update(entries)
        recipe = Recipe.model_validate(values)
        return create_run("test", resolve(recipe, _CPU), name=None, folder=self.folder / name, extra_identity={})

    def start(self, run: RunDirectory, *, resume: bool = False, **environment: str) -> ForkServerProcess:
        """Start a trainer process on the run."""
        process = _CONTEXT.Process(target=train_in_child, args=(str(run.path), resume, environment), daemon=True)
        process.start()
        return process

    def train(self, run: RunDirectory, *, resume: bool = False, **environment: str) -> int:
        """Train to the end; returns the exit code (negative: killed by that signal)."""
        process = self.start(run, resume=resume, **environment)
        process.join(120)
        assert process.exitcode is not None, run.log_file.read_text()[-2000:]
        return process.exitcode


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until `condition()` is true and return it; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("what the test waits for did not happen")


def events_of(run: RunDirectory, kind: str) -> list[Any]:
    """All events of one kind, in order."""
    return [record.event for record in read_events(run) if record.event.kind == kind]


def losses_of(run: RunDirectory) -> dict[int, float]:
    """The newest loss of each step."""
    return {event.step: event.values["loss"] for event in events_of(run, "metrics")}


def weights_of(run: RunDirectory, step: int) -> dict[str, Any]:
    """The trained tensors of a checkpoint."""
    from safetensors.torch import load_file

    folder = run.checkpoints_folder / f"step-{step:08d}"
    file = folder / "adapter_model.safetensors"
    return dict(load_file(file if file.is_file() else folder / "model.safetensors"))


def same_weights(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether two checkpoints hold the same tensors, bit for bit."""
    import torch

    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
