"""A pipeline as it lies on the disk, and how it stands. Not for what leads it from part to part (`leading`).

`runs/NAME/` holds the recipes as they were at the start and what the process that leads it has to say. Each part is a
run of its own beside it, `runs/NAME.STEP`; how far the pipeline is, its runs say.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from trainer import paths
from trainer.config import Recipe
from trainer.config.pipeline import Part, chained, overridden, overrides_of_parts
from trainer.errors import UserError
from trainer.run.directory import RunDirectory, check_run_name, list_runs, noted_folders, register
from trainer.run.files import read_json, to_json, write_whole
from trainer.run.process import ProcessIdentity, is_alive
from trainer.run.result import result_checkpoint
from trainer.run.status import RunState

FORMAT = 1
_RECORD = "pipeline.json"
_SILENT_SECONDS = 60.0
"""A leader of another machine counts as gone after so long without a sign."""


@dataclass(frozen=True)
class Leader:
    """What the process that leads a pipeline said last. `reason` is empty while it leads, then finished, stopped or
    failed; `id`, `values` and `text` are its words about that."""

    process: ProcessIdentity
    reason: str = ""
    id: str = ""
    text: str = ""
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """Where a pipeline is."""

    state: RunState
    """That of the part which it is at; `preparing` between two parts, `finished` when all are."""
    number: int
    """The part that it is at, from 1: the one that goes, ended badly, or comes next."""
    is_led: bool
    """Somebody starts the next part when this one ends."""
    id: str = ""
    text: str = ""
    values: dict[str, object] = field(default_factory=dict)
    """Why it does not go on: English text, with what makes it in another language."""

    @property
    def needs_leader(self) -> bool:
        """A part goes, but nothing comes after it until the pipeline is resumed."""
        return self.state.alive and not self.is_led

    @property
    def can_be_resumed(self) -> bool:
        """Nobody leads it, and it is not at its end."""
        return self.state is not RunState.FINISHED and not self.is_led


@dataclass(frozen=True)
class Pipeline:
    """Parts under one name."""

    path: Path
    parts: tuple[Part, ...]
    working_folder: Path
    """Where relative paths of the recipes begin."""
    source: str = ""
    """The file that it was made from."""
    created: float = 0.0

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def record(self) -> Path:
        """The recipes; a folder without it is no pipeline."""
        return self.path / _RECORD

    @property
    def leader_file(self) -> Path:
        """What the process that leads it says."""
        return self.path / "status.json"

    @property
    def log_file(self) -> Path:
        """What that process printed."""
        return self.path / "leader.log"

    @property
    def stop_file(self) -> Path:
        """While it is there, no further part begins."""
        return self.path / "stop"

    @property
    def lock_file(self) -> Path:
        """Locked by the process that leads."""
        return self.path / ".lock"

    def run_of(self, part: Part) -> RunDirectory:
        """The run of a part; it may not be there yet."""
        return RunDirectory(self.path.with_name(f"{self.name}.{part.name}"))

    def runs(self) -> list[RunDirectory]:
        """The runs that are there, in the order of the parts."""
        return [run for run in map(self.run_of, self.parts) if run.exists()]

    def state_of(self, part: Part) -> RunState | None:
        """How the run of a part is; None when it has not begun."""
        run = self.run_of(part)
        return run.state() if run.exists() else None

    def states(self) -> tuple[RunState | None, ...]:
        """The states of all parts."""
        return tuple(map(self.state_of, self.parts))

    def results(self) -> dict[str, str]:
        """The checkpoint that each finished part ends with."""
        found = {}
        for part in self.parts:
            if self.state_of(part) is RunState.FINISHED and (checkpoint := result_checkpoint(self.run_of(part))):
                found[part.name] = str(checkpoint.path)
        return found

    def recipe_of(self, number: int) -> Recipe:
        """The recipe of a part; a result that is not there yet is stood in for as `chained` does it."""
        return chained(self.parts, number, self.results())

    def current_run(self) -> RunDirectory | None:
        """The run to look at: of the part that goes or ended badly, else of the last one; None before the first."""
        at = self.parts[self.standing().number - 1]
        runs = self.runs()
        return self.run_of(at) if self.run_of(at).exists() else runs[-1] if runs else None

    def result_run(self, *, scores: bool = False) -> RunDirectory | None:
        """The run whose model is the pipeline's so far: of the last part with a whole checkpoint that writes answers,
        or that `scores` them.
        """
        meant = [self.run_of(part) for part in self.parts if (part.recipe.method.stage == "rm") == scores]
        return next((run for run in reversed(meant) if run.exists() and result_checkpoint(run) is not None), None)

    def leader(self) -> Leader | None:
        """What the process that leads it said last; None before there was one."""
        record = read_json(self.leader_file)
        try:
            return None if record is None else _leader(record)
        except (KeyError, TypeError, ValueError):
            return None

    def is_led(self) -> bool:
        """Whether a process leads it now."""
        leader = self.leader()
        if leader is None or leader.reason:
            return False
        alive = is_alive(leader.process)
        if alive is not None:
            return alive
        with suppress(OSError):
            return time.time() - self.leader_file.stat().st_mtime < _SILENT_SECONDS
        return False

    def standing(self) -> Standing:
        """Where it is, from the runs of its parts and the process that leads them."""
        states, is_led = self.states(), self.is_led()
        if all(state is RunState.FINISHED for state in states):
            return Standing(RunState.FINISHED, len(states), is_led)
        for number, state in enumerate(states, start=1):
            if state is not None and state.alive:
                return Standing(state, number, is_led)
        at = next(place for place, state in enumerate(states) if state is not RunState.FINISHED)
        if is_led:
            return Standing(RunState.PREPARING, at + 1, is_led)
        leader = self.leader()
        if leader is not None and leader.reason == "failed":
            return Standing(RunState.FAILED, at + 1, is_led, leader.id, leader.text, leader.values)
        state = states[at]
        if state is not None:
            status = self.run_of(self.parts[at]).status()
            return Standing(state, at + 1, is_led, text=status.message if status is not None else "")
        ended = leader is not None and leader.reason
        return Standing(RunState.STOPPED if ended else RunState.LOST, at + 1, is_led)

    def elapsed(self) -> float:
        """Seconds that trainers have worked on its parts."""
        return sum(status.elapsed for run in self.runs() if (status := run.status()) is not None)

    def price(self) -> float | None:
        """What that time has cost; None where no part has a `price_per_hour`."""
        found = [
            status.elapsed / 3600 * price
            for part in self.parts
            if (price := part.recipe.train.price_per_hour) and (status := self.run_of(part).status()) is not None
        ]
        return sum(found) if found else None

    def with_overrides(self, overrides: Sequence[str]) -> Pipeline:
        """Change parts that have not begun, in the record too.

        Raises:
            UserError: a word means no part, or one that has begun; a value is wrong.
        """
        parts = list(self.parts)
        words = overrides_of_parts([part.name for part in parts], overrides)
        for place, own in enumerate(words):
            if not own:
                continue
            if self.state_of(parts[place]) is not None:
                run = self.run_of(parts[place]).name
                hint = f"`trimtab delete {run}` lets it begin anew"
                raise UserError(f"part {parts[place].name} has begun: its settings stay", field=own[0], hint=hint)
            parts[place] = overridden(parts[place], own)
        changed = Pipeline(self.path, tuple(parts), self.working_folder, self.source, self.created)
        write_whole(changed.record, _encoded(changed), durable=True)
        return changed


def create_pipeline(name: str, parts: Sequence[Part], folder: Path | None = None, *, source: str = "") -> Pipeline:
    """Make the folder of a new pipeline.

    Raises:
        UserError: when the name is none, something of that name is there, or the disk refuses.
    """
    check_run_name(name, "--name")
    parent = (folder or paths.runs_folder()).resolve()
    pipeline = Pipeline(parent / name, tuple(parts), Path.cwd(), source, time.time())
    taken = [pipeline.path, *(pipeline.run_of(part).path for part in parts)]
    if there := next((path for path in taken if path.exists()), None):
        raise UserError(f"{there.name} is there already", field="--name", value=name, hint="Choose another name.")
    staging = parent / f".creating-{os.getpid()}-{time.monotonic_ns()}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir(mode=0o700)
        write_whole(staging / _RECORD, _encoded(pipeline), durable=True)
        staging.rename(pipeline.path)
        register(pipeline.path)
    except OSError as error:
        raise UserError(f"cannot make the pipeline: {error.strerror}", file=error.filename or parent) from error
    return pipeline


def list_pipelines() -> list[Pipeline]:
    """All pipelines that can be read, newest first."""
    found = {path: pipeline for path in noted_folders() if (pipeline := _read(path)) is not None}
    return sorted(found.values(), key=lambda pipeline: (-pipeline.created, str(pipeline.path)))


def list_all() -> list[RunDirectory | Pipeline]:
    """Everything that there is, newest first: runs that are no parts, and each pipeline where its newest part is."""
    pipelines = list_pipelines()
    whose = {run.path: pipeline for pipeline in pipelines for run in map(pipeline.run_of, pipeline.parts)}
    found: dict[Path, RunDirectory | Pipeline] = {each.path: each for each in pipelines if not each.runs()}
    for run in list_runs():
        each = whose.get(run.path, run)
        found.setdefault(each.path, each)
    return list(found.values())


def find_pipeline(name_or_path: str | Path) -> Pipeline | None:
    """The pipeline of that name or folder; None when there is none."""
    given = Path(name_or_path).expanduser()
    if "/" in str(name_or_path) or given.name in ("", ".", ".."):
        return _read(given.resolve())
    here = _read(paths.runs_folder() / given)
    return here or next((each for each in list_pipelines() if each.name == str(name_or_path)), None)


def pipeline_of(run: RunDirectory) -> Pipeline | None:
    """The pipeline that a run is a part of; None when it is none."""
    name, dot, part = run.name.rpartition(".")
    pipeline = _read(run.path.with_name(name)) if dot and name else None
    return pipeline if pipeline is not None and any(each.name == part for each in pipeline.parts) else None


def _read(folder: Path) -> Pipeline | None:
    try:
        return _read_once(folder, (folder / _RECORD).stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=256)
def _read_once(folder: Path, changed: int) -> Pipeline | None:
    """The pipeline as it was written at `changed`: checking recipes takes milliseconds, and lists look often."""
    record = read_json(folder / _RECORD)
    if record is None:
        return None
    try:
        return _decoded(folder, record)
    except (KeyError, TypeError, ValueError):  # pydantic's error is a ValueError
        return None


def _encoded(pipeline: Pipeline) -> bytes:
    parts = [
        {
            "name": part.name,
            "starts_from": part.starts_from,
            "preset": part.preset,
            "recipe": part.recipe.model_dump(mode="json", exclude_none=True),
        }
        for part in pipeline.parts
    ]
    content = {
        "format": FORMAT,
        "created": pipeline.created,
        "source": pipeline.source,
        "working_folder": str(pipeline.working_folder),
        "parts": parts,
    }
    return to_json(content)


def _decoded(folder: Path, record: dict[str, Any]) -> Pipeline:
    parts = tuple(
        Part(part["name"], Recipe.model_validate(part["recipe"]), part["starts_from"], part["preset"])
        for part in record["parts"]
    )
    return Pipeline(folder, parts, Path(record["working_folder"]), record["source"], float(record["created"]))


def write_leader(pipeline: Pipeline, leader: Leader) -> None:
    """Say who leads, and how that ended. Raises: OSError."""
    write_whole(pipeline.leader_file, to_json(asdict(leader)))


def _leader(record: dict[str, Any]) -> Leader:
    return Leader(
        ProcessIdentity(**record["process"]), record["reason"], record["id"], record["text"], dict(record["values"])
    )
