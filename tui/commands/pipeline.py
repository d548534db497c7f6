"""What commands do with a pipeline: start it, go on, follow it part by part, stop and delete it as one thing.

Not for checking it before (`pipeline_check`), nor for listing it (`runs`).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from trainer.config.pipeline import read_pipeline
from trainer.errors import UserError
from trainer.run import RunDirectory, RunState, list_checkpoints
from trainer.run.directory import free_run_name
from trainer.run.leading import check_it_can_go_on, delete_pipeline, launch_pipeline, stop_pipeline
from trainer.run.pipeline import Pipeline, Standing, create_pipeline
from tui.commands import output
from tui.commands.progress import duration, json_of, read_progress
from tui.locale import text
from tui.pipeline_texts import long_standing, standing_note, state_text

_POLL_SECONDS = 0.2
_LEADER_SECONDS = 15.0
"""After the end of a part, what leads needs a moment until the next one begins, or until it says how it ended."""


def train_pipeline(file: Path, settings: Sequence[str], *, name: str | None, detach: bool) -> int:
    """Check all parts, start the first one, and follow them; 2 when there are errors, which are printed."""
    from tui.commands.pipeline_check import examine_parts, print_parts
    from tui.commands.train import warn_of_others

    parts = read_pipeline(file, settings)
    examined = examine_parts(parts)
    print_parts(examined, at_start=True)
    if not all(each.good for each in examined):
        return 2
    warn_of_others()
    pipeline = create_pipeline(name or free_run_name(file.stem), parts, source=str(file.resolve()))
    try:
        launch_pipeline(pipeline)
    except UserError:
        delete_pipeline(pipeline)
        raise
    print(text("pipeline.started", name=pipeline.name, path=pipeline.path))
    return _follow_or_leave(pipeline, detach=detach, from_start=True)


def resume_pipeline(pipeline: Pipeline, settings: Sequence[str], *, detach: bool) -> int:
    """Go on in the part where it was."""
    # Before the settings are written down: what leads now has read them already.
    check_it_can_go_on(pipeline)
    if settings:
        pipeline = pipeline.with_overrides(settings)
    launch_pipeline(pipeline)
    number, count = pipeline.standing().number, len(pipeline.parts)
    part = pipeline.parts[number - 1].name
    print(text("pipeline.goes_on", name=pipeline.name, number=number, count=count, part=part))
    return _follow_or_leave(pipeline, detach=detach, from_start=False)


def _follow_or_leave(pipeline: Pipeline, *, detach: bool, from_start: bool) -> int:
    if detach:
        print(text("pipeline.detached", name=pipeline.name))
        return 0
    return follow_pipeline(pipeline, from_start=from_start)


def follow_pipeline(pipeline: Pipeline, *, from_start: bool = False) -> int:
    """Show each part as the run that it is, from the one where the pipeline is; the exit code tells how it ended."""
    from tui.progress_view import EXIT_CODES, INTERRUPTED_EXIT, follow

    count = len(pipeline.parts)
    try:
        for number in range(pipeline.standing().number, count + 1):
            part = pipeline.parts[number - 1]
            run = pipeline.run_of(part)
            if not _begins(pipeline, run):
                break
            stage = part.recipe.method.stage
            head = text("pipeline.part_heading", number=number, count=count, part=part.name, stage=stage)
            print(output.paint(head, "bold"), flush=True)
            code = follow(run, from_start=from_start or number > pipeline.standing().number, whole=pipeline.name)
            if code == INTERRUPTED_EXIT:
                return code
            if code:
                break
    except KeyboardInterrupt:
        print(text("command_line.run_goes_on", name=pipeline.name))
        return INTERRUPTED_EXIT
    return EXIT_CODES.get(_print_end(pipeline).state, 1)


def _begins(pipeline: Pipeline, run: RunDirectory) -> bool:
    """Wait until the run of a part goes or is finished; False when nobody will start it."""
    while True:
        is_led = pipeline.is_led()
        state = run.state() if run.exists() else None
        if state is not None and (state.alive or state is RunState.FINISHED):
            return True
        if not is_led:
            return False
        time.sleep(_POLL_SECONDS)


def _print_end(pipeline: Pipeline) -> Standing:
    """How it ended, once what leads has said so."""
    end = time.monotonic() + _LEADER_SECONDS
    while pipeline.is_led() and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    standing = pipeline.standing()
    note = output.harmless(standing_note(pipeline, standing))
    line = text("pipeline.ended", name=pipeline.name, state=long_standing(pipeline, standing))
    print(f"{line}: {note}" if note else line)
    if standing.state is RunState.FINISHED:
        print(text("pipeline.chat_hint", name=pipeline.name))
    else:
        print(text("pipeline.resume_hint", name=pipeline.name))
    return standing


def print_status(pipeline: Pipeline) -> None:
    """Where it stands, and each part."""
    standing = pipeline.standing()
    note = standing_note(pipeline, standing)
    facts = output.Facts()
    facts.add(text("command_line.column_run"), pipeline.name)
    facts.add(text("command_line.column_state"), long_standing(pipeline, standing), *([note] if note else []))
    facts.add(text("command_line.column_elapsed"), duration(pipeline.elapsed()))
    if (price := pipeline.price()) is not None:
        facts.add(text("pipeline.cost"), f"{price:,.2f}")
    facts.add(text("command_line.column_path"), str(pipeline.path))
    facts.add(text("command_line.column_log"), str(pipeline.log_file))
    facts.print()
    table = output.Table(
        [text(f"pipeline.column_{name}") for name in ("number", "part", "stage", "state", "time", "run")]
    )
    for number, (part, state) in enumerate(zip(pipeline.parts, pipeline.states(), strict=True), start=1):
        run = pipeline.run_of(part)
        status = run.status()
        time_spent = "" if status is None else duration(status.elapsed)
        table.add(str(number), part.name, part.recipe.method.stage, state_text(state), time_spent, run.name)
    table.print()


def json_of_pipeline(pipeline: Pipeline) -> dict[str, object]:
    """The stable JSON form; see docs/command-line.md."""
    standing = pipeline.standing()
    parts = []
    for part, state in zip(pipeline.parts, pipeline.states(), strict=True):
        run = pipeline.run_of(part)
        parts.append(
            {
                "name": part.name,
                "stage": part.recipe.method.stage,
                "state": None if state is None else state.value,
                "run": None if state is None else json_of(read_progress(run)),
            }
        )
    return {
        "kind": "pipeline",
        "name": pipeline.name,
        "path": str(pipeline.path),
        "state": standing.state.value,
        "part_number": standing.number,
        "part_name": pipeline.parts[standing.number - 1].name,
        "is_led": standing.is_led,
        "message": standing.text,
        "elapsed": pipeline.elapsed(),
        "price": pipeline.price(),
        "source": pipeline.source,
        "parts": parts,
    }


def watch_pipeline(pipeline: Pipeline, *, as_json: bool) -> int:
    """Tell where it stands until it ends; as JSON one object a line, when something but the clock changed."""
    if not as_json:
        return follow_pipeline(pipeline)
    shown: object = None
    while True:
        current = json_of_pipeline(pipeline)
        news = (current["state"], current["part_number"], current["message"], _steps_done(pipeline))
        if news != shown:
            print(json.dumps(output.finite(current)), flush=True)
            shown = news
        standing = pipeline.standing()
        if not (standing.state.alive or standing.is_led):
            return 0
        time.sleep(_POLL_SECONDS)


def _steps_done(pipeline: Pipeline) -> tuple[int, ...]:
    return tuple(status.step for run in pipeline.runs() if (status := run.status()) is not None)


def stop(pipeline: Pipeline, *, now: bool) -> int:
    """Let no further part begin, stop the one that goes, and wait until it has."""
    from tui.commands.runs import ask_to_stop, wait_for_end

    standing = pipeline.standing()
    if not (standing.state.alive or standing.is_led):
        print(text("command_line.not_running", name=pipeline.name, state=long_standing(pipeline, standing)))
        return 0
    asked = not standing.is_led  # else what leads asks the run
    stop_pipeline(pipeline, save=not now)
    print(text("command_line.stopping_now" if now else "command_line.stopping", name=pipeline.name))
    sys.stdout.flush()
    while (standing := pipeline.standing()).state.alive or standing.is_led:
        run = pipeline.run_of(pipeline.parts[standing.number - 1])
        if run.exists() and run.state().alive:
            if not asked and not standing.is_led:
                asked = True
                ask_to_stop(run, save=not now)
            wait_for_end(run, insist=now)
        time.sleep(_POLL_SECONDS)
    print(text("command_line.stopped", name=pipeline.name, state=long_standing(pipeline, standing)))
    if standing.state is not RunState.FINISHED:
        print(text("command_line.go_on_with", name=pipeline.name))
    return 0


def delete(pipeline: Pipeline, *, yes: bool) -> int:
    """Delete it with the runs of its parts; asks first on a terminal."""
    standing = pipeline.standing()
    if standing.state.alive or standing.is_led:
        hint = text("command_line.stop_first", name=pipeline.name)
        raise UserError(text("command_line.delete_running", name=pipeline.name), hint=hint)
    if not yes:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            problem = text("pipeline.delete_unconfirmed", name=pipeline.name)
            raise UserError(problem, hint=text("command_line.delete_with_yes"))
        if not is_yes(input(delete_question(pipeline) + " [y/N] ")):
            print(text("command_line.nothing_deleted"))
            return 1
    delete_pipeline(pipeline)
    print(text("pipeline.deleted", name=pipeline.name))
    return 0


def delete_question(pipeline: Pipeline) -> str:
    """What is asked before."""
    runs = pipeline.runs()
    checkpoints = sum(len(list_checkpoints(run.checkpoints_folder, verify="size")) for run in runs)
    names = ", ".join(run.name for run in runs) or "-"
    return text("pipeline.delete_question", name=pipeline.name, runs=names, checkpoints=checkpoints)


def is_yes(answer: str) -> bool:
    """Whether an answer to a question of a command means yes."""
    return answer.strip().lower() in ("y", "yes", "是")
