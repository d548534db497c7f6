"""A small real trainer program without torch: plays a run through the writer side of trainer.run, obeying commands.

As a program, in the place of `python -m trainer train`:
    python fake_trainer.py RUNDIR [--resume] [--steps N] [--delay S] [--save-steps N] [--eval-steps N] [--crash-at N]
    launch(run, program=fake_program(steps=50, delay=0.05))
For screen tests, without a process: `write_run(folder)` writes a whole run at once and gives its RunDirectory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import signal
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.run import (
    Checkpoint,
    CheckpointEvent,
    Command,
    CommandInbox,
    CommandResultEvent,
    EndEvent,
    EvaluationEvent,
    EventWriter,
    FindingEvent,
    Gpu,
    MetricsEvent,
    PhaseEvent,
    ResumeEvent,
    RunDirectory,
    RunLock,
    SampleEvent,
    StatusWriter,
    Telemetry,
    TelemetryEvent,
    clean_staging,
    create_run,
    fault_point,
    latest_checkpoint,
    rotate_checkpoints,
    write_checkpoint,
)
from trainer.run.files import to_json, write_whole

if TYPE_CHECKING:
    from trainer.config import Resolved

PROMPTS = ("Who are you?", "你是谁？")
TOKENS_PER_STEP = 1024
STEPS_PER_EPOCH = 100
GIBIBYTE = 1 << 30


@dataclass
class Settings:
    """What the command line and commands may change. `delay` in seconds a step."""

    steps: int = 200
    delay: float = 0.0
    logging_steps: int = 1
    eval_steps: int = 50
    save_steps: int = 50
    keep: int = 3
    learning_rate: float = 2e-4
    gpus: int = 0
    crash_at: int = 0  # SIGKILL itself
    fail_at: int = 0  # ends with reason "failed"
    nan_at: int = 0  # a loss that is not a number
    second_per_step: float = 0.0  # the clock of events that are written at once
    values: dict[str, Any] = field(default_factory=dict)


class FakeTrainer:
    """Plays one run. `weight` stands for the model: it depends on every step, and resuming must not change it."""

    def __init__(self, run: RunDirectory, settings: Settings, *, resume: bool = False) -> None:
        self.run = run
        self.settings = settings
        self.step = 0
        self.weight = 0
        self.stopping = ""
        self.paused = False
        self.began = time.time()
        self.lock = RunLock(run)
        self.events = EventWriter(run, clock=self._clock)
        self.status = StatusWriter(run)
        self.inbox = CommandInbox(run, self.events)
        clean_staging(run.checkpoints_folder)
        self._phase("preparing", "loading the model")
        if resume:
            self._resume()

    def play(self, until: int | None = None) -> None:
        """Train to the end, or to step `until`."""
        self.status.update(total_steps=self.settings.steps, step=self.step)
        self._phase("running")
        while self.step < min(self.settings.steps, until or self.settings.steps) and not self.stopping:
            self._one_step()
            self._obey()
        if self.stopping == "failed":
            self.finish("failed", "CUDA out of memory: 1.5 GiB wanted, 0.2 GiB free")
        elif self.stopping:
            if self.stopping == "save":
                self.save("command")
            self.finish("stopped", "stopped by command")
        elif self.step >= self.settings.steps:
            if self.step % self.settings.save_steps:
                self.save("end")
            self.finish("finished")

    def finish(self, reason: str, text: str = "") -> None:
        """Say how it ended and let go of the run."""
        self.events.write(EndEvent(reason, self.step, text))
        self.status.update(exit_reason=reason, message=text)
        self.close()

    def close(self) -> None:
        """Let go of the run without a word."""
        self.status.close()
        self.events.close()
        self.lock.release()

    def save(self, reason: str) -> Checkpoint:
        """Save a checkpoint of a few files."""
        self._phase("saving")
        began = time.monotonic()
        details = {"run": self.run.name, "weight": self.weight}
        saved = write_checkpoint(self.run.checkpoints_folder, self.step, self._fill, details=details)
        relative = str(saved.path.relative_to(self.run.path))
        seconds = time.monotonic() - began
        self.events.write(CheckpointEvent(self.step, relative, saved.bytes, seconds, reason))
        self.status.update(last_checkpoint=saved.path.name)
        rotate_checkpoints(self.run.checkpoints_folder, self.settings.keep)
        self._phase("running")
        return saved

    def _clock(self) -> float:
        return self.began + self.step * self.settings.second_per_step if self.settings.second_per_step else time.time()

    def _resume(self) -> None:
        saved = latest_checkpoint(self.run.checkpoints_folder)
        if saved is not None:
            self.step = saved.step
            self.weight = int.from_bytes((saved.path / "adapter_model.safetensors").read_bytes()[:8], "big")
        path = "" if saved is None else str(saved.path.relative_to(self.run.path))
        self.events.write(ResumeEvent(self.step, path))

    def _phase(self, phase: str, text: str = "") -> None:
        self.events.write(PhaseEvent(phase, text, self.step))
        self.status.update(phase=phase, message=text)

    def _one_step(self) -> None:
        time.sleep(self.settings.delay)
        self.step += 1
        step = self.step
        self.weight = int.from_bytes(hashlib.sha256(f"{self.weight} {step}".encode()).digest()[:8], "big")
        if step == self.settings.crash_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if step == self.settings.fail_at:
            self.stopping = "failed"
            return
        if step % self.settings.logging_steps == 0:
            self._measure()
        if step % self.settings.eval_steps == 0:
            self.evaluate()
        if step % self.settings.save_steps == 0:
            self.save("schedule")

    def _measure(self) -> None:
        step, settings = self.step, self.settings
        loss = math.nan if step == settings.nan_at else fake_loss(step, settings.steps)
        step_seconds = settings.second_per_step or settings.delay or 0.5
        values = {
            "loss": loss,
            "learning_rate": settings.learning_rate * (1 - step / (settings.steps + 1)),
            "grad_norm": 0.5 + 0.2 * math.sin(step / 5),
            "tokens_per_second": TOKENS_PER_STEP / step_seconds,
            "padded_tokens_per_second": 1.3 * TOKENS_PER_STEP / step_seconds,
            "tokens": float(step * TOKENS_PER_STEP),
            "step_seconds": step_seconds,
            "mean_token_accuracy": 1 - 0.5 * math.exp(-3 * step / settings.steps),
            "entropy": 0.5 + math.exp(-3 * step / settings.steps),
        }
        self.events.write(MetricsEvent(step, step / STEPS_PER_EPOCH, values))
        self.status.update(
            step=step,
            epoch=step / STEPS_PER_EPOCH,
            loss=loss,
            tokens_per_second=values["tokens_per_second"],
            tokens=step * TOKENS_PER_STEP,
            seconds_left=(settings.steps - step) * step_seconds,
        )
        if step % 5 == 0:
            self.events.write(TelemetryEvent(fake_telemetry(step, settings.gpus), step))
        if step == max(1, settings.steps // 3):
            text = f"loss rose to {loss + 0.5:.2f} at step {step}"
            self.events.write(FindingEvent("loss.spike", "warning", text, step))

    def evaluate(self) -> None:
        """Measure on the held-out rows, and sample."""
        self._phase("evaluating")
        loss = fake_loss(self.step, self.settings.steps) + 0.1
        self.events.write(EvaluationEvent(self.step, {"eval_loss": loss, "eval_mean_token_accuracy": 1 - loss / 4}))
        self.sample(PROMPTS)
        self._phase("running")

    def sample(self, prompts: tuple[str, ...] | list[str]) -> None:
        """Answer the prompts."""
        for prompt in prompts:
            answer = (
                f"I am Trim, after {self.step} steps." if prompt.isascii() else f"我是小调，训练了 {self.step} 步。"
            )
            self.events.write(SampleEvent(self.step, prompt, answer, 0.2))

    def _fill(self, folder: Path) -> None:
        (folder / "adapter_config.json").write_text(json.dumps({"r": 8, "base_model_name_or_path": "demo"}))
        (folder / "trimtab.json").write_text(json.dumps({"run": self.run.name, "step": self.step}))
        data = self.weight.to_bytes(8, "big") * 512
        with (folder / "adapter_model.safetensors").open("wb") as file:
            file.write(data[:2000])
            file.flush()
            fault_point("checkpoint:filling")
            file.write(data[2000:])

    def _obey(self) -> None:
        while True:
            for command in self.inbox.poll():
                accepted, text = self._do(command)
                self.events.write(
                    CommandResultEvent(command.number, command.verb, command.arguments, self.step, accepted, text)
                )
            if not self.paused or self.stopping:
                return
            time.sleep(0.02)

    def _do(self, command: Command) -> tuple[bool, str]:
        arguments = command.arguments
        if command.verb == "stop":
            self.stopping = "save" if arguments.get("save", True) else "now"
        elif command.verb in ("pause", "resume"):
            self.paused = command.verb == "pause"
            self._phase("paused" if self.paused else "running")
        elif command.verb == "save":
            self.save("command")
        elif command.verb == "evaluate":
            self.evaluate()
        elif command.verb == "sample":
            self.sample(arguments.get("prompts") or PROMPTS)
        elif command.verb == "set":
            return self._set(str(arguments.get("name")), arguments.get("value"))
        return True, ""

    def _set(self, name: str, value: Any) -> tuple[bool, str]:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
            return False, f"{name} must be a number above 0"
        if name == "learning_rate_scale":
            self.settings.learning_rate *= value
        elif name == "max_steps":
            self.settings.steps = int(value)
            self.status.update(total_steps=int(value))
        elif name in ("learning_rate", "logging_steps", "eval_steps", "save_steps"):
            setattr(self.settings, name, value)
        self.settings.values[name] = value
        return True, f"{name} = {value}"


def fake_loss(step: int, steps: int) -> float:
    """Falls from about 3.4 to about 0.5, with a little noise that is always the same."""
    return 0.4 + 3 * math.exp(-4 * step / steps) + 0.05 * math.sin(step * 12.9898)


def fake_telemetry(step: int, gpus: int) -> Telemetry:
    """A machine with that many busy GPUs."""
    found = tuple(
        Gpu(
            index=index,
            name=f"FAKE H200 #{index}",
            memory_used=(40 + index) * GIBIBYTE,
            memory_total=140 * GIBIBYTE,
            utilization=90.0 + step % 10,
            temperature=60.0 + index,
            power=500.0,
            power_limit=700.0,
        )
        for index in range(gpus)
    )
    note = "" if gpus else "no NVIDIA GPU"
    return Telemetry(found, 35.0 + step % 10, 8 * GIBIBYTE, 32 * GIBIBYTE, note)


def fake_resolved() -> Resolved:
    """A recipe as `trimtab train` would resolve it here."""
    # Not above: the program itself needs no recipe, and shall start quickly.
    from trainer.config import Hardware, Recipe, resolve

    recipe = Recipe().with_values(
        {
            "model.model_name_or_path": "demo_model",
            "data.dataset": ["identity"],
            "data.val_size": 0.1,
            "train.sample_prompts": list(PROMPTS),
        }
    )
    return resolve(recipe, Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2))


def write_run(
    folder: Path,
    *,
    steps: int = 200,
    end: str = "finished",
    preset: str = "demo",
    until: int | None = None,
    **settings: Any,
) -> RunDirectory:
    """Write a whole run into `folder` (its last part is the run's name), as if each step had taken half a second.

    `end`: finished, stopped, failed; `running` leaves it as a run of this very process at step `until`; `lost` leaves
    it as a run whose trainer is gone. `settings` are fields of Settings.
    """
    run = create_run(preset, fake_resolved(), name=folder.name, folder=folder.parent)
    until = until or (steps if end == "finished" else max(1, steps * 3 // 5))
    settings.setdefault("second_per_step", 0.5)
    trainer = FakeTrainer(run, Settings(steps=steps, **settings))
    trainer.play(until if end != "finished" else None)
    if end in ("stopped", "failed"):
        trainer.finish(end, "stopped by command" if end == "stopped" else "CUDA out of memory")
    elif end in ("running", "lost"):
        trainer.close()
    if end == "lost":
        status = replace(trainer.status.status, process_start=trainer.status.status.process_start - 1)
        write_whole(run.status_file, to_json(status.__dict__))
    write_whole(run.log_file, f"trimtab {run.name}\nstep {trainer.step}/{steps}\n".encode())
    return run


def fake_program(**settings: Any) -> list[str]:
    """What to give to `launch(run, program=...)`."""
    options = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return [sys.executable, str(Path(__file__).resolve()), *options]


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--resume", action="store_true")
    for name in ("steps", "logging_steps", "eval_steps", "save_steps", "keep", "gpus", "crash_at", "fail_at", "nan_at"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(Settings(), name))
    parser.add_argument("--delay", type=float, default=0.05)
    given = vars(parser.parse_args())
    run, resume = RunDirectory(given.pop("run").resolve()), given.pop("resume")
    trainer = FakeTrainer(run, Settings(**given), resume=resume)

    def terminate(*_: object) -> None:
        trainer.stopping = "save"

    signal.signal(signal.SIGTERM, terminate)
    print(f"fake trainer: {run.name}, {trainer.settings.steps} steps", flush=True)
    trainer.play()
    print(f"weight {trainer.weight}", flush=True)


if __name__ == "__main__":
    main()
