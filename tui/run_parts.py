"""Where a run stands in its pipeline, looked at again and again. For runs that are no parts it costs nothing.

Reads the disk: call it in a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.run import RunDirectory, RunState
    from trainer.run.pipeline import Pipeline, Standing


@dataclass(frozen=True)
class PartOf:
    """A run as part of a pipeline, at one moment."""

    pipeline: Pipeline
    number: int
    """Which part, from 1."""
    states: tuple[RunState | None, ...]
    """Of all parts; None has not begun."""
    standing: Standing

    @property
    def name(self) -> str:
        """What the part is called."""
        return self.pipeline.parts[self.number - 1].name

    @property
    def going_later(self) -> Path | None:
        """The run of a later part that goes now."""
        for part, state in list(zip(self.pipeline.parts, self.states, strict=True))[self.number :]:
            if state is not None and state.alive:
                return self.pipeline.run_of(part).path
        return None

    def beside(self, by: int) -> tuple[str, Path | None] | None:
        """Name and run of the part so many further; the run is None before it has begun, all of it beyond the ends."""
        place = self.number - 1 + by
        if not 0 <= place < len(self.states):
            return None
        part = self.pipeline.parts[place]
        return part.name, None if self.states[place] is None else self.pipeline.run_of(part).path


class PartWatch:
    """Knows the pipeline of one run; its recipes are read once."""

    def __init__(self, run: RunDirectory) -> None:
        self._pipeline: Pipeline | None = None
        self._number = 0
        # Only who looks at a part pays for the import.
        if "." in run.name:
            from trainer.run.pipeline import pipeline_of

            self._pipeline = pipeline_of(run)
        if self._pipeline is not None:
            names = [self._pipeline.run_of(part).name for part in self._pipeline.parts]
            self._number = names.index(run.name) + 1

    def look(self) -> PartOf | None:
        """How all parts stand now; None for a run that is no part."""
        if self._pipeline is None:
            return None
        return PartOf(self._pipeline, self._number, self._pipeline.states(), self._pipeline.standing())
