"""The events of a run, one frozen dataclass each, and their lines in events.jsonl. Not for writing or tailing the file.

A line is one strict JSON object: `seq`, `time` (wall seconds), `monotonic` (seconds), `kind`, then the event's fields.
Numbers that JSON cannot hold are the strings "nan", "inf" and "-inf", and become floats again when read.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

from trainer.run.telemetry import Gpu, Telemetry


@dataclass(frozen=True)
class PhaseEvent:
    """The trainer does something else now: preparing, running, evaluating, saving, paused; `text` says what exactly."""

    kind: ClassVar[str] = "phase"
    phase: str
    text: str = ""
    step: int = 0


@dataclass(frozen=True)
class MetricsEvent:
    """What one logging step measured. Names: loss, learning_rate, grad_norm, tokens_per_second, tokens ..."""

    kind: ClassVar[str] = "metrics"
    step: int
    epoch: float
    values: dict[str, float]


@dataclass(frozen=True)
class EvaluationEvent:
    """What one evaluation measured. Names: eval_loss, eval_..."""

    kind: ClassVar[str] = "evaluation"
    step: int
    values: dict[str, float]


@dataclass(frozen=True)
class CheckpointEvent:
    """A checkpoint is whole on disk. `reason`: schedule, command, signal, end."""

    kind: ClassVar[str] = "checkpoint"
    step: int
    path: str
    bytes: int
    seconds: float
    reason: str = "schedule"


@dataclass(frozen=True)
class TelemetryEvent:
    """One look at the machine."""

    kind: ClassVar[str] = "telemetry"
    telemetry: Telemetry
    step: int = 0


@dataclass(frozen=True)
class SampleEvent:
    """What the live weights answered to `prompt`."""

    kind: ClassVar[str] = "sample"
    step: int
    prompt: str
    text: str
    seconds: float = 0.0
    score: float | None = None
    """What it was rewarded with, in stages that learn from rewards."""
    held_out: bool = False
    """Whether it answers a prompt that is not learned from."""


@dataclass(frozen=True)
class CommandResultEvent:
    """The answer to command `number`; the first answer counts."""

    kind: ClassVar[str] = "command-result"
    number: int
    verb: str
    arguments: dict[str, Any]
    step: int
    accepted: bool
    text: str = ""


@dataclass(frozen=True)
class FindingEvent:
    """Something that the user should know. `severity`: error, warning, info. `text` is English; other languages are
    made from `id` and `values`.
    """

    kind: ClassVar[str] = "finding"
    id: str
    severity: str
    text: str
    step: int = 0
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ResumeEvent:
    """Training goes on from `checkpoint`, saved after `step`: what was measured after that step no longer counts."""

    kind: ClassVar[str] = "resume"
    step: int
    checkpoint: str = ""


@dataclass(frozen=True)
class EndEvent:
    """The trainer is done. `reason`: finished, stopped, failed. `text`, `id`, `values` as in a finding."""

    kind: ClassVar[str] = "end"
    reason: str
    step: int
    text: str = ""
    id: str = ""
    values: dict[str, Any] = field(default_factory=dict)


Event = (
    PhaseEvent
    | MetricsEvent
    | EvaluationEvent
    | CheckpointEvent
    | TelemetryEvent
    | SampleEvent
    | CommandResultEvent
    | FindingEvent
    | ResumeEvent
    | EndEvent
)

_CLASSES: dict[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        PhaseEvent,
        MetricsEvent,
        EvaluationEvent,
        CheckpointEvent,
        TelemetryEvent,
        SampleEvent,
        CommandResultEvent,
        FindingEvent,
        ResumeEvent,
        EndEvent,
    )
}
_raw_decode = json.JSONDecoder().raw_decode
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True)
class Record:
    """An event with its place in the journal."""

    seq: int
    time: float
    monotonic: float
    event: Event = field(repr=True)


def encode_event(event: Event, seq: int, wall: float) -> bytes:
    """The line of `event`, with its newline. Never raises: what JSON does not know is written as its text."""
    record: dict[str, object] = {
        "seq": seq,
        "time": round(wall, 3),
        "monotonic": round(time.monotonic(), 3),
        "kind": event.kind,
    }
    for part in fields(event):
        record[part.name] = getattr(event, part.name)
    try:
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)
    except ValueError:
        text = json.dumps(_strict(record), ensure_ascii=False, separators=(",", ":"), default=_plain)
    # A lone surrogate from a broken file becomes its JSON escape instead of an error.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def decode_line(line: bytes) -> dict[str, Any] | None:
    """The record on `line`, with or without its newline; None when it is torn or is not one of ours."""
    try:
        text = line.decode()
        # Half the time of json.loads: this is what opening a long run consists of.
        record, end = _raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if end != len(text) and text[end:].strip():
        return None
    return record if isinstance(record, dict) and "kind" in record and "seq" in record else None


def decode_event(record: Mapping[str, Any]) -> Event | None:
    """The typed event of a record; None for a kind, or a form, that this version does not know."""
    cls = _CLASSES.get(record.get("kind", ""))
    if cls is None:
        return None
    values = {part.name: record[part.name] for part in fields(cls) if part.name in record}
    try:
        if cls is TelemetryEvent:
            values["telemetry"] = _telemetry(values["telemetry"])
        elif cls is MetricsEvent or cls is EvaluationEvent:
            values["values"] = {name: as_number(value) for name, value in values["values"].items()}
        return cls(**values)
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def as_number(value: object) -> float:
    """A number of a record as a float; the strings that stand for what JSON cannot hold included."""
    if isinstance(value, str):
        return _NOT_FINITE[value]
    return float(value)  # type: ignore[arg-type]


def _telemetry(values: Mapping[str, Any]) -> Telemetry:
    known = {part.name for part in fields(Telemetry)}
    gpu_fields = {part.name for part in fields(Gpu)}
    gpus = tuple(Gpu(**{k: v for k, v in gpu.items() if k in gpu_fields}) for gpu in values.get("gpus", ()))
    return Telemetry(**{k: v for k, v in values.items() if k in known} | {"gpus": gpus})


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return _strict(asdict(value))
    return str(value)


def _strict(value: object) -> object:
    """`value` with every number that JSON cannot hold replaced by its name."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    return value
