"""A pipeline at work: its record beside the runs, and the process that starts one step after the other.

Each step is a run of its own, called `NAME.STEP`; how far the pipeline is, its runs say. The record beside them,
`NAME.pipeline.json`, holds the recipes as they were at the start. Not for what a step is made of (`config.pipeline`).
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer import paths
from trainer.config import Hardware, Recipe, resolve
from trainer.config.pipeline import Step, chained
from trainer.errors import UserError
from trainer.run.directory import RunDirectory, create_run
from trainer.run.launch import detached, launch
from trainer.run.result import result_checkpoint
from trainer.run.status import RunState

_POLL_SECONDS = 0.5
_SUFFIX = ".pipeline.json"


@dataclass(frozen=True)
class Pipeline:
    """Steps under one name."""

    name: str
    folder: Path
    steps: tuple[Step, ...]
    working_folder: Path
    """Where relative paths of the recipes begin."""

    @property
    def record(self) -> Path:
        """The file that holds it."""
        return self.folder / f"{self.name}{_SUFFIX}"

    def run_of(self, step: Step) -> RunDirectory:
        """The run of a step; it may not be there yet."""
        return RunDirectory(self.folder / f"{self.name}.{step.name}")

    def state_of(self, step: Step) -> RunState | None:
        """How the run of a step is; None when it has not begun."""
        run = self.run_of(step)
        return run.state() if run.exists() else None

    def results(self) -> dict[str, str]:
        """The checkpoint that each finished step ends with."""
        found = {}
        for step in self.steps:
            if self.state_of(step) is RunState.FINISHED and (checkpoint := result_checkpoint(self.run_of(step))):
                found[step.name] = str(checkpoint.path)
        return found

    def recipe_of(self, number: int) -> Recipe:
        """The recipe of a step; results that are not there yet by the folders in which they will be."""
        expected = {step.name: str(self.run_of(step).checkpoints_folder) for step in self.steps}
        return chained(self.steps, number, expected | self.results())


def create_pipeline(name: str, steps: Sequence[Step], folder: Path | None = None) -> Pipeline:
    """Write the record of a new pipeline.

    Raises:
        UserError: when something of that name is there.
    """
    pipeline = Pipeline(name, (folder or paths.runs_folder()).resolve(), tuple(steps), Path.cwd())
    taken = [pipeline.record, *(pipeline.run_of(step).path for step in steps)]
    if there := next((path for path in taken if path.exists()), None):
        raise UserError(f"{there.name} is there already", field="--name", value=name, hint="Choose another name.")
    pipeline.folder.mkdir(parents=True, exist_ok=True)
    parts = [
        {"name": step.name, "starts_from": step.starts_from, "recipe": step.recipe.model_dump(exclude_none=True)}
        for step in steps
    ]
    staging = pipeline.record.with_suffix(".staging")
    content = {"working_folder": str(pipeline.working_folder), "steps": parts}
    staging.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    staging.replace(pipeline.record)
    return pipeline


def find_pipeline(name: str) -> Pipeline | None:
    """The pipeline of that name in the runs folder, or of that record; None when there is none."""
    given = Path(name)
    record = given if given.name.endswith(_SUFFIX) else paths.runs_folder() / f"{name}{_SUFFIX}"
    if not record.is_file():
        return None
    content = json.loads(record.read_text(encoding="utf-8"))
    steps = [
        Step(part["name"], Recipe.model_validate(part["recipe"]), part["starts_from"]) for part in content["steps"]
    ]
    name = record.name.removesuffix(_SUFFIX)
    return Pipeline(name, record.parent.resolve(), tuple(steps), Path(content["working_folder"]))


def launch_pipeline(pipeline: Pipeline) -> subprocess.Popen[bytes]:
    """Start the process that leads through the steps, in a session of its own."""
    program = (sys.executable, "-P", "-m", "trainer", "pipeline", str(pipeline.record))
    return detached(program, pipeline.record.with_suffix(".log"), pipeline.working_folder)


def lead(record: Path) -> int:
    """Start each step when the one before it is finished; 1 when one ends otherwise, and `resume` goes on from there.

    Raises:
        UserError: when it is led already, or a step cannot be started.
    """
    pipeline = find_pipeline(str(record))
    if pipeline is None:
        raise UserError("there is no such pipeline", file=record)
    with record.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError("this pipeline is led by another process already", file=record) from error
        return _lead(pipeline)


def _lead(pipeline: Pipeline) -> int:
    for number, step in enumerate(pipeline.steps):
        state = pipeline.state_of(step)
        if state is RunState.FINISHED:
            continue
        if state is None:
            made = resolve(pipeline.recipe_of(number), Hardware.detect())
            run = create_run(step.name, made, name=pipeline.run_of(step).name, folder=pipeline.folder)
            launch(run)
        elif not state.alive:
            launch(pipeline.run_of(step), resume=True)
        while (now := pipeline.state_of(step)) is not None and now.alive:
            time.sleep(_POLL_SECONDS)
        print(f"step {step.name}: {'' if now is None else now.value}", flush=True)
        if now is not RunState.FINISHED:
            return 1
    return 0
