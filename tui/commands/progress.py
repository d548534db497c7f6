"""Where a run stands, as a small record read from its directory. Not for drawing: `tui/progress_view.py`, `runs.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer.run import RunDirectory, RunReader, RunState, Series, Status
from tui.locale import text

# This many logged steps make the pace: enough to be steady, few enough to follow a change of speed.
_PACE_POINTS = 20


@dataclass(frozen=True)
class Progress:
    """A run at one moment; None stands for "not known yet". Times in seconds."""

    name: str
    path: str
    state: RunState
    step: int = 0
    total_steps: int | None = None
    epoch: float | None = None
    loss: float | None = None
    reward: float | None = None
    """In stages that learn from rewards: the mean of the newest answers."""
    learning_rate: float | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None
    evaluation_step: int | None = None
    evaluation: dict[str, float] = field(default_factory=dict)
    message: str = ""
    last_checkpoint: str | None = None
    elapsed: float | None = None
    rows: int = 0
    total_rows: int = 0
    """Rows that are prepared, and how many there are about; 0: not known."""

    @property
    def ended(self) -> bool:
        """Whether no process works on the run any more."""
        return not self.state.alive


def read_progress(run: RunDirectory) -> Progress:
    """Where a run stands now, everything of it read."""
    reader = RunReader(run)
    while not reader.complete:
        reader.poll()
    return progress_of(run, reader)


def progress_of(run: RunDirectory, reader: RunReader) -> Progress:
    """What status and events say; poll the reader before."""
    status = run.status() or Status()
    state = run.state()
    step = max([status.step, *(series.last_step or 0 for series in reader.series.values())])
    total = status.total_steps or None
    evaluation_step = max((series.last_step or 0 for series in reader.evaluations.values()), default=None)
    left = status.seconds_left if status.seconds_left is not None else _seconds_left(reader, step, total)
    return Progress(
        name=run.name,
        path=str(run.path),
        state=state,
        step=step,
        total_steps=total,
        epoch=reader.epoch or status.epoch or None,
        loss=_last(reader.series, "loss"),
        reward=_last(reader.series, "reward"),
        learning_rate=_last(reader.series, "learning_rate"),
        tokens_per_second=_last(reader.series, "tokens_per_second"),
        seconds_left=left if state.alive else None,
        evaluation_step=evaluation_step,
        evaluation={name: series.last for name, series in reader.evaluations.items() if series.last is not None},
        message=" ".join(status.message.split()),
        last_checkpoint=_checkpoint_path(run, status),
        elapsed=status.elapsed if status.started else None,
        rows=status.rows,
        total_rows=status.total_rows,
    )


def _checkpoint_path(run: RunDirectory, status: Status) -> str | None:
    """Where the newest checkpoint lies; the status has its name, and may have it with its folder."""
    return str(run.checkpoints_folder / Path(status.last_checkpoint).name) if status.last_checkpoint else None


def _last(series: Mapping[str, Series], name: str) -> float | None:
    found = series.get(name)
    return None if found is None else found.last


def _seconds_left(reader: RunReader, step: int, total: int | None) -> float | None:
    """The steps that are left at the pace of the recent ones: right after a resume, blind to evaluations and saves."""
    series = reader.series.get("step_seconds")
    if total is None or series is None:
        return None
    recent = [value for value in series.points()[1][-_PACE_POINTS:] if math.isfinite(value)]
    return max(total - step, 0) * sum(recent) / len(recent) if recent else None


def progress_line(progress: Progress) -> str:
    """Everything in one line of plain text."""
    parts = [text(f"command_line.state_{progress.state.value}")]
    if progress.total_steps:
        parts.append(text("command_line.step_of", step=progress.step, total=progress.total_steps))
    elif progress.step:
        parts.append(text("command_line.step", step=progress.step))
    parts += [f"{label} {value}" for label, value in numbers(progress)]
    return "  ".join(parts)


def numbers(progress: Progress) -> list[tuple[str, str]]:
    """The known numbers with their labels, in the order in which they matter."""
    found: list[tuple[str, str]] = []
    if progress.reward is not None:
        found.append((text("command_line.reward"), f"{progress.reward:.4f}"))
    if progress.loss is not None:
        found.append((text("command_line.loss"), f"{progress.loss:.4f}"))
    for name, value in progress.evaluation.items():
        if name in ("eval_loss", "eval_reward"):
            found.append((text(f"command_line.{name}"), f"{value:.4f}"))
    if progress.learning_rate is not None:
        found.append((text("command_line.learning_rate"), f"{progress.learning_rate:.2e}"))
    if progress.tokens_per_second is not None:
        speed = f"{progress.tokens_per_second:,.0f}"
        found.append((text("command_line.tokens_per_second"), speed))
    if progress.seconds_left is not None:
        found.append((text("command_line.eta"), duration(progress.seconds_left)))
    return found


def duration(seconds: float) -> str:
    """A duration as 0:42, 12:05, 3:07:00 or 2d 03:00."""
    whole = max(round(seconds), 0)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        days, hours = divmod(hours, 24)
        return f"{days}d {hours:02}:{minutes:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def json_of(progress: Progress) -> dict[str, object]:
    """The stable JSON form; see docs/command-line.md."""
    return {
        "name": progress.name,
        "path": progress.path,
        "state": progress.state.value,
        "step": progress.step,
        "total_steps": progress.total_steps,
        "epoch": progress.epoch,
        "loss": progress.loss,
        "reward": progress.reward,
        "learning_rate": progress.learning_rate,
        "tokens_per_second": progress.tokens_per_second,
        "seconds_left": progress.seconds_left,
        "evaluation_step": progress.evaluation_step,
        "evaluation": progress.evaluation,
        "last_checkpoint": progress.last_checkpoint,
        "elapsed": progress.elapsed,
        "message": progress.message,
    }
