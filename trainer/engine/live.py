"""Live commands: what the user may ask of a run that is going, carried out at the boundary after an optimizer step.

At that boundary weights, optimizer, random state and data position are consistent, so that a checkpoint taken there
resumes bit-exactly. Settings are journaled with their step, and put in force again at the same step after a resume.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch.optim.lr_scheduler import LambdaLR

from trainer.run import Command, CommandResultEvent

from .samples import sample_answers
from .session import RunSession

_POLL_SECONDS = 0.1


class StopTraining(Exception):
    """Raised between micro-batches when the user wants to stop without saving."""


class EvaluationInterrupted(Exception):
    """Raised between evaluation batches when the run is to stop."""


class LiveControl:
    """Reads commands for one trainer and carries them out."""

    def __init__(self, session: RunSession, journal: list[CommandResultEvent], sample_prompts: list[str]) -> None:
        self._session = session
        self._journal = sorted(journal, key=lambda result: result.number)
        self._sample_prompts = sample_prompts
        self._waiting: list[Command] = []
        self._paused = False
        self._stop_command: Command | None = None
        self._next_poll = 0.0
        self._step = 0

    @property
    def stopping(self) -> bool:
        """Whether the run has been asked to stop, by command or by signal."""
        return self._stop_command is not None or bool(self._session.stop_reason)

    def poll(self) -> None:
        """Fetch new commands; pause and stop take effect at once, the rest waits for the boundary."""
        now = time.monotonic()
        if now < self._next_poll:
            return
        self._next_poll = now + _POLL_SECONDS
        for command in self._session.inbox.poll():
            if command.verb == "stop":
                self._stop_command = command
            elif command.verb == "pause":
                self._paused = True
                self._answer(command, True, "paused")
            elif command.verb == "resume":
                text = "going on" if self._paused else "was not paused"
                self._paused = False
                self._answer(command, True, text)
            else:
                self._waiting.append(command)

    def between_micro_batches(self, trainer: Any) -> None:
        """Poll, hold while paused, and leave at once when asked to stop without saving."""
        self.poll()
        if self._stop_command is not None and not self._stop_command.arguments.get("save", True):
            self._session.stop_reason = "stop command"
            self.answer_stop("stopped without saving")
            raise StopTraining
        if self._paused and not self.stopping:
            self._hold(trainer, at_boundary=False)

    def between_evaluation_batches(self) -> None:
        """Poll during an evaluation, which is given up when the run is to stop."""
        self.poll()
        if self.stopping:
            raise EvaluationInterrupted

    def asked_to_stop(self) -> bool:
        """Poll while an answer is generated, which may take minutes; whether to give it up."""
        self.poll()
        return self.stopping

    def answer_stop(self, text: str) -> str:
        """Answer the stop, if it was a command that nobody has answered; what asked for it."""
        if self._stop_command is not None:
            self._answer(self._stop_command, True, text)
            self._stop_command = None
        return self._session.stop_reason or "stop command"

    def begin(self, trainer: Any) -> None:
        """Called once before the first step of this process: journaled settings come into force again."""
        self._step = int(trainer.state.global_step)
        self._replay(trainer)
        if self.stopping:
            raise StopTraining

    def at_boundary(self, trainer: Any) -> None:
        """Carry out everything that waits; called after each optimizer step, and once more at the end of an epoch."""
        if trainer.stopped:
            return
        self._step = int(trainer.state.global_step)
        self._replay(trainer)
        self._next_poll = 0.0
        self.poll()
        self._carry_out(trainer)
        if self._paused and not self.stopping:
            self._hold(trainer, at_boundary=True)
        if self.stopping:
            self._stop(trainer)

    def _hold(self, trainer: Any, *, at_boundary: bool) -> None:
        held = f"step {trainer.state.global_step}"
        self._session.phase("paused", held)
        with trainer.throughput.excluded():
            while self._paused and not self.stopping:
                time.sleep(_POLL_SECONDS)
                self.poll()
                if at_boundary and self._waiting:
                    self._carry_out(trainer)
                    # An evaluation or a save has said in between that the run goes on.
                    self._session.phase("paused", held)
        self._session.phase("running")

    def _carry_out(self, trainer: Any) -> None:
        waiting, self._waiting = self._waiting, []
        for command in waiting:
            try:
                command = _absolute(trainer, command)
                text = self._handler(command.verb)(trainer, command)
            except ValueError as error:
                self._answer(command, False, str(error))
            except EvaluationInterrupted:
                self._answer(command, False, "given up, because the run stops")
            except Exception as error:
                # A wish that cannot be fulfilled must not cost the run.
                traceback.print_exc()
                self._answer(command, False, f"{type(error).__name__}: {error}")
            else:
                self._answer(command, True, text)

    def _handler(self, verb: str) -> Callable[[Any, Command], str]:
        handlers: dict[str, Callable[[Any, Command], str]] = {
            "save": self._save,
            "evaluate": self._evaluate,
            "sample": self._sample,
            "set": self._set,
            "note": self._note,
        }
        if verb not in handlers:
            raise ValueError(f"unknown command {verb!r}: expected one of stop, pause, resume, {', '.join(handlers)}")
        return handlers[verb]

    def _stop(self, trainer: Any) -> None:
        command = self._stop_command
        save = command is None or bool(command.arguments.get("save", True))
        reason = self._session.stop_reason or "stop command"
        saved = self._step == trainer.checkpoints.last_step and not trainer.evaluation_is_due()
        if save and not saved:
            saved = trainer.save_now(reason) is not None
        trainer.control.should_training_stop = True
        trainer.stopped = True
        if command is not None:
            self._stop_command = None
            self._answer(command, True, f"stopped, saved at step {self._step}" if saved else "stopped without saving")
        self._session.stop_reason = reason

    def _save(self, trainer: Any, command: Command) -> str:
        if trainer.checkpoints.last_step == self._step:
            return f"step {self._step} is saved already"
        if trainer.save_now("command") is None:
            raise ValueError("not saved: the disk is full")
        return f"saved at step {self._step}"

    def _evaluate(self, trainer: Any, command: Command) -> str:
        if trainer.eval_dataset is None:
            raise ValueError("this run has no evaluation data: set val_size or eval_dataset before the start")
        metrics = trainer.evaluate()
        name = trainer.goes_by
        return f"{name} {metrics.get(name, math.nan):.4f}"

    def _sample(self, trainer: Any, command: Command) -> str:
        prompts = command.arguments.get("prompts") or self._sample_prompts
        if not prompts:
            raise ValueError("no prompts: give some, or set sample_prompts in the preset")
        if not isinstance(prompts, list):
            raise ValueError(f"prompts = {prompts!r}: expected a list of texts")
        with trainer.throughput.excluded():
            sample_answers(trainer, self._session, [str(prompt) for prompt in prompts])
        return f"{len(prompts)} sample{'s' if len(prompts) != 1 else ''} at step {self._step}"

    def _note(self, trainer: Any, command: Command) -> str:
        return str(command.arguments.get("text", ""))

    def _set(self, trainer: Any, command: Command) -> str:
        name, value = str(command.arguments.get("name")), command.arguments.get("value")
        return apply_setting(trainer, name, value)

    def _replay(self, trainer: Any) -> None:
        """Put journaled settings in force again when the run passes their step a second time."""
        while self._journal and self._journal[0].step <= self._step:
            result = self._journal.pop(0)
            # Settings from before the checkpoint live in its optimizer and scheduler, but for those of the arguments.
            if result.step == self._step or result.arguments.get("name") == "max_grad_norm":
                apply_setting(trainer, str(result.arguments.get("name")), result.arguments.get("value"))

    def _answer(self, command: Command, accepted: bool, text: str) -> None:
        self._session.events.write(
            CommandResultEvent(
                number=command.number,
                verb=command.verb,
                arguments=command.arguments,
                step=self._step,
                accepted=accepted,
                text=text,
            )
        )


def _absolute(trainer: Any, command: Command) -> Command:
    """A relative change as the absolute one that it means now, so that a replay cannot apply it twice.

    Raises:
        ValueError: for a scale that is not a number above 0.
    """
    if command.verb != "set" or command.arguments.get("name") != "learning_rate_scale":
        return command
    scale = _number("learning_rate_scale", command.arguments.get("value"))
    rate = _peak(trainer) * scale
    return replace(command, arguments={"name": "learning_rate", "value": rate})


def apply_setting(trainer: Any, name: str, value: object) -> str:
    """Change one setting of a running trainer; returns what was done, in words.

    Raises:
        ValueError: for an unknown name or a value out of range.
    """
    if name == "learning_rate":
        return _set_learning_rate(trainer, _number(name, value))
    if name == "max_grad_norm":
        trainer.args.max_grad_norm = _number(name, value, allow_zero=True)
        return f"max_grad_norm {trainer.args.max_grad_norm:g}"
    if name == "weight_decay":
        decay = _number(name, value, allow_zero=True)
        # The Trainer puts what decays into its first group, biases and norms into the second, which stays without.
        # Groups of ours say it themselves.
        for number, group in enumerate(_optimizer(trainer).param_groups):
            if group.get("decays", number == 0):
                group["weight_decay"] = decay
        return f"weight_decay {decay:g}"
    if name in ("logging_steps", "eval_steps", "save_steps"):
        steps = _number(name, value)
        if steps != int(steps):
            raise ValueError(f"{name} = {value!r}: expected a whole number of steps")
        setattr(trainer.state, name, int(steps))
        return f"{name} {int(steps)}"
    raise ValueError(
        f"{name!r} cannot be changed while a run is going: expected learning_rate, learning_rate_scale, "
        "max_grad_norm, weight_decay, logging_steps, eval_steps or save_steps"
    )


def _set_learning_rate(trainer: Any, value: float) -> str:
    """Scale the whole schedule, base rates included, so that the change outlives the next step and a resume."""
    scheduler = _scheduler(trainer)
    peak = _peak(trainer)
    if peak <= 0:
        raise ValueError("the learning rate of this run is 0 and cannot be scaled")
    if not math.isclose(peak, value, rel_tol=1e-12):
        factor = value / peak
        groups = _optimizer(trainer).param_groups
        for group in groups:
            group["lr"] *= factor
            if "initial_lr" in group:
                group["initial_lr"] *= factor
        if _follows_a_curve(scheduler):
            scheduler.base_lrs = [rate * factor for rate in scheduler.base_lrs]
        scheduler._last_lr = [group["lr"] for group in groups]
    return f"learning rate {peak:.3g} -> {value:.3g} (peak of the schedule)"


def _peak(trainer: Any) -> float:
    """The rate that the schedule is scaled by; for one that reacts to the evaluation, the rate in force."""
    scheduler = _scheduler(trainer)
    if _follows_a_curve(scheduler):
        return float(scheduler.base_lrs[0])
    return float(_optimizer(trainer).param_groups[0]["lr"])


def _follows_a_curve(scheduler: Any) -> bool:
    """Whether the rate is a curve over the steps; reduce_lr_on_plateau and greedy change the rate itself."""
    return isinstance(scheduler, LambdaLR)


def _scheduler(trainer: Any) -> Any:
    return getattr(trainer.lr_scheduler, "scheduler", trainer.lr_scheduler)


def _optimizer(trainer: Any) -> Any:
    return getattr(trainer.optimizer, "optimizer", trainer.optimizer)


def _number(name: str, value: object, *, allow_zero: bool = False) -> float:
    try:
        number = float(str(value))
    except ValueError:
        raise ValueError(f"{name} = {value!r}: expected a number") from None
    if not math.isfinite(number) or number < 0 or (number == 0 and not allow_zero):
        raise ValueError(f"{name} = {value!r}: expected a number {'of at least' if allow_zero else 'above'} 0")
    return number
