"""The mixin that makes a Hugging Face Trainer a trimtab trainer: events, live commands, whole checkpoints, guards."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from trainer.config import Recipe
from trainer.data.report import ReportBuilder
from trainer.errors import UserError
from trainer.model import pissa
from trainer.model.restore import is_stored_as_it_is, restore_adapters, restore_weights
from trainer.run import EvaluationEvent, MetricsEvent
from trainer.run.messages import Words, words

from .adalora import AdaLoraSchedule, is_adalora, orthogonality_penalty, restore_state, save_state
from .checkpoints import CheckpointWriter
from .evaluation_sets import evaluate_sets
from .length_groups import LengthGroups
from .live import EvaluationInterrupted, LiveControl
from .optimizers.base import OwnOptimizer
from .optimizers.create import own_optimizer
from .predictions import Prediction
from .samples import sample_answers
from .schedules import schedule_settings
from .session import RunSession
from .step_guard import StepGuard
from .throughput import ThroughputMeter
from .token_counts import READ, REFUSED, CountingCollator, TokenMean, take_counts

_DISK_FULL_RETRY_SECONDS = 5.0
# What an evaluation reports beside its figures.
_NO_FIGURES = ("runtime", "_per_second", "epoch", "num_tokens")


class RunTrainer:
    """Mixin in front of a Trainer class; call `attach` before `train`."""

    session: RunSession
    live: LiveControl
    checkpoints: CheckpointWriter
    throughput: ThroughputMeter
    stopped: bool
    evaluation_due: bool
    rows_read: dict[int, ReportBuilder]
    """What the processes of the loader have read of a stream."""
    loss_is_over_rows: bool = False
    """Whether the loss is a mean over rows; else it is one over labelled tokens."""
    goes_by: str = "eval_loss"
    """The figure of an evaluation that matters most."""

    def attach(
        self: Any, session: RunSession, live: LiveControl, checkpoints: CheckpointWriter, recipe: Recipe
    ) -> None:
        """Join the trainer to its run."""
        self.session, self.live, self.checkpoints = session, live, checkpoints
        self.recipe = recipe
        self.evaluation_due = False
        self._interrupted = False
        self._at_epoch_end = False
        self.throughput = ThroughputMeter()
        self.stopped = False
        self.data_collator = CountingCollator(self.data_collator, over_rows=self.loss_is_over_rows)
        self.rows_read = {}
        self._train_weights: list[int] = []
        self._evaluation = TokenMean()
        self._micro_losses: list[torch.Tensor] = []
        self._guard = StepGuard()
        self._ready = False
        self._boundary_step = -1
        if is_adalora(self.model):
            self.add_callback(AdaLoraSchedule())

    def compute_loss(self: Any, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The loss of the stage, with what the method adds to it in training."""
        loss = super().compute_loss(model, inputs, *args, **kwargs)  # type: ignore[misc]
        if self.model.training and is_adalora(self.model):
            return loss + orthogonality_penalty(self.model) / self.current_gradient_accumulation_steps
        return loss

    def create_optimizer(self: Any, model: Any = None) -> torch.optim.Optimizer:
        """The optimizer of the recipe: one of ours, or transformers'."""
        if self.optimizer is None:
            decaying = self.get_decay_parameter_names(self.model)
            self.optimizer = own_optimizer(self.model, self.args, self.recipe, decaying, self.session.finding)
        made: torch.optim.Optimizer = super().create_optimizer(model)  # type: ignore[misc]
        return made

    def create_scheduler(self: Any, num_training_steps: int, *args: Any, **kwargs: Any) -> Any:
        """The schedule, with what the recipe leaves open of it."""
        self.args.lr_scheduler_kwargs = schedule_settings(self.args, num_training_steps, self.session.finding)
        return super().create_scheduler(num_training_steps, *args, **kwargs)  # type: ignore[misc]

    def _get_train_sampler(self: Any, *args: Any, **kwargs: Any) -> Any:
        """The order of the rows; grouped by length it is ours, because a resumed run has to find it again."""
        if not self.recipe.train.group_by_length:
            return super()._get_train_sampler(*args, **kwargs)  # type: ignore[misc]
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        return LengthGroups(self.train_dataset.lengths(), self.args.train_batch_size, seed)

    def training_step(self: Any, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """One micro-batch: poll commands, count tokens, remember the loss for the guard."""
        if not self._ready:
            self._begin()
        self.live.between_micro_batches(self)
        counts = take_counts(inputs)
        self.throughput.count(counts.real, counts.padded)
        self._train_weights.append(counts.trained)
        loss: torch.Tensor = super().training_step(model, inputs, *args, **kwargs)  # type: ignore[misc]
        self._micro_losses.append(loss)
        return loss

    def get_batch_samples(self: Any, epoch_iterator: Any, *args: Any, **kwargs: Any) -> Any:
        """The batches of the next step, after a look at what a stream sent with them."""
        return super().get_batch_samples(self._looked_at(epoch_iterator), *args, **kwargs)  # type: ignore[misc]

    def _looked_at(self: Any, batches: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for batch in batches:
            if READ in batch:
                process, counts = batch.pop(READ)
                self.rows_read[process] = counts
            if REFUSED in batch:
                # Between two steps: what has been learned up to the row that cannot be read is worth keeping.
                if self.state.global_step and self.checkpoints.last_step != self.state.global_step:
                    self.save_now("bad row")
                raise batch[REFUSED]
            yield batch

    def _begin(self: Any) -> None:
        """What happens once, when model, optimizer and (on resume) all state are in place."""
        self._ready = True
        self.session.phase("running")
        self.session.status.update(total_steps=int(self.state.max_steps), step=int(self.state.global_step))
        self.throughput.start(total_tokens=int(self.state.num_input_tokens_seen))
        self._boundary_step = int(self.state.global_step)
        self.live.begin(self)
        if self.evaluation_due:
            self._make_up_for_evaluation()

    def _get_grad_norm(self: Any, model: Any, grad_norm: Any = None) -> Any:
        """Look at loss and gradient norm before the optimizer moves; a bad step is skipped, several in a row end it."""
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)  # type: ignore[misc]
        own = self._own_optimizer()
        gathered = None if own is None else own.gathered_norm(float(self.args.max_grad_norm))
        norm = norm if gathered is None else gathered
        losses, self._micro_losses = self._micro_losses, []
        scaled = getattr(self.accelerator, "scaler", None) is not None
        loss = float(torch.stack(losses).sum())
        # With fp16, infinite gradients are the business of the loss scaler, which skips the step itself.
        norm_is_fine = norm is None or scaled or math.isfinite(float(norm))
        step = int(self.state.global_step) + 1
        if self._guard.passes(math.isfinite(loss) and norm_is_fine, step):
            return norm
        self.session.finding("warning", self._what_was_left_out(loss, step), step)
        # The wrapped optimizer steps only on a synchronising micro-batch: this leaves weights and moments untouched.
        self.accelerator.gradient_state._set_sync_gradients(False)
        return norm

    def _what_was_left_out(self: Any, loss: float, step: int) -> Words:
        own = self._own_optimizer()
        if own is not None and own.left_out:
            left_out, own.left_out = own.left_out, 0
            return words("run_weights_left_out", count=left_out, step=step)
        return words(f"run_{'gradient' if math.isfinite(loss) else 'loss'}_not_finite", step=step)

    def _own_optimizer(self: Any) -> OwnOptimizer | None:
        optimizer = self.optimizer.optimizer
        return optimizer if isinstance(optimizer, OwnOptimizer) else None

    def _maybe_log_save_evaluate(self: Any, tr_loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """The boundary after a step: log, evaluate and save as scheduled, then carry out commands."""
        step = int(self.state.global_step)
        # The Trainer calls this a second time at the end of an epoch, for what is scheduled by epochs.
        self._at_epoch_end = step == self._boundary_step
        if not self._at_epoch_end:
            self._boundary_step = step
            self.throughput.end_step()
            self.state.num_input_tokens_seen = self.throughput.total_tokens
            if (own := self._own_optimizer()) is not None:
                # The Trainer clears the gradients of the model; where no step was taken, these hold some of their own.
                own.zero_grad()
            self._report_progress(step)
        self.live.poll()
        if self.live.stopping:
            self.control.should_log = True
        try:
            super()._maybe_log_save_evaluate(tr_loss, *args, **kwargs)  # type: ignore[misc]
        except EvaluationInterrupted:
            # Neither schedule nor best score has seen this evaluation: it is made up for after the resume.
            self._interrupted = True
            self.control.should_evaluate = self.control.should_save = False
        if self._guard.bad_since_log and self._globalstep_last_logged == step:
            # nan - nan is nan: without this, one bad step would hide all later losses.
            tr_loss.zero_()
            self._guard.bad_since_log = False
        self._save_the_best(step)
        self.live.at_boundary(self)
        over = step >= self.state.max_steps or self.control.should_training_stop
        if over and not self.stopped and self.checkpoints.last_step != step:
            self._save_at_the_end()

    def evaluation_is_due(self: Any) -> bool:
        """Whether a checkpoint taken now comes before an evaluation of its step, which a resume has to make up for."""
        epochs = float(self.state.epoch or 0.0)
        before_epoch_end = epochs > 0 and epochs.is_integer() and not self._at_epoch_end
        return self._interrupted or (before_epoch_end and str(self.args.eval_strategy.value) == "epoch")

    def _make_up_for_evaluation(self: Any) -> None:
        """The evaluation that the last stop cut short, with all that follows from it."""
        self.evaluation_due = False
        self.control.should_evaluate = True
        nothing = torch.zeros((), device=self.args.device)
        super()._maybe_log_save_evaluate(nothing, None, self.model, None, self.state.epoch, None, time.time())  # type: ignore[misc]

    def _determine_best_metric(self: Any, metrics: dict[str, float], trial: Any) -> bool:
        """Whether this evaluation is the best so far. Raises: UserError when it has no such figure."""
        name = self.args.metric_for_best_model
        if name is not None and f"eval_{name.removeprefix('eval_')}" not in metrics:
            hint = f"Choose {', '.join(each[5:] for each in metrics if not each.endswith(_NO_FIGURES))}."
            raise UserError("no figure of the evaluation", field="metric_for_best_model", value=name, hint=hint)
        return bool(super()._determine_best_metric(metrics, trial))  # type: ignore[misc]

    def _save_the_best(self: Any, step: int) -> None:
        """Where the best evaluation matters, its weights are kept, also between two scheduled saves."""
        if self.args.metric_for_best_model is None or self.state.best_global_step != step:
            return
        if self.checkpoints.last_step != step:
            self.save_now("best")

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
        if self.checkpoints.last_step != int(self.state.global_step):
            self.stopped = True
            self.session.stop_reason = self.session.stop_reason or "stop command"

    def save_now(self: Any, reason: str) -> Any:
        """Save a whole checkpoint outside of the schedule; None when the disk is full."""
        with self.throughput.excluded():
            return self.checkpoints.save(self, reason)

    def _load_from_checkpoint(self: Any, resume_from_checkpoint: str, model: Any = None) -> None:
        """The weights of a checkpoint; the Trainer passes over tensors that are called otherwise in the files."""
        if not self._restored(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]

    def _load_best_model(self: Any) -> None:
        if not self._restored(str(self.state.best_model_checkpoint)):
            super()._load_best_model()  # type: ignore[misc]

    def _restored(self: Any, folder: str) -> bool:
        """Put back what the Trainer would put back wrongly; False where it can do it."""
        model, path = self.accelerator.unwrap_model(self.model), Path(folder)
        if pissa.has_start(model):
            pissa.restore(model, path)
            return True
        if is_adalora(model) and restore_state(model, path):
            return True
        if isinstance(model, PeftModel):
            restore_adapters(model, path)
            return True
        if is_stored_as_it_is(model, path):
            return False
        restore_weights(model, path)
        return True

    def _save_optimizer_and_scheduler(self: Any, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)  # type: ignore[misc]
        if is_adalora(self.model):
            save_state(self.model, Path(output_dir))

    def _save_checkpoint(self: Any, model: Any, trial: Any) -> None:
        with self.throughput.excluded():
            self.checkpoints.save(self, "schedule")

    def log(self: Any, logs: dict[str, float], start_time: float | None = None) -> None:
        """Turn what the Trainer logs into events; its own history stays empty, the event file has it all."""
        training = bool(self.model.training)
        if not training and "eval_loss" in logs:
            logs["eval_loss"] = self._evaluation.mean()
        logs.update(self.stage_figures(logs, training, self._take_weights(training)))
        super().log(logs, start_time)  # type: ignore[misc]
        del self.state.log_history[:-1]
        step = int(self.state.global_step)
        numbers = {name: float(value) for name, value in logs.items() if isinstance(value, (int, float))}
        if "loss" in numbers:
            self._write_metrics(step, numbers)
        elif any(name.startswith("eval_") for name in numbers):
            skipped = ("epoch", "eval_num_tokens")
            values = {name: value for name, value in numbers.items() if name not in skipped}
            self.session.events.write(EvaluationEvent(step=step, values=values))

    def stage_figures(self: Any, logs: dict[str, float], training: bool, weights: list[int]) -> dict[str, float]:
        """What a stage adds to the figures that are logged; `weights` of the batches since the last log."""
        return {}

    def stage_state(self: Any) -> dict[str, float]:
        """What a stage keeps in a checkpoint beside weights and optimizer."""
        return {}

    def save_stage(self: Any, folder: Path) -> None:
        """Write what a stage keeps in a checkpoint as files of its own, which only a resume needs."""

    def restore_stage(self: Any, state: dict[str, float], folder: Path) -> None:
        """Take back what `stage_state` gave and `save_stage` wrote."""

    def predictions(self: Any, rows: Any) -> Iterator[Prediction]:
        """What the stage predicts for evaluation rows, one for each; for the stages that `do_predict` is for."""
        raise NotImplementedError

    def forget_evaluation(self: Any) -> None:
        """An evaluation has ended, or was cut short: what a stage has gathered for its figures goes."""

    def _take_weights(self: Any, training: bool) -> list[int]:
        if not training:
            return list(self._evaluation.weights)
        weights, self._train_weights = self._train_weights, []
        return list(weights)

    def _write_metrics(self: Any, step: int, numbers: dict[str, float]) -> None:
        numbers.pop("num_tokens", None)
        tokens = float(self.throughput.total_tokens)
        values = {**numbers, **self.throughput.values(), "tokens": tokens}
        if self.recipe.train.include_num_input_tokens_seen:
            values["num_input_tokens_seen"] = tokens
        if self.recipe.method.include_effective_tokens_per_second:
            values["effective_tokens_per_second"] = self.throughput.effective_tokens_per_second()
        epoch = values.pop("epoch", 0.0)
        self.session.events.write(MetricsEvent(step=step, epoch=epoch, values=values))
        self.session.status.update(loss=numbers["loss"])

    def evaluate(self: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluate, then answer the sample prompts; neither touches the random state of the training.

        Raises:
            EvaluationInterrupted: when the run is to stop; nothing has come of it then.
        """
        self.session.phase("evaluating", f"step {self.state.global_step}")
        devices = [self.args.device] if self.args.device.type == "cuda" else []
        self._evaluation = TokenMean()
        metrics: dict[str, float]
        try:
            with self.throughput.excluded(), torch.random.fork_rng(devices=devices):
                metrics = self.evaluated()
                self._answer_prompts()
        finally:
            self.forget_evaluation()
            self.session.phase("running")
        return metrics

    def evaluated(self: Any) -> dict[str, float]:
        """The figures of an evaluation, logged and handed to the callbacks."""
        if isinstance(self.eval_dataset, dict):
            return evaluate_sets(self, self._evaluation)
        metrics: dict[str, float] = super().evaluate()  # type: ignore[misc]
        return metrics

    def _answer_prompts(self: Any) -> None:
        if not self.recipe.train.sample_prompts:
            return
        try:
            sample_answers(self, self.session, list(self.recipe.train.sample_prompts))
        except Exception as error:
            # Out of memory while generating, a template that fails: no reason to lose the run.
            traceback.print_exc()
            said = words("run_no_samples", error=f"{type(error).__name__}: {error}")
            self.session.finding("warning", said, int(self.state.global_step))

    def prediction_step(self: Any, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """One evaluation batch; the run may be stopped here too."""
        self.live.between_evaluation_batches()
        counts = take_counts(inputs)
        result = super().prediction_step(model, inputs, *args, **kwargs)  # type: ignore[misc]
        self._evaluation.add(result[0], counts.trained)
        return result
