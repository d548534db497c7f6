"""The parts of a pipeline as they will be, before any of them is there. Not what is found about them.

A part whose start is not there yet is judged with what the part before it starts from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.config import Finding, Preset, Recipe
from trainer.config.pipeline import Part, chained, needed_by
from trainer.errors import UserError
from tui.locale import text


@dataclass(frozen=True)
class PartAhead:
    """One part before the start."""

    number: int
    """From 1."""
    count: int
    part: Part
    recipe: Recipe | None
    """As it will start, as far as that is known; None when it cannot go on with what it gets."""
    needs: tuple[str, ...]
    """Parts whose results it starts from."""
    problem: str = ""
    """Why it cannot start at all."""

    @property
    def heading(self) -> str:
        """`Part 2 of 3: rm (rm)`."""
        stage = self.part.recipe.method.stage
        return text("pipeline.part_heading", number=self.number, count=self.count, part=self.part.name, stage=stage)

    @property
    def note(self) -> str:
        """That what it starts from is not there yet; empty where it starts from its own model."""
        if self.recipe is None or not self.needs:
            return ""
        model = self.recipe.model.model_name_or_path
        return text("pipeline.part_starts_from", parts=", ".join(self.needs), model=model)

    def that_hold(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Without those about a reward model that another part will have made by then."""
        awaited = self.recipe is not None and self.recipe.ppo.reward_model in self.needs
        return tuple(each for each in findings if not (awaited and each.id.startswith("reward_model_")))

    @property
    def preset(self) -> Preset | None:
        """The recipe as a preset of its own, for what examines presets."""
        if self.recipe is None:
            return None
        return Preset(self.part.name, Path(self.part.preset), (), self.recipe.tables(), self.recipe, "")


def parts_ahead(parts: Sequence[Part]) -> list[PartAhead]:
    """All parts before the start."""
    return [_ahead(parts, number) for number in range(len(parts))]


def _ahead(parts: Sequence[Part], number: int) -> PartAhead:
    needs = tuple(each.name for each in needed_by(parts, number))
    try:
        return PartAhead(number + 1, len(parts), parts[number], chained(parts, number, {}), needs)
    except UserError as error:
        return PartAhead(number + 1, len(parts), parts[number], None, needs, str(error))
