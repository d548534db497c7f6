"""The mixin that makes a Hugging Face Trainer a trimtab trainer: events, live commands, whole checkpoints, guards."""

from __future__ import annotations

import math
import time
from typing import Any

import torch

from trainer.run import EvaluationEvent, MetricsEvent

from .checkpoints import CheckpointWriter
from .live import EvaluationInterrupted, LiveControl
from .messages import Words, words
from .samples import sample_answers
from .session import RunSession
from .throughput import ThroughputMeter

_BAD_STEPS_IN_A_ROW = 5
_DISK_FULL_RETRY_SECONDS = 5.0
# The token counts ride in the batch, because counting on the GPU would wait for it.
_REAL, _PADDED = "real_tokens", "padded_tokens"


class NotFinite(Exception):
    """Loss or gradients were not finite for several optimizer steps in a row; `said` tells it."""

    def __init__(self, said: Words) -> None:
        super().__init__(said.text)
        self.said = said


class CountingCollator:
    """Wraps a collator: adds to each batch how many tokens it holds, without and with padding."""

    def __init__(self, collator: Any) -> None:
        self.collator = collator

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        real = sum(len(example["input_ids"]) for example in examples)
        batch: dict[str, Any] = dict(self.collator(examples))
        batch[_REAL], batch[_PADDED] = real, int(batch["input_ids"].numel())
        return batch


