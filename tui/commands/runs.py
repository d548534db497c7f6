"""`trimtab runs`, `status`, `stop`, `delete`, and what bare `trimtab` prints where there is no terminal."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Sequence

from trainer.errors import UserError
from trainer.run import RunDirectory, RunReader, RunState, delete_run, find_run, list_checkpoints, list_runs
from trainer.run.pipeline import Pipeline, find_pipeline, list_all, pipeline_of
from trainer.run.process import is_alive
from tui.commands import output
from tui.commands.progress import Progress, duration, json_of, numbers, progress_of, read_progress
from tui.locale import text
from tui.pipeline_texts import short_standing

_POLL_SECONDS = 0.2
# How long a trainer may take to obey `stop --now` before its process is ended.
_PATIENCE_SECONDS = 15.0
_SLOW_STOP_SECONDS = 20.0
# What only time changes is no news.
_CLOCKS = {"seconds_left": None, "elapsed": None}


def runs(arguments: Namespace) -> int:
    """List all runs, newest first."""
    found = list_all()
    if arguments.json:
        output.print_json([_json(each) for each in found])
    elif not found:
        print(text("command_line.no_runs"))
    else:
        _table(found).print()
    return 0


def overview() -> int:
    """Bare `trimtab` without a terminal: the runs, and where the help is."""
    found = list_all()
    if found:
        _table(found).print()
    else:
        print(text("command_line.no_runs"))
    print(text("command_line.no_terminal_hint"))
    return 0


def status(arguments: Namespace) -> int:
    """Tell where one run stands, once or until it ends; the newest run when none is named."""
    if (pipeline := named_pipeline(arguments.run)) is not None:
        return _pipeline_status(pipeline, watch=arguments.watch, as_json=arguments.json)
    run = chosen_run(arguments.run)
    if arguments.watch:
        return _watch(run, as_json=arguments.json)
    progress = read_progress(run)
    if arguments.json:
        output.print_json(json_of(progress))
    else:
        _print_status(run, progress)
    return 0


def _pipeline_status(pipeline: Pipeline, *, watch: bool, as_json: bool) -> int:
    from tui.commands.pipeline import json_of_pipeline, print_status, watch_pipeline

    if watch:
        return watch_pipeline(pipeline, as_json=as_json)
    if as_json:
        output.print_json(json_of_pipeline(pipeline))
    else:
        print_status(pipeline)
    return 0


def named_pipeline(name: str | None) -> Pipeline | None:
    """The pipeline of that name or folder; None when none is meant."""
    return None if name is None else find_pipeline(name)


def stop(arguments: Namespace) -> int:
    """Ask a run to stop, and wait until it has."""
    if (pipeline := named_pipeline(arguments.run)) is not None:
        from tui.commands.pipeline import stop as stop_all

        return stop_all(pipeline, now=arguments.now)
    run = find_run(arguments.run)
    state = run.state()
    if not state.alive:
        print(text("command_line.not_running", name=run.name, state=text(f"command_line.state_{state.value}")))
        return 0
    ask_to_stop(run, save=not arguments.now)
    print(text("command_line.stopping_now" if arguments.now else "command_line.stopping", name=run.name))
    sys.stdout.flush()
    state = wait_for_end(run, insist=arguments.now)
    print(text("command_line.stopped", name=run.name, state=text(f"command_line.state_{state.value}")))
    if state is not RunState.FINISHED:
        print(text("command_line.go_on_with", name=run.name))
    return 0


def delete(arguments: Namespace) -> int:
    """Delete a run's directory; asks first on a terminal."""
    from tui.commands.pipeline import delete as delete_all
    from tui.commands.pipeline import is_yes

    if (pipeline := named_pipeline(arguments.run)) is not None:
        return delete_all(pipeline, yes=arguments.yes)
    run = find_run(arguments.run)
    if run.state().alive:
        raise UserError(
            text("command_line.delete_running", name=run.name), hint=text("command_line.stop_first", name=run.name)
        )
    if not arguments.yes:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UserError(
                text("command_line.delete_unconfirmed", path=run.path), hint=text("command_line.delete_with_yes")
            )
        count = len(list_checkpoints(run.checkpoints_folder, verify="size"))
        if (note := part_note(run)) != "":
            print(note)
        if not is_yes(input(text("command_line.delete_question", path=run.path, count=count) + " ")):
            print(text("command_line.nothing_deleted"))
            return 1
    delete_run(run)
    print(text("command_line.deleted", path=run.path))
    return 0


def chosen_run(name: str | None) -> RunDirectory:
    """The run of that name or path; without one, the newest that is alive, else the newest.

    Raises:
        UserError: there is none.
    """
    if name is not None:
        return find_run(name)
    found = list_runs()
    if not found:
        raise UserError(text("command_line.no_runs"))
    return next((run for run in found if run.state().alive), found[0])


