"""Where a run goes on: its newest whole checkpoint, and the settings that were changed live."""

from __future__ import annotations

from pathlib import Path

from trainer.errors import UserError
from trainer.run import (
    Checkpoint,
    CommandResultEvent,
    Damaged,
    RunDirectory,
    inspect_checkpoint,
    latest_checkpoint,
    list_checkpoints,
    read_events,
)


def checkpoint_to_resume(run: RunDirectory, asked: str | None, *, resume: bool) -> Checkpoint | None:
    """The newest checkpoint of the run whose files all verify; for a fresh run the one that it `asked` for, if any.

    None when there is none and the run starts from the beginning.

    Raises:
        UserError: when the checkpoint asked for is damaged, or holds weights only (`save_only_model`).
    """
    checkpoint = latest_checkpoint(run.checkpoints_folder) if resume else None
    if checkpoint is None and asked is not None and asked != "latest":
        found = inspect_checkpoint(Path(asked).expanduser(), verify="sha256")
        if isinstance(found, Damaged):
            raise UserError(
                found.reason, field="resume_from_checkpoint", value=asked, hint="Choose a whole checkpoint."
            )
        checkpoint = found
    if resume:
        _warn_of_damaged(run, newer_than=-1 if checkpoint is None else checkpoint.step)
    if checkpoint is not None and not (checkpoint.path / "optimizer.pt").is_file():
        raise UserError(
            "this checkpoint holds weights only, without the optimizer, because save_only_model was set",
            file=checkpoint.path,
            hint="Start a new run from it with adapter_name_or_path (LoRA) or model_name_or_path (full).",
        )
    return checkpoint


def _warn_of_damaged(run: RunDirectory, *, newer_than: int) -> None:
    """By size these look whole; as they are newer than the newest good one, their hashes were wrong."""
    for found in list_checkpoints(run.checkpoints_folder, verify="size"):
        if found.step > newer_than:
            print(f"warning: {found.path.name} is left out: its files do not match their hashes", flush=True)


def settings_journal(run: RunDirectory) -> list[CommandResultEvent]:
    """Every accepted `set` command of the run so far, in order."""
    events = (record.event for record in read_events(run))
    return [
        event for event in events if isinstance(event, CommandResultEvent) and event.verb == "set" and event.accepted
    ]
