"""What the Runs screen knows of each run, read from the run directories. No textual; call it in a thread.

The list reads small files only: status.json each time, the recipe once, checkpoints when their folder changed.
"""

from __future__ import annotations

import contextlib
import time
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from trainer.config import Change, Hardware, Preset, load_preset, resolve
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
    list_runs,
)


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
    state: RunState
    facts: RunFacts
    step: int
    total_steps: int
    loss: float | None
    elapsed: float
    age: float
    checkpoints: int
    bytes: int
    message: str

    def matches(self, words: str) -> bool:
        """Whether every word occurs in what the table shows of this run."""
        facts = self.facts
        said = f"{self.name} {self.state.value} {facts.stage} {facts.method} {facts.model} {facts.preset}".lower()
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


class RunCatalogue:
    """Reads all runs again and again, and each thing no more often than it can change."""

    def __init__(self) -> None:
        self._facts: dict[Path, RunFacts] = {}
        self._folders: dict[Path, tuple[int, int, int]] = {}
        self._changes: dict[Path, tuple[tuple[Change, ...], str]] = {}

    def rows(self) -> list[RunRow]:
        """All runs, newest first; those that vanish or are damaged while being read are left out."""
        found = []
        for run in list_runs():
            try:
                found.append(self._row(run))
            except (UserError, OSError):
                continue
        return found

    def details(self, row: RunRow, *, verify: bool = False) -> RunDetails:
        """Everything about one run; `verify` reads every byte of its checkpoints."""
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