def part_note(run: RunDirectory) -> str:
    """Of which pipeline a run is a part; empty when of none."""
    pipeline = pipeline_of(run)
    if pipeline is None:
        return ""
    names = [pipeline.run_of(part).name for part in pipeline.parts]
    number = names.index(run.name) + 1
    return text("pipeline.part_of_pipeline", run=run.name, number=number, count=len(names), name=pipeline.name)


def _json(each: RunDirectory | Pipeline) -> dict[str, object]:
    if isinstance(each, RunDirectory):
        return json_of(read_progress(each))
    from tui.commands.pipeline import json_of_pipeline

    return json_of_pipeline(each)


def _table(found: Sequence[RunDirectory | Pipeline]) -> output.Table:
    columns = ("run", "state", "step", "loss", "eta", "path")
    table = output.Table([text(f"command_line.column_{name}") for name in columns])
    for each in found:
        if isinstance(each, RunDirectory):
            _add_run(table, read_progress(each))
            continue
        standing = each.standing()
        table.add(each.name, short_standing(standing, len(each.parts)), "", "", "", str(each.path))
        for part in each.parts:
            run = each.run_of(part)
            if run.exists():
                _add_run(table, read_progress(run), indent="  ")
            else:
                table.add(f"  {run.name}", text("pipeline.waits"), "", "", "", "")
    return table


def _add_run(table: output.Table, progress: Progress, indent: str = "") -> None:
    table.add(
        indent + progress.name,
        text(f"command_line.state_{progress.state.value}"),
        f"{progress.step}/{progress.total_steps or '?'}",
        "" if progress.loss is None else f"{progress.loss:.4f}",
        "" if progress.seconds_left is None else duration(progress.seconds_left),
        progress.path,
    )


def _print_status(run: RunDirectory, progress: Progress) -> None:
    state = text(f"command_line.state_{progress.state.value}")
    lines = [("run", progress.name), ("state", f"{state}: {progress.message}" if progress.message else state)]
    lines.append(("step", f"{progress.step}/{progress.total_steps or '?'}"))
    if progress.epoch is not None:
        lines.append(("epoch", f"{progress.epoch:.2f}"))
    rows = [(text(f"command_line.column_{name}"), value) for name, value in lines] + numbers(progress)
    if progress.elapsed is not None:
        rows.append((text("command_line.column_elapsed"), duration(progress.elapsed)))
    if progress.last_checkpoint:
        rows.append((text("command_line.column_checkpoint"), str(progress.last_checkpoint)))
    rows.append((text("command_line.column_path"), progress.path))
    rows.append((text("command_line.column_log"), str(run.log_file)))
    width = max(output.cells(label) for label, _ in rows)
    for label, value in rows:
        print(f"{label}{' ' * (width - output.cells(label))}  {output.harmless(value)}")


def _watch(run: RunDirectory, *, as_json: bool) -> int:
    from tui.progress_view import follow

    if not as_json:
        return follow(run)
    reader = RunReader(run)
    shown: dict[str, object] = {}
    while True:
        reader.poll()
        progress = progress_of(run, reader)
        current = json_of(progress)
        if reader.complete and {**current, **_CLOCKS} != {**shown, **_CLOCKS}:
            print(json.dumps(output.finite(current)), flush=True)
            shown = current
        if progress.ended and reader.complete:
            return 0
        time.sleep(_POLL_SECONDS)


def ask_to_stop(run: RunDirectory, *, save: bool) -> None:
    """Drop the command; where the disk has no room for it, a signal says the same.

    Raises:
        UserError: neither way is open.
    """
    try:
        run.send("stop", save=save)
    except UserError:
        if not _signal(run, signal.SIGTERM if save else signal.SIGKILL):
            raise


def wait_for_end(run: RunDirectory, *, insist: bool) -> RunState:
    """Wait until nothing works on a run; one that does not react to `stop --now` is killed."""
    started = time.monotonic()
    told = False
    while (state := run.state()).alive:
        waited = time.monotonic() - started
        if insist and waited > _PATIENCE_SECONDS:
            _signal(run, signal.SIGKILL)
        elif not told and waited > _SLOW_STOP_SECONDS:
            print(text("command_line.still_stopping", name=run.name), flush=True)
            told = True
        time.sleep(_POLL_SECONDS)
    return state


def _signal(run: RunDirectory, number: signal.Signals) -> bool:
    """Send a signal to the trainer, if it is surely a living process of this machine."""
    known = run.status()
    if known is None or not known.pid or not is_alive(known.process):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(known.pid, number)
    return True
