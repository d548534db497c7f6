"""`trimtab train`, `resume` and `attach`: start a run, or look at one. The run itself is a process of its own."""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from trainer.config.pipeline import pipeline_file
from trainer.errors import UserError
from trainer.run import (
    RunDirectory,
    RunState,
    create_run,
    find_run,
    latest_checkpoint,
    launch,
    list_checkpoints,
    list_runs,
    run_place,
)
from trainer.run.pipeline import find_pipeline
from trainer.run.process import is_alive
from tui.commands import output
from tui.locale import text

USAGE_EXIT = 2


def train(arguments: Namespace) -> int:
    """Start a run from a preset, or the runs of a pipeline, and follow it."""
    if (file := pipeline_file(arguments.preset)) is not None:
        from tui.commands.pipeline import train_pipeline

        return train_pipeline(file, arguments.settings, name=arguments.name, detach=arguments.detach)
    run = start_run(arguments.preset, arguments.settings, name=arguments.name)
    if run is None:
        return USAGE_EXIT
    return _follow(run, detach=arguments.detach, from_start=True)


def start_run(preset: str, settings: Sequence[str], *, name: str | None) -> RunDirectory | None:
    """Examine the preset, make the run directory and launch the trainer.

    None when errors were found: they are printed, one line each, and nothing was made.

    Raises:
        UserError: the name is taken, or the runs folder cannot be written.
    """
    from tui.commands.check import examine, is_told_at_start, print_findings

    examined = examine(preset, settings)
    print_findings([finding for finding in examined.findings if is_told_at_start(finding)], to_errors=True)
    if not examined.good or examined.preset is None or examined.resolved is None:
        return None
    warn_of_others()
    folder, chosen_name = run_place(examined.preset.recipe)
    run = create_run(
        examined.preset.name,
        examined.resolved,
        name=name if name is not None else chosen_name,
        folder=folder,
        name_field="run_name" if name is None else "--name",
        extra_identity={"preset_path": str(examined.preset.path)},
    )
    try:
        launch(run)
    except UserError as error:
        # Half a start would block the name. Not `delete_run`: it waits for a run that seems to be preparing, and wants
        # to write a lock, which a full disk refuses.
        shutil.rmtree(run.path, ignore_errors=True)
        hint = error.hint or text("command_line.start_hint")
        raise UserError(error.message, file=error.file, hint=hint) from error
    return run


def warn_of_others(run: RunDirectory | None = None) -> None:
    """Name the other runs that work on this machine: they share its processor, its memory and its GPU."""
    for other in list_runs():
        status = other.status()
        if other != run and status is not None and other.state().alive and is_alive(status.process):
            print(text("command_line.another_run", name=other.name, path=other.path), file=sys.stderr)


def resume(arguments: Namespace) -> int:
    """Go on with a run from its newest whole checkpoint, or with a pipeline where it was."""
    if (pipeline := find_pipeline(arguments.run)) is not None:
        from tui.commands.pipeline import resume_pipeline

        return resume_pipeline(pipeline, arguments.settings, detach=arguments.detach)
    from tui.commands.runs import part_note

    run = find_run(arguments.run)
    if arguments.settings:
        raise UserError(text("command_line.resume_settings_of_run"), field=arguments.settings[0])
    if run.state().alive:
        raise UserError(
            text("command_line.resume_running", name=run.name), hint=text("command_line.attach_instead", name=run.name)
        )
    if run.state() is RunState.FINISHED:
        raise UserError(
            text("command_line.resume_finished", name=run.name),
            hint=text("command_line.resume_finished_hint", checkpoint=_newest(run), preset=run.identity().preset),
        )
    if (note := part_note(run)) != "":
        print(note)
    warn_of_others(run)
    checkpoint = latest_checkpoint(run.checkpoints_folder)
    if checkpoint is None:
        print(text("command_line.resume_from_start", name=run.name))
    else:
        print(text("command_line.resume_from", name=run.name, step=checkpoint.step))
    launch(run, resume=True)
    return _follow(run, detach=arguments.detach)


def _newest(run: RunDirectory) -> Path:
    found = list_checkpoints(run.checkpoints_folder)
    return found[-1].path if found else run.checkpoints_folder


def attach(arguments: Namespace) -> int:
    """Open a run's dashboard on a terminal; else, or with `--plain`, follow it in lines."""
    from tui.commands.pipeline import follow_pipeline
    from tui.commands.runs import chosen_run, named_pipeline
    from tui.progress_view import follow

    pipeline = named_pipeline(arguments.run)
    if pipeline is not None and (arguments.plain or not output.can_open_cockpit()):
        return follow_pipeline(pipeline)
    run = chosen_run(arguments.run) if pipeline is None else pipeline.current_run()
    if run is None:
        raise UserError(text("pipeline.no_part_yet", name=arguments.run))
    if arguments.plain or not output.can_open_cockpit():
        return follow(run)
    from tui.cockpit import open_cockpit

    return open_cockpit(screen="dashboard", run=run.path)


def _follow(run: RunDirectory, *, detach: bool, from_start: bool = False) -> int:
    print(text("command_line.started", name=run.name, path=run.path))
    sys.stdout.flush()
    if detach:
        print(text("command_line.detached", name=run.name))
        return 0
    from tui.progress_view import follow

    return follow(run, from_start=from_start)
