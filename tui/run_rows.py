"""What the Runs screen knows of each run, read from the run directories. No textual; call it in a thread.

The list reads small files only: status.json each time, the recipe once, checkpoints when their folder changed.
"""

from __future__ import annotations

import contextlib
import time
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from trainer.config import Change, Hardware, Preset, load_preset, resolve
from trainer.config.pipeline import Part
from trainer.errors import UserError
from trainer.run import (
    Checkpoint,
    Damaged,
    Identity,
    RunDirectory,
    RunState,
    Status,
    damaged_checkpoints,
    list_checkpoints,
)
from trainer.run.pipeline import Pipeline, Standing, list_all


@dataclass(frozen=True)
class RunFacts:
    """What does not change while a run lives."""

    created: float
    preset: str
    stage: str
    method: str
    model: str


@dataclass(frozen=True)
class RunRow:
    """One line of the table. Times in seconds; `bytes` is what the checkpoints take."""

    path: Path
    name: str
    state: RunState | None
    """None: a part that has not begun."""
    facts: RunFacts
    step: int
    total_steps: int
    loss: float | None
    elapsed: float
    age: float
    checkpoints: int
    bytes: int
    message: str
    pipeline: Pipeline | None = None
    """The pipeline that the line is about, or of which its run is a part."""
    number: int = 0
    """Which part of it; 0 is the whole, whose `step` is the part that it is at."""
    standing: Standing | None = None
    """Where the pipeline is, of the whole."""
    price: float | None = None

    @property
    def is_pipeline(self) -> bool:
        """The line is about a pipeline as a whole."""
        return self.pipeline is not None and not self.number

    @property
    def gives_numbers(self) -> bool:
        """Its model scores answers; of a pipeline, that of every part does."""
        return set(self.facts.stage.split("→")) == {"rm"}

    @property
    def has_begun(self) -> bool:
        """There is a run; a part that waits has none."""
        return self.state is not None

    @property
    def alive(self) -> bool:
        """Somebody works on it."""
        led = self.standing is not None and self.standing.is_led
        return led or (self.state is not None and self.state.alive)

    def matches(self, words: str) -> bool:
        """Whether every word occurs in what the table shows of this run."""
        facts = self.facts
        state = self.state.value if self.state is not None else ""
        said = f"{self.name} {state} {facts.stage} {facts.method} {facts.model} {facts.preset}".lower()
        return all(word in said for word in words.lower().split())


@dataclass(frozen=True)
class RunDetails:
    """More about one run: what the user changed, and what can be resumed or talked to."""

    row: RunRow
    identity: Identity | None
    changes: tuple[Change, ...]
    """Before: the preset's value; after: the run's."""
    changes_note: str
    """What there is to compare with no more, or cannot be read: the preset's name, or the error."""
    checkpoints: tuple[Checkpoint, ...]
    damaged: tuple[Damaged, ...]
    verified: bool
    """Whether every byte was looked at, not only the sizes."""
    parts: tuple[RunRow, ...] = ()
    """Of a pipeline."""


def shown_rows(rows: Sequence[RunRow], words: str, folded: Collection[Path]) -> list[RunRow]:
    """The rows that the filter's words leave: a pipeline with all its parts, or with those that are meant.

    The parts of pipelines that are `folded` are left out.
    """
    wholes = {row.path for row in rows if row.is_pipeline and row.matches(words)}
    meant = {row.pipeline.path for row in rows if row.number and row.pipeline is not None and row.matches(words)}
    found = []
    for row in rows:
        if row.pipeline is None:
            fits = row.matches(words)
        elif row.is_pipeline:
            fits = row.path in wholes or row.path in meant
        else:
            fits = row.pipeline.path not in folded and (row.pipeline.path in wholes or row.matches(words))
        if fits:
            found.append(row)
    return found


