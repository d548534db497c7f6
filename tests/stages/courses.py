"""Trains a stage twice in this process: once to the end, once stopped by command in the middle and gone on with."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from tests.methods.training import Trained, train_here
from tests.tiny import make_tiny_model
from tests.trainer.stages.conftest import stage_rows
from tests.training_runs import events_of
from trainer.config import Hardware, Recipe, check, resolve
from trainer.config.parameter import parameter
from trainer.run import RunDirectory, RunState, create_run, list_checkpoints

STEPS = 4
STOPPED_AT = 3
"""In the middle of the second pass over the rows, and of the second buffer of answers."""
ANSWERING = ("ppo", "grpo", "rloo")
METHODS: dict[str, dict[str, object]] = {
    "lora": {"finetuning_type": "lora", "lora_rank": 4},
    "full": {"finetuning_type": "full"},
    "freeze": {"finetuning_type": "freeze", "freeze_trainable_layers": 1},
    "qlora": {"finetuning_type": "lora", "lora_rank": 4, "quantization_bit": 4},
}
_CPU = Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2)
# Two steps are one pass over the rows that are not held back.
_ROWS, _HELD = 11, 3
_VALUES: dict[str, object] = {
    "cutoff_len": 96,
    "max_steps": STEPS,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "learning_rate": 1e-2,
    "logging_steps": 1,
    "save_strategy": "no",
    "telemetry_seconds": 60.0,
}
_EVALUATED: dict[str, object] = {"val_size": _HELD, "eval_strategy": "steps", "eval_steps": 2}
_ANSWERED: dict[str, object] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "max_new_tokens": 6,
    "reward_funcs": ["regex"],
    "reward_regex": "[a-m]",
}
_GROUPS: dict[str, object] = {"num_generations": 4, "num_iterations": 2}
_OF_STAGE: dict[str, dict[str, object]] = {
    "ppo": {**_ANSWERED, "ppo_epochs": 2},
    "grpo": {**_ANSWERED, **_GROUPS},
    "rloo": {**_ANSWERED, **_GROUPS},
}
# Speeds, and what tells the time.
_OF_THE_CLOCK = ("_per_second", "step_seconds", "_runtime")


@dataclass
class Course:
    """A run that nothing interrupted, and one that was."""

    stage: str
    method: str
    whole: Trained
    stopped: Trained
    resumed: Trained


class Send(TrainerCallback):
    """Sends a command when a step is done."""

    def __init__(self, run: RunDirectory, step: int, verb: str, **arguments: object) -> None:
        self._run, self._step, self._verb, self._arguments = run, step, verb, arguments

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """At one step."""
        if state.global_step == self._step:
            self._run.send(self._verb, **self._arguments)


@dataclass
class Courses:
    """Makes models, data and runs in one folder; what does not differ is made once."""

    folder: Path

    def model(self, *, tied: bool = True) -> Path:
        """The tiny model."""
        folder = self.folder / f"model-{'tied' if tied else 'untied'}"
        return folder if folder.is_dir() else make_tiny_model(folder, tied=tied)

    def rows(self, stage: str, rows: list[dict[str, Any]] | None = None) -> Path:
        """A file of rows that fit a stage."""
        file = self.folder / f"{stage}.json"
        file.write_text(json.dumps(_rows(stage) if rows is None else rows), encoding="utf-8")
        return file

    def run(self, stage: str, name: str, **values: object) -> RunDirectory:
        """A new run of a stage, checked as the command line checks it; values by flat name."""
        given: dict[str, object] = {
            "stage": stage,
            "model_name_or_path": str(self.model()),
            "dataset": [str(self.rows(stage))],
            **_VALUES,
            **_EVALUATED,
            **_OF_STAGE.get(stage, {}),
            **values,
        }
        recipe = Recipe().with_values({parameter(name).key: value for name, value in given.items()})
        assert [found.text for found in check(recipe, _CPU) if found.severity == "error"] == []
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        return create_run("test", resolve(recipe, _CPU), name=None, folder=folder, extra_identity={})

    def tuned(self) -> Path:
        """A checkpoint of stage sft with an adapter."""
        return train_here(self.run("sft", "tuned", **METHODS["lora"], eval_strategy="no", val_size=0)).checkpoint

    def course(self, stage: str, method: str, set_live: dict[str, float] | None = None, **values: object) -> Course:
        """Train without interruption, and once more with one; `set_live` are settings that change after step 1."""
        values = {**METHODS[method], **values}
        whole, stopped = (self.run(stage, name, **values) for name in ("whole", "stopped"))
        changes = [
            [Send(run, 1, "set", name=name, value=value) for name, value in (set_live or {}).items()]
            for run in (whole, stopped)
        ]
        left_alone = train_here(whole, watching=changes[0])
        interrupted = train_here(stopped, watching=[*changes[1], Send(stopped, STOPPED_AT, "stop")])
        assert [found.step for found in list_checkpoints(stopped.checkpoints_folder)] == [STOPPED_AT]
        return Course(stage, method, left_alone, interrupted, train_here(stopped, resume=True))


def _rows(stage: str) -> list[dict[str, Any]]:
    if stage in ("sft", *ANSWERING):
        return [{"instruction": f"What is {i} plus 1?", "output": f"It is {i + 1}."} for i in range(_ROWS)]
    return stage_rows(stage)[: None if stage == "pt" else _ROWS]


def figures_of(run: RunDirectory) -> dict[tuple[str, int], dict[str, float]]:
    """All figures that were logged, without those of the clock: (kind of event, step) to values by name."""
    return {
        (kind, event.step): {name: value for name, value in event.values.items() if not name.endswith(_OF_THE_CLOCK)}
        for kind in ("metrics", "evaluation")
        for event in events_of(run, kind)
    }


def state_of(checkpoint: Path) -> dict[str, Any]:
    """Weights, optimizer, schedule, random state and what the stage keeps: all that a resumed run starts from."""
    found: dict[str, Any] = {file.name: dict(load_file(file)) for file in checkpoint.glob("*.safetensors")}
    for file in (*checkpoint.glob("*.pt"), *checkpoint.glob("*.pth")):
        found[file.name] = torch.load(file, weights_only=False)
    return found


def differences(left: Any, right: Any, place: str = "") -> list[str]:
    """Where two states are not the same bit for bit."""
    if isinstance(left, torch.Tensor):
        same = isinstance(right, torch.Tensor) and left.dtype == right.dtype and torch.equal(left, right)
        return [] if same else [place]
    if isinstance(left, dict):
        if left.keys() != right.keys():
            return [f"{place}: {sorted(map(str, left.keys() ^ right.keys()))}"]
        return [found for name in left for found in differences(left[name], right[name], f"{place}.{name}")]
    if isinstance(left, (list, tuple)):
        if len(left) != len(right):
            return [place]
        pairs = zip(left, right, strict=True)
        return [found for number, pair in enumerate(pairs) for found in differences(*pair, f"{place}.{number}")]
    return [] if bool((left == right) if not hasattr(left, "shape") else (left == right).all()) else [place]


def check_it_went_on_as_if_left_alone(course: Course) -> None:
    """What the interrupted run has in the end is what the other one has, bit for bit.

    Raises:
        AssertionError: it is not.
    """
    resumed = course.resumed
    (stop,) = [event for event in events_of(resumed.run, "command-result") if event.verb == "stop"]
    assert (stop.accepted, stop.text) == (True, f"stopped, saved at step {STOPPED_AT}")
    assert [event.step for event in events_of(resumed.run, "resume")] == [STOPPED_AT]
    assert resumed.run.state() is RunState.FINISHED
    assert course.whole.changed
    assert differences(course.whole.after, resumed.after) == []
    assert differences(state_of(course.whole.checkpoint), state_of(resumed.checkpoint)) == []
    assert figures_of(course.whole.run) == figures_of(resumed.run)
