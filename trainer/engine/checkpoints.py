"""Whole checkpoints for a Hugging Face Trainer: all goes to a staging folder that appears under its name at once."""

from __future__ import annotations

import errno
import json
import time
from pathlib import Path
from typing import Any

from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import ExportableState

from trainer.model import pissa
from trainer.run import (
    Checkpoint,
    CheckpointEvent,
    clean_staging,
    list_checkpoints,
    rotate_checkpoints,
    write_checkpoint,
)
from trainer.run.messages import words

from .session import RunSession

# How safetensors and torch.save tell it; the latter loses the error number, and words it by where the room ended.
_SIGNS_OF_A_FULL_DISK = (
    "No space left on device",
    "PytorchStreamWriter failed",
    "unexpected pos",
    "iostream error",
)
# Written by transformers and peft beside the weights: a pickle that nothing of ours reads, and a model card template.
_UNWANTED = ("training_args.bin", "README.md")


class CheckpointWriter:
    """Saves a trainer's state into the run's `checkpoints/` folder and keeps the right number of them."""

    def __init__(
        self, session: RunSession, details: dict[str, object], keep: int | None, save_only_model: bool
    ) -> None:
        self._session = session
        self._folder = session.run.checkpoints_folder
        self._details = details
        self._keep = keep
        self._save_only_model = save_only_model
        self.last_step = -1
        clean_staging(self._folder)

    def save(self, trainer: Any, reason: str) -> Checkpoint | None:
        """Save now; None when the disk is full, which is reported and costs no running state.

        Raises:
            Exception: whatever makes writing fail, but for a full disk.
        """
        step = int(trainer.state.global_step)
        self._session.phase("saving", f"step {step}")
        started = time.perf_counter()
        details = {
            **self._details,
            "step": step,
            "epoch": trainer.state.epoch,
            "reason": reason,
            "evaluation_due": trainer.evaluation_is_due(),
            "stage_state": trainer.stage_state(),
        }
        try:
            checkpoint = write_checkpoint(
                self._folder, step, lambda staging: self._fill(trainer, staging, details), details=details
            )
        except Exception as error:
            # torch.save and safetensors wrap a full disk into errors of their own.
            if not _is_full(error):
                raise
            self._session.spend_reserve()
            self._session.finding("error", words("run_disk_full", folder=str(self._folder), step=step), step)
            return None
        finally:
            self._session.phase("running")
        self.last_step = step
        self._session.keep_reserve()
        self._session.events.write(
            CheckpointEvent(
                step=step,
                path=checkpoint.path.name,
                bytes=checkpoint.bytes,
                seconds=time.perf_counter() - started,
                reason=reason,
            )
        )
        self._session.status.update(last_checkpoint=checkpoint.path.name)
        self._rotate(trainer)
        return checkpoint

    def _fill(self, trainer: Any, staging: Path, details: dict[str, object]) -> None:
        # Schedule-free optimizers train one set of weights and mean another. On the way back they round, now as after
        # a resume.
        trainer.optimizer.eval()
        trainer.save_model(str(staging), _internal_call=True)
        if pissa.has_start(trainer.model):
            pissa.finish_checkpoint(staging, trainer.recipe)
        generation = staging / "generation_config.json"
        model = trainer.accelerator.unwrap_model(trainer.model)
        if not generation.exists() and model.can_generate():
            # Adapters are saved without it, and it says where answers end.
            generation.write_text(model.generation_config.to_json_string(), encoding="utf-8")
        if not self._save_only_model:
            trainer._save_optimizer_and_scheduler(str(staging))
            trainer._save_scaler(str(staging))
            trainer._save_rng_state(str(staging))
            trainer.save_stage(staging)
        for part in [*trainer.callback_handler.callbacks, trainer.control]:
            if isinstance(part, ExportableState):
                trainer.state.stateful_callbacks[type(part).__name__] = part.state()
        trainer.state.save_to_json(str(staging / TRAINER_STATE_NAME))
        (staging / "trimtab.json").write_text(json.dumps(details, ensure_ascii=False, indent=1), encoding="utf-8")
        for name in _UNWANTED:
            (staging / name).unlink(missing_ok=True)

    def _rotate(self, trainer: Any) -> None:
        best = self.path_of(trainer.state.best_global_step) if trainer.state.best_global_step else None
        if best is not None:
            trainer.state.best_model_checkpoint = str(best)
        if self._keep is not None:
            rotate_checkpoints(self._folder, self._keep, protect=[trainer.state.best_global_step or 0])

    def path_of(self, step: int) -> Path | None:
        """The whole checkpoint of a step, or None."""
        return next((found.path for found in list_checkpoints(self._folder, verify="size") if found.step == step), None)


def _is_full(error: BaseException) -> bool:
    """Whether a full disk is behind an error, also where a library wrapped it."""
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, OSError) and current.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(sign in str(current) for sign in _SIGNS_OF_A_FULL_DISK):
            return True
        current = current.__cause__ or current.__context__
    return False
