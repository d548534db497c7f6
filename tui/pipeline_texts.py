"""What is said about a pipeline, in the language in force: for commands and screens alike. Draws nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainer.run import RunState
from tui.locale import text
from tui.localized import localized

if TYPE_CHECKING:
    from trainer.run.pipeline import Pipeline, Standing


def state_text(state: RunState | None) -> str:
    """The word for the state of a part; one that has not begun waits."""
    return text("pipeline.waits") if state is None else text(f"common.state_{state.value}")


def short_standing(standing: Standing, count: int) -> str:
    """`running 2/3`; of a finished pipeline the word alone."""
    if standing.state is RunState.FINISHED:
        return state_text(standing.state)
    return text("pipeline.state_of", state=state_text(standing.state), number=standing.number, count=count)


def long_standing(pipeline: Pipeline, standing: Standing) -> str:
    """`running, part 2 of 3: rm`; of a finished pipeline the word alone."""
    state = state_text(standing.state)
    if standing.state is RunState.FINISHED:
        return state
    part = pipeline.parts[standing.number - 1].name
    return text("pipeline.at_part", state=state, number=standing.number, count=len(pipeline.parts), part=part)


def standing_note(pipeline: Pipeline, standing: Standing) -> str:
    """Why it does not go on, or soon will not; empty when there is nothing to say."""
    part = pipeline.parts[standing.number - 1].name
    if standing.needs_leader:
        return text("pipeline.needs_leader", part=part, name=pipeline.name)
    if standing.text:
        return " ".join(localized(standing.id, standing.values, standing.text).split())
    if standing.state is RunState.LOST and pipeline.state_of(pipeline.parts[standing.number - 1]) is None:
        return text("pipeline.lost", name=pipeline.name)
    return ""
