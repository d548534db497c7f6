"""Where a run goes on: its newest whole checkpoint, and the settings that were changed live."""

from __future__ import annotations

from trainer.errors import UserError
from trainer.run import Checkpoint, CommandResultEvent, RunDirectory, latest_checkpoint, list_checkpoints, read_events


def checkpoint_to_resume(run: RunDirectory) -> Checkpoint | None:
    """The newest checkpoint whose files all verify; None when the run has none yet and starts from the beginning.

    Raises:
        UserError: when the checkpoint holds weights only (`save_only_model`).
    """
    checkpoint = latest_checkpoint(run.checkpoints_folder)
    newest_good = -1 if checkpoint is None else checkpoint.step
    # By size all look whole; what is newer than the newest good one failed its hashes.
    for other in list_checkpoints(run.checkpoints_folder, verify="size"):
        if other.step > newest_good:
            print(f"warning: {other.path.name} is damaged (its files do not match their hashes) and is left out", flush=True)
    if checkpoint is not None and not (checkpoint.path / "optimizer.pt").is_file():
        raise UserError(
            "this checkpoint holds weights only, without the optimizer, because save_only_model was set",
            file=checkpoint.path,
            hint="Start a new run from it with adapter_name_or_path (LoRA) or model_name_or_path (full).",
        )
    return checkpoint


def settings_journal(run: RunDirectory) -> list[CommandResultEvent]:
    """Every accepted `set` command of the run so far, in order."""
    events = (record.event for record in read_events(run))
    return [
        event for event in events if isinstance(event, CommandResultEvent) and event.verb == "set" and event.accepted
    ]
