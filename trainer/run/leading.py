"""What leads a pipeline: a process in the background that starts each part when the one before it is finished.

A part is a process of its own and does not need it: killed, the part goes on, and `resume` starts another leader. Not
for what a pipeline is (`pipeline`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from trainer.config import Hardware, resolve
from trainer.config.pipeline import Part, needed_by
from trainer.errors import UserError
from trainer.run.directory import create_run, delete_run
from trainer.run.files import write_whole
from trainer.run.launch import detached, launch
from trainer.run.messages import Words, words
from trainer.run.pipeline import Leader, Pipeline, find_pipeline, write_leader
from trainer.run.process import identify, this_process
from trainer.run.status import RunState

_POLL_SECONDS = 0.25
_SIGN_SECONDS = 10.0
_LEADER = (sys.executable, "-P", "-m", "trainer", "pipeline")
_SAVE, _DROP = "save", "drop"


def launch_pipeline(pipeline: Pipeline, *, program: Sequence[str] = _LEADER) -> int:
    """Start the process that leads through the parts, in a session of its own; its pid.

    `program` is what gets the pipeline's path as its argument.
    Raises: UserError when it is led already, has nothing left to do, or cannot be started.
    """
    check_it_can_go_on(pipeline)
    try:
        pipeline.stop_file.unlink(missing_ok=True)
        child = detached([*program, str(pipeline.path)], pipeline.log_file, pipeline.working_folder)
        write_leader(pipeline, Leader(identify(child.pid)))
    except OSError as error:
        raise UserError(f"cannot start the pipeline: {error.strerror}", file=error.filename) from error
    # Reaps the child: a zombie would keep its pid. When the cockpit ends first, init does it.
    threading.Thread(target=child.wait, name="trimtab-reaper", daemon=True).start()
    return child.pid


def check_it_can_go_on(pipeline: Pipeline) -> None:
    """Raises: UserError when somebody leads it already, or nothing is left to do."""
    if pipeline.is_led():
        hint = f"Watch it with `trimtab attach {pipeline.name}`"
        raise UserError(f"pipeline {pipeline.name} is going already", hint=hint)
    if pipeline.standing().state is RunState.FINISHED:
        raise UserError(f"pipeline {pipeline.name} is finished: there is nothing to go on with")


def stop_pipeline(pipeline: Pipeline, *, save: bool = True) -> None:
    """Let no further part begin, and the one that goes stop, with a checkpoint if `save`. Raises: UserError."""
    try:
        write_whole(pipeline.stop_file, (_SAVE if save else _DROP).encode())
    except OSError as error:
        raise UserError(f"cannot stop the pipeline: {error.strerror}", file=error.filename) from error
    if not pipeline.is_led():
        _stop_runs(pipeline, save=save)


def delete_pipeline(pipeline: Pipeline) -> None:
    """Remove it with the runs of all its parts. Raises: UserError while something goes, or when the disk refuses."""
    standing = pipeline.standing()
    if standing.is_led or standing.state.alive:
        hint = f"Stop it with `trimtab stop {pipeline.name}` first"
        raise UserError(f"pipeline {pipeline.name} is still going", hint=hint)
    for run in pipeline.runs():
        delete_run(run)
    try:
        shutil.rmtree(pipeline.path)
    except OSError as error:
        raise UserError(f"cannot delete the pipeline: {error.strerror}", file=error.filename) from error


def lead(folder: Path, start: Callable[..., object] = launch) -> int:
    """Start each part when the one before it is finished; 1 when one ends otherwise, and `resume` goes on from there.

    `start` is what starts a run. Raises:
        UserError: there is no such pipeline, or it is led already.
    """
    pipeline = find_pipeline(folder)
    if pipeline is None:
        raise UserError("there is no such pipeline", file=folder)
    descriptor = os.open(pipeline.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise UserError("this pipeline is led by another process already", file=folder) from error
    try:
        write_leader(pipeline, Leader(this_process()))
        print(f"process {os.getpid()} leads {pipeline.name}", flush=True)
        reason, said = _lead(pipeline, start)
        print(f"{reason}{f': {said.text}' if said is not None else ''}", flush=True)
        told = ("", "", {}) if said is None else (said.id, said.text, said.values)
        write_leader(pipeline, Leader(this_process(), reason, *told))
    finally:
        os.close(descriptor)
    return 0 if reason == "finished" else 1


def _lead(pipeline: Pipeline, start: Callable[..., object]) -> tuple[str, Words | None]:
    """How it ended, as the leader says it: finished, stopped, or failed for what no run can say itself."""
    for number, part in enumerate(pipeline.parts):
        if pipeline.state_of(part) is RunState.FINISHED:
            continue
        if pipeline.stop_file.exists():
            return "stopped", None
        try:
            if (needed := _missing(pipeline, number)) is not None:
                return "failed", words("run_pipeline_part_gone", part=part.name, needed=needed, name=pipeline.name)
            _start(pipeline, number, start)
        except UserError as error:
            return "failed", words("run_refused", problem=f"part {part.name}: {error}")
        state = _wait(pipeline, part)
        print(f"part {part.name}: {state.value if state is not None else 'deleted'}", flush=True)
        if state is not RunState.FINISHED:
            return "stopped", None  # its run says why
    return "finished", None


def _missing(pipeline: Pipeline, number: int) -> str | None:
    """A part whose result a part needs and that is not there."""
    results = pipeline.results()
    return next((part.name for part in needed_by(pipeline.parts, number) if part.name not in results), None)


def _start(pipeline: Pipeline, number: int, start: Callable[..., object]) -> None:
    part = pipeline.parts[number]
    run = pipeline.run_of(part)
    if not run.exists():
        made = resolve(pipeline.recipe_of(number), Hardware.detect())
        whose = {"preset_path": part.preset, "pipeline": pipeline.name, "part": part.name}
        preset = Path(part.preset).stem or part.name
        create_run(preset, made, name=run.name, folder=run.path.parent, extra_identity=whose)
        start(run)
    elif run.status() is None or not run.state().alive:
        start(run, resume=True)


def _wait(pipeline: Pipeline, part: Part) -> RunState | None:
    """Wait until the run of a part has ended; a stop that was asked for reaches it, whenever that was."""
    seen, asked = time.monotonic(), ""
    while (state := pipeline.state_of(part)) is not None and state.alive:
        # A stop without saving may follow one that saves; and what could not be sent is sent again.
        if (wanted := _wanted_stop(pipeline)) not in ("", asked):
            with suppress(UserError):
                _stop_runs(pipeline, save=wanted != _DROP)
                asked = wanted
        if time.monotonic() - seen > _SIGN_SECONDS:
            seen = time.monotonic()
            # The whole of it: a second leader that was refused may have been noted in its place.
            with suppress(OSError):
                write_leader(pipeline, Leader(this_process()))
        time.sleep(_POLL_SECONDS)
    return state


def _wanted_stop(pipeline: Pipeline) -> str:
    """Which stop was asked for; empty for none."""
    try:
        return pipeline.stop_file.read_text()
    except OSError:
        return ""


def _stop_runs(pipeline: Pipeline, *, save: bool) -> None:
    for run in pipeline.runs():
        if run.state().alive:
            run.send("stop", save=save)
