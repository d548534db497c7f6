"""How fast earlier runs were: the newest one like the next, for a forecast of its time. Not for live throughput."""

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trainer.config import Recipe, resolve_model_path
from trainer.run.directory import RunDirectory, list_runs
from trainer.run.events import decode_line

_LOOK_AT = 100  # of the newest runs
_END_BYTES = 64 * 1024
_POINTS = 5
CPU = "CPU"
# What makes a step faster or slower beside the model: of runs that have the same model and method, those with more of
# these in common come first.
_ALIKE = (
    ("train", "gradient_checkpointing"),
    ("data", "cutoff_len"),
    ("train", "per_device_train_batch_size"),
    ("data", "packing"),
    ("train", "optim"),
)


@dataclass(frozen=True)
class Speed:
    """What an earlier run reached."""

    tokens_per_second: float
    """Real tokens, without padding, over its last measurements."""
    run: str
    """Its name."""
    exact: bool
    """It had the same batch, length, packing, optimizer and checkpointing, too."""


def earlier_speed(recipe: Recipe, device: str) -> Speed | None:
    """The speed of the most similar, then newest run of the same model, method and device; None when there is none.

    `device` is the name of the GPU, or `CPU`.
    """
    wanted = recipe.model_dump(mode="json")
    best: tuple[int, Speed] | None = None
    for run in list_runs()[:_LOOK_AT]:
        had = _recipe_of(run)
        if had is None or _kind(had) != _kind(wanted) or _device_of(run) != device:
            continue
        alike = sum(_value(had, *key) == _value(wanted, *key) for key in _ALIKE)
        if best is not None and alike <= best[0]:
            continue
        rate = _rate_of(run)
        if rate is not None:
            best = alike, Speed(rate, run.name, alike == len(_ALIKE))
    return None if best is None else best[1]


def _recipe_of(run: RunDirectory) -> dict[str, Any] | None:
    """As it was written: a run of an older version is compared as well as it can be."""
    try:
        return tomllib.loads(run.recipe_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _kind(recipe: Mapping[str, Any]) -> tuple[object, ...]:
    model = str(_value(recipe, "model", "model_name_or_path") or "")
    return (
        resolve_model_path(model),
        _value(recipe, "method", "stage") or "sft",
        _value(recipe, "method", "finetuning_type") or "lora",
        _value(recipe, "quantization", "quantization_bit"),
    )


def _value(recipe: Mapping[str, Any], table: str, name: str) -> object:
    return recipe.get(table, {}).get(name) or None


def _device_of(run: RunDirectory) -> str | None:
    """The first GPU that its telemetry names; None when it has measured nothing yet."""
    for record in _records(run, from_end=False):
        if record["kind"] == "telemetry":
            gpus = record.get("telemetry", {}).get("gpus") or []
            return str(gpus[0].get("name")) if gpus else CPU
        if record["kind"] == "finding" and record.get("id") == "run_on_cpu":
            return CPU
    return None


def _rate_of(run: RunDirectory) -> float | None:
    rates = [
        float(record["values"]["tokens_per_second"])
        for record in _records(run, from_end=True)
        if record["kind"] == "metrics" and "tokens_per_second" in record.get("values", {})
    ]
    rates = [rate for rate in rates if rate > 0]
    return statistics.median(rates[-_POINTS:]) if rates else None


def _records(run: RunDirectory, *, from_end: bool) -> Iterator[dict[str, Any]]:
    """The records in the first or the last piece of the journal."""
    try:
        with run.events_file.open("rb") as file:
            if from_end:
                size = file.seek(0, 2)
                file.seek(max(0, size - _END_BYTES))
            piece = file.read(_END_BYTES)
    except OSError:
        return
    for line in piece.splitlines():
        record = decode_line(line)
        if record is not None:
            yield record
