"""What there is to talk to, as a run's folder says it: checkpoint, prompts, settings, a newer one. Loads nothing.

Reads the disk: call it in a thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer.config import Recipe
from trainer.config.form import IN_ANSWERING
from trainer.config.tables.generation import GenerationTable
from trainer.errors import UserError
from trainer.run import RunDirectory, list_checkpoints, result_checkpoint
from tui.locale import text


@dataclass(frozen=True)
class Opening:
    """What is known of a run before its checkpoint is loaded."""

    path: str
    run: Path | None
    suggestion: str = ""
    system: str = ""
    generation: Mapping[str, object] = field(default_factory=dict)
    goes_on: bool = False
    """The run is being trained further."""


def find_opening(checkpoint: Path | None, run: Path | None) -> Opening:
    """Look up what a run says about itself. Reads the disk.

    Raises:
        UserError: the run has no whole checkpoint yet, or its recipe cannot be read.
    """
    if run is None:
        return Opening(str(checkpoint), None)
    directory = RunDirectory(run)
    if checkpoint is None:
        found = result_checkpoint(directory)
        if found is None:
            raise UserError(text("chat.no_checkpoint", run=directory.name))
        checkpoint = found.path
    with contextlib.suppress(UserError):
        recipe = directory.recipe()
        prompts = recipe.train.sample_prompts or [text("chat.first_prompt")]
        return Opening(
            str(checkpoint),
            run,
            suggestion=prompts[0],
            system=recipe.data.default_system or "",
            generation=_draw(recipe).model_dump(),
            goes_on=directory.state().alive,
        )
    return Opening(str(checkpoint), run)


def _draw(recipe: Recipe) -> GenerationTable:
    """How answers are drawn: as the recipe says, where that is not how the training explored."""
    return GenerationTable() if recipe.method.stage in IN_ANSWERING.values else recipe.generation


def step_of(path: str) -> int:
    """The step that stands in the name of a checkpoint's folder; 0 when there is none."""
    digits = Path(path).name.removeprefix("step-")
    return int(digits) if digits.isdecimal() else 0


def newer_step(run: Path, step: int) -> int:
    """The step of the run's newest whole checkpoint when it is newer than `step`, else 0. Reads the disk."""
    try:
        whole = list_checkpoints(RunDirectory(run).checkpoints_folder, verify="size")
    except OSError:
        return 0  # one may be rotated away while it is read
    newest = whole[-1].step if whole else 0
    return newest if newest > step else 0
