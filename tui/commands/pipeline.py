"""`trimtab train` and `resume` of a pipeline: its steps as one thing, each followed as the run that it is."""

from __future__ import annotations

import time
from pathlib import Path

from trainer.config import Hardware, check
from trainer.config.pipeline import read_pipeline
from trainer.errors import UserError
from trainer.run import RunState
from trainer.run.directory import free_run_name
from trainer.run.pipeline import Pipeline, create_pipeline, launch_pipeline
from tui.commands import output
from tui.locale import text

_POLL_SECONDS = 0.3


def train_pipeline(file: Path, *, name: str | None, detach: bool) -> int:
    """Check all steps, start the first one, and follow them; 2 when there are errors, which are printed."""
    pipeline = create_pipeline(name or free_run_name(file.stem), read_pipeline(file))
    try:
        good = _checked(pipeline)
    except UserError:
        pipeline.record.unlink()
        raise
    if not good:
        pipeline.record.unlink()
        return 2
    return lead_and_follow(pipeline, detach=detach)


def lead_and_follow(pipeline: Pipeline, *, detach: bool) -> int:
    """Start or go on; the exit code is that of the first step which does not finish."""
    from tui.progress_view import follow

    leader = launch_pipeline(pipeline)
    print_parts(pipeline)
    if detach:
        print(text("command_line.pipeline_detached", name=pipeline.name))
        return 0
    for number, step in enumerate(pipeline.steps, start=1):
        if pipeline.state_of(step) is RunState.FINISHED:
            continue
        print(text("command_line.pipeline_step", number=number, count=len(pipeline.steps), step=step.name), flush=True)
        while not (_is_going(pipeline, number - 1)):
            if leader.poll() is not None:
                raise UserError(text("command_line.pipeline_no_step", log=pipeline.record.with_suffix(".log")))
            time.sleep(_POLL_SECONDS)
        if code := follow(pipeline.run_of(step), from_start=True):
            print(text("command_line.pipeline_resume", name=pipeline.name))
            return code
    return 0


def print_parts(pipeline: Pipeline) -> None:
    """The steps with their stages and states."""
    table = output.Table([text(f"command_line.column_{column}") for column in ("step", "stage", "run", "state")])
    for step in pipeline.steps:
        state = pipeline.state_of(step)
        shown = text("command_line.pipeline_waits") if state is None else text(f"common.state_{state.value}")
        table.add(step.name, step.recipe.method.stage, pipeline.run_of(step).name, shown)
    table.print()


def _is_going(pipeline: Pipeline, number: int) -> bool:
    """Whether the step's run has been started now: an old end of it does not count."""
    state = pipeline.state_of(pipeline.steps[number])
    return state is not None and (state.alive or state is RunState.FINISHED)


def _checked(pipeline: Pipeline) -> bool:
    good, hardware = True, Hardware.detect()
    for number, step in enumerate(pipeline.steps):
        for finding in check(pipeline.recipe_of(number), hardware):
            if finding.severity != "info":
                print(f"{step.name}: {finding.severity}: {finding.text}")
            good = good and finding.severity != "error"
    return good
