"""Where a run goes on: its newest whole checkpoint, and the settings that were changed live."""

from __future__ import annotations

from pathlib import Path

from trainer.errors import UserError
from trainer.run import (
    Checkpoint,
    CommandResultEvent,
    Damaged,
    RunDirectory,
    damaged_checkpoints,
    inspect_checkpoint,
    latest_checkpoint,
    list_checkpoints,
    read_events,
)
from trainer.run.messages import words

from .session import RunSession


def checkpoint_to_resume(session: RunSession, asked: str | None, *, resume: bool) -> Checkpoint | None:
    """The newest checkpoint of the run whose files all verify; for a fresh run the one that it `asked` for, if any.

    None when there is none and the run starts from the beginning.

    Raises:
        UserError: when all checkpoints of the run, or the one asked for, are damaged, or when it holds weights only
            (`save_only_model`).
    """
    checkpoint = latest_checkpoint(session.run.checkpoints_folder) if resume else None
    if checkpoint is None and asked is not None and asked != "latest":
        found = inspect_checkpoint(Path(asked).expanduser(), verify="sha256")
        if isinstance(found, Damaged):
            raise UserError(
                found.reason, field="resume_from_checkpoint", value=asked, hint="Choose a whole checkpoint."
            )
        checkpoint = found
    if resume:
        _tell_of_damaged(session, checkpoint)
    if checkpoint is not None and not (checkpoint.path / "optimizer.pt").is_file():
        raise UserError(
            "this checkpoint holds weights only, without the optimizer, because save_only_model was set",
            file=checkpoint.path,
            hint="Start a new run from it with adapter_name_or_path (LoRA) or model_name_or_path (full).",
        )
    return checkpoint


def _tell_of_damaged(session: RunSession, chosen: Checkpoint | None) -> None:
    """Say which checkpoints are passed over; refuse to start over in silence when all of them are damaged."""
    folder = session.run.checkpoints_folder
    damaged = {found.path.name: found.reason for found in damaged_checkpoints(folder, verify="size")}
    newest_good = -1 if chosen is None else chosen.step
    for found in list_checkpoints(folder, verify="size"):
        if found.step > newest_good:
            # By size it looks whole; had its hashes been right, it would have been chosen.
            damaged[found.path.name] = "its files do not match their hashes"
    if damaged and chosen is None:
        listed = "; ".join(f"{name}: {reason}" for name, reason in sorted(damaged.items()))
        raise UserError(
            f"no checkpoint of this run is whole ({listed})",
            file=folder,
            hint="Delete these folders to train the run from its beginning.",
        )
    for name, reason in sorted(damaged.items()):
        session.finding("warning", words("run_damaged_left_out", names=name, reason=reason))


def settings_journal(run: RunDirectory) -> list[CommandResultEvent]:
    """Every accepted `set` command of the run so far, in order."""
    events = (record.event for record in read_events(run))
    return [
        event for event in events if isinstance(event, CommandResultEvent) and event.verb == "set" and event.accepted
    ]