class RunTrainer:
    """Mixin in front of a Trainer class; call `attach` before `train`."""

    session: RunSession
    live: LiveControl
    checkpoints: CheckpointWriter
    throughput: ThroughputMeter
    stopped: bool

    def attach(
        self: Any, session: RunSession, live: LiveControl, checkpoints: CheckpointWriter, sample_prompts: list[str]
    ) -> None:
        """Join the trainer to its run."""
        self.session, self.live, self.checkpoints = session, live, checkpoints
        self.throughput = ThroughputMeter()
        self.stopped = False
        self.sample_prompts = sample_prompts
        self.data_collator = CountingCollator(self.data_collator)
        self._micro_losses: list[torch.Tensor] = []
        self._bad_steps = 0
        self._bad_since_log = False
        self._ready = False
        self._boundary_step = -1

    def training_step(self: Any, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """One micro-batch: poll commands, count tokens, remember the loss for the guard."""
        if not self._ready:
            self._begin()
        self.live.between_micro_batches(self)
        self.throughput.count(inputs.pop(_REAL), inputs.pop(_PADDED))
        loss: torch.Tensor = super().training_step(model, inputs, *args, **kwargs)  # type: ignore[misc]
        self._micro_losses.append(loss)
        return loss

    def _begin(self: Any) -> None:
        """What happens once, when model, optimizer and (on resume) all state are in place."""
        self._ready = True
        self.session.phase("running")
        self.session.status.update(total_steps=int(self.state.max_steps), step=int(self.state.global_step))
        self.throughput.start(total_tokens=int(self.state.num_input_tokens_seen))
        self._boundary_step = int(self.state.global_step)
        self.live.begin(self)

    def _get_grad_norm(self: Any, model: Any, grad_norm: Any = None) -> Any:
        """Look at loss and gradient norm before the optimizer moves; a bad step is skipped, several in a row end it."""
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)  # type: ignore[misc]
        losses, self._micro_losses = self._micro_losses, []
        scaled = getattr(self.accelerator, "scaler", None) is not None
        loss = float(torch.stack(losses).sum())
        # With fp16, infinite gradients are the business of the loss scaler, which skips the step itself.
        norm_is_fine = norm is None or scaled or math.isfinite(float(norm))
        if math.isfinite(loss) and norm_is_fine:
            self._bad_steps = 0
            return norm
        self._bad_steps += 1
        self._bad_since_log = True
        step = int(self.state.global_step) + 1
        if self._bad_steps >= _BAD_STEPS_IN_A_ROW:
            raise NotFinite(words("run_gave_up", count=self._bad_steps, step=step))
        what = "gradient" if math.isfinite(loss) else "loss"
        self.session.finding("warning", words(f"run_{what}_not_finite", step=step), step)
        # The wrapped optimizer steps only on a synchronising micro-batch: this leaves weights and moments untouched.
        self.accelerator.gradient_state._set_sync_gradients(False)
        return norm

    def _maybe_log_save_evaluate(self: Any, tr_loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """The boundary after a step: log, evaluate and save as scheduled, then carry out commands."""
        step = int(self.state.global_step)
        if step == self._boundary_step:
            # The Trainer calls this a second time at the end of an epoch.
            super()._maybe_log_save_evaluate(tr_loss, *args, **kwargs)  # type: ignore[misc]
            return
        self._boundary_step = step
        self.throughput.end_step()
        self.state.num_input_tokens_seen = self.throughput.total_tokens
        self.live.poll()
        if self.live.stopping:
            self.control.should_log = True
        super()._maybe_log_save_evaluate(tr_loss, *args, **kwargs)  # type: ignore[misc]
        if self._bad_since_log and self._globalstep_last_logged == step:
            # nan - nan is nan: without this, one bad step would hide all later losses.
            tr_loss.zero_()
            self._bad_since_log = False
        self._report_progress(step)
        self.live.at_boundary(self)
        if step >= self.state.max_steps and self.checkpoints.last_step != step:
            self._save_at_the_end()

    def _report_progress(self: Any, step: int) -> None:
        speed = self.throughput.values()
        self.session.status.update(
            step=step,
            epoch=float(self.state.epoch or 0.0),
            tokens=self.throughput.total_tokens,
            tokens_per_second=speed["tokens_per_second"],
            seconds_left=max(0, self.state.max_steps - step) * speed["step_seconds"],
        )

    def _save_at_the_end(self: Any) -> None:
        """The finished weights are never given up for want of disk space: wait until there is some."""
        while self.checkpoints.save(self, "end") is None and not self.live.stopping:
            self.session.phase("paused", "disk full: waiting for space to save the finished weights")
            time.sleep(_DISK_FULL_RETRY_SECONDS)
            self.live.poll()

    def save_now(self: Any, reason: str) -> Any:
        """Save a whole checkpoint outside of the schedule; None when the disk is full."""
        with self.throughput.excluded():
            return self.checkpoints.save(self, reason)

    def _save_checkpoint(self: Any, model: Any, trial: Any) -> None:
        with self.throughput.excluded():
            self.checkpoints.save(self, "schedule")

    def log(self: Any, logs: dict[str, float], start_time: float | None = None) -> None:
        """Turn what the Trainer logs into events; its own history stays empty, the event file has it all."""
        super().log(logs, start_time)  # type: ignore[misc]
        del self.state.log_history[:-1]
        step = int(self.state.global_step)
        numbers = {name: float(value) for name, value in logs.items() if isinstance(value, (int, float))}
        if "loss" in numbers:
            numbers.pop("num_tokens", None)
            values = {**numbers, **self.throughput.values(), "tokens": float(self.throughput.total_tokens)}
            epoch = values.pop("epoch", 0.0)
            self.session.events.write(MetricsEvent(step=step, epoch=epoch, values=values))
            self.session.status.update(loss=numbers["loss"])
        elif any(name.startswith("eval_") and name.endswith("loss") for name in numbers):
            skipped = ("epoch", "eval_num_tokens")
            values = {name: value for name, value in numbers.items() if name not in skipped}
            self.session.events.write(EvaluationEvent(step=step, values=values))

    def evaluate(self: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluate, then answer the sample prompts; neither touches the random state of the training."""
        self.session.phase("evaluating", f"step {self.state.global_step}")
        devices = [self.args.device] if self.args.device.type == "cuda" else []
        with self.throughput.excluded(), torch.random.fork_rng(devices=devices):
            try:
                metrics: dict[str, float] = super().evaluate(*args, **kwargs)  # type: ignore[misc]
                if self.sample_prompts:
                    sample_answers(self, self.session, self.sample_prompts)
            except EvaluationInterrupted:
                metrics = {"eval_loss": math.nan}
        self.session.phase("running")
        return metrics

    def prediction_step(self: Any, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """One evaluation batch; the run may be stopped here too."""
        self.live.between_evaluation_batches()
        inputs.pop(_REAL, None)
        inputs.pop(_PADDED, None)
        return super().prediction_step(model, inputs, *args, **kwargs)  # type: ignore[misc]