class RunCatalogue:
    """Reads all runs again and again, and each thing no more often than it can change."""

    def __init__(self) -> None:
        self._facts: dict[Path, RunFacts] = {}
        self._folders: dict[Path, tuple[int, int, int]] = {}
        self._changes: dict[Path, tuple[tuple[Change, ...], str]] = {}

    def rows(self) -> list[RunRow]:
        """All runs, newest first, each pipeline with its parts behind it; what vanishes or is damaged while being read
        is left out.
        """
        found: list[RunRow] = []
        for each in list_all():
            try:
                if isinstance(each, RunDirectory):
                    found.append(self._row(each))
                else:
                    found += self._pipeline_rows(each)
            except (UserError, OSError):
                continue
        return found

    def _pipeline_rows(self, pipeline: Pipeline) -> list[RunRow]:
        """A pipeline as a whole, then each part."""
        parts = []
        for number, part in enumerate(pipeline.parts, start=1):
            run = pipeline.run_of(part)
            row = self._row(run) if run.exists() else _waiting(part, run)
            parts.append(replace(row, pipeline=pipeline, number=number))
        standing = pipeline.standing()
        whole = RunRow(
            path=pipeline.path,
            name=pipeline.name,
            state=standing.state,
            facts=replace(
                parts[0].facts,
                created=pipeline.created,
                preset=pipeline.source,
                stage="→".join(part.recipe.method.stage for part in pipeline.parts),
                method="",
            ),
            step=standing.number,
            total_steps=len(parts),
            loss=None,
            elapsed=sum(row.elapsed for row in parts),
            age=time.time() - pipeline.created,
            checkpoints=sum(row.checkpoints for row in parts),
            bytes=sum(row.bytes for row in parts),
            message="",
            pipeline=pipeline,
            standing=standing,
            price=pipeline.price(),
        )
        return [whole, *parts]

    def details(self, row: RunRow, *, verify: bool = False) -> RunDetails:
        """Everything about one run; `verify` reads every byte of its checkpoints. Of a pipeline, its parts."""
        if row.is_pipeline and row.pipeline is not None:
            parts = tuple(self._pipeline_rows(row.pipeline)[1:])
            return RunDetails(row, None, (), "", (), (), False, parts)
        if not row.has_begun:
            return RunDetails(row, None, (), row.facts.preset, (), (), False)
        run = RunDirectory(row.path)
        try:
            identity: Identity | None = run.identity()
        except UserError:
            identity = None
        if row.path not in self._changes:
            self._changes[row.path] = _changes(run, identity)
        changes, note = self._changes[row.path]
        level: Literal["size", "sha256"] = "sha256" if verify else "size"
        whole: list[Checkpoint] = []
        damaged: list[Damaged] = []
        with contextlib.suppress(OSError):  # one may be rotated away while it is read
            whole = list_checkpoints(run.checkpoints_folder, verify=level)
            damaged = damaged_checkpoints(run.checkpoints_folder, verify=level)
        return RunDetails(row, identity, changes, note, tuple(whole), tuple(damaged), verify)

    def _row(self, run: RunDirectory) -> RunRow:
        facts = self._facts.get(run.path)
        if facts is None:
            facts = self._facts[run.path] = _facts(run)
        state = run.state()
        status = run.status() or Status()
        now = time.time()
        until = now if state.alive else max(status.updated, status.started)
        checkpoints, size = self._checkpoint_folder(run.checkpoints_folder)
        return RunRow(
            path=run.path,
            name=run.name,
            state=state,
            facts=facts,
            step=status.step,
            total_steps=status.total_steps,
            loss=status.loss,
            elapsed=status.seconds_before + until - status.started if status.started else 0.0,
            age=now - facts.created,
            checkpoints=checkpoints,
            bytes=size,
            message=status.message,
        )

    def _checkpoint_folder(self, folder: Path) -> tuple[int, int]:
        """How many, and how many bytes; looked up anew when a checkpoint came or went."""
        try:
            changed = folder.stat().st_mtime_ns
            known = self._folders.get(folder)
            if known is None or known[0] != changed:
                whole = list_checkpoints(folder, verify="size")
                known = self._folders[folder] = (changed, len(whole), sum(one.bytes for one in whole))
        except OSError:
            return 0, 0
        return known[1], known[2]


def _waiting(part: Part, run: RunDirectory) -> RunRow:
    """The line of a part that has not begun."""
    recipe = part.recipe
    facts = RunFacts(
        created=time.time(),
        preset=Path(part.preset).stem,
        stage=recipe.method.stage,
        method=recipe.method.finetuning_type,
        model=str(recipe.model.model_name_or_path),
    )
    return RunRow(run.path, run.name, None, facts, 0, 0, None, 0.0, 0.0, 0, 0, "")


def _facts(run: RunDirectory) -> RunFacts:
    identity = run.identity()
    try:
        # Not `run.recipe()`: checking a recipe takes longer than reading the three words that are shown.
        tables: dict[str, Any] = tomllib.loads(run.recipe_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        tables = {}
    method, model = tables.get("method", {}), tables.get("model", {})
    return RunFacts(
        created=identity.created,
        preset=identity.preset,
        stage=str(method.get("stage", "?")),
        method=str(method.get("finetuning_type", "?")),
        model=str(model.get("model_name_or_path", "?")),
    )


def _changes(run: RunDirectory, identity: Identity | None) -> tuple[tuple[Change, ...], str]:
    """What the run's recipe has other than the preset that it was made from, automatic choices left out."""
    preset = _preset_of(identity) if identity is not None else None
    if preset is None:
        return (), identity.preset if identity is not None else "?"
    try:
        preset = replace(preset, recipe=resolve(preset.recipe, Hardware.detect()).recipe)
        return load_preset(run.recipe_file).changed_from(preset), ""
    except UserError as error:
        return (), str(error)


def _preset_of(identity: Identity) -> Preset | None:
    """The preset's file as the run noted it, else the preset of this name; None when there is neither any more."""
    noted = str(identity.extra.get("preset_path", ""))
    beside = Path(identity.working_folder) / identity.preset
    for place in (noted, str(beside) if beside.suffix == ".toml" else "", identity.preset):
        if place:
            with contextlib.suppress(UserError):
                return load_preset(place)
    return None
