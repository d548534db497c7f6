"""Which checkpoint is meant by "the run": the newest, or the best one where the run was to end with it."""

from __future__ import annotations

from trainer.run.checkpoints import Checkpoint, inspect_checkpoint, latest_checkpoint
from trainer.run.directory import RunDirectory
from trainer.run.events import EndEvent
from trainer.run.journal import last_event

ENDS_WITH_BEST = "run_ends_with_best"


def result_checkpoint(run: RunDirectory) -> Checkpoint | None:
    """The whole checkpoint to chat with; None when the run has none.

    A run with `load_best_model_at_end` names its best step in its last event; should that one be damaged, the newest
    whole one is taken.
    """
    end = last_event(run)
    if isinstance(end, EndEvent) and end.id == ENDS_WITH_BEST:
        best = inspect_checkpoint(run.checkpoints_folder / f"step-{int(end.values['best']):08d}", verify="sha256")
        if isinstance(best, Checkpoint):
            return best
    return latest_checkpoint(run.checkpoints_folder)
