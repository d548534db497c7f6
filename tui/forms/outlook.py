"""What the inspect worker tells of a run before its start, as data: memory, verdict, ways out, disk, speed; and what
follows from it: time, price, space for checkpoints. Not its words (`outlook_texts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tui.forms.summary import RunPlan

PARTS = (
    "frozen_weights",
    "trained_weights",
    "gradients",
    "optimizer",
    "activations",
    "logits",
    "update",
    "evaluation",
    "overhead",
)
"""In the order of a bar; `trainer.model.memory` says what they are."""


@dataclass(frozen=True)
class Room:
    """A GPU, or this machine's memory. Bytes; None where the driver does not tell."""

    name: str
    is_gpu: bool
    index: int
    total: int | None
    free: int | None

    @property
    def used(self) -> int | None:
        """What others use."""
        return None if self.total is None or self.free is None else self.total - self.free


@dataclass(frozen=True)
class WayOut:
    """A change that needs less memory."""

    change: Mapping[str, object]
    """Dotted keys and their new values."""
    total: int
    """Bytes that are needed then."""
    fits: bool


@dataclass(frozen=True)
class Outlook:
    """An answer of the worker."""

    parts: Mapping[str, int]
    """Bytes by the names of `PARTS`."""
    total: int
    verdict: str
    """`fits`, `tight`, `no` or `unknown`."""
    device: Room
    others: tuple[Room, ...]
    batch: int
    length: int
    layers: int
    is_formula: bool
    stage: str
    stored_weights: int
    stored_optimizer: int
    disk_free: int | None
    tokens_per_second: float | None
    speed_of: str
    """The run that was so fast; empty when none was."""
    speed_is_exact: bool
    ways_out: tuple[WayOut, ...] = ()
    """Best first."""
    searching: bool = False
    """More of them are being looked for."""

    @property
    def checkpoint(self) -> int:
        """Bytes of one checkpoint."""
        return self.stored_weights + self.stored_optimizer


@dataclass(frozen=True)
class Forecast:
    """What the run will take, as far as it is known."""

    seconds: float | None
    price: float | None
    """In whatever currency `price_per_hour` is."""
    disk: int | None
    """Bytes of all checkpoints that lie there at once, the one that is being written included."""


def outlook(told: Mapping[str, Any]) -> Outlook:
    """The worker's answer. Raises: KeyError, TypeError when it is none."""
    memory = told["memory"]
    speed = told.get("speed") or {}
    return Outlook(
        parts={part: int(memory[part]) for part in PARTS},
        total=int(told["total"]),
        verdict=str(told["verdict"]),
        device=_room(told["device"]),
        others=tuple(map(_room, told.get("others") or ())),
        batch=int(memory["batch"]),
        length=int(memory["length"]),
        layers=int(memory["layers"]),
        is_formula=bool(memory["is_formula"]),
        stage=str(memory.get("stage") or "sft"),
        stored_weights=int(memory["stored_weights"]),
        stored_optimizer=int(memory["stored_optimizer"]),
        disk_free=told.get("disk_free"),
        tokens_per_second=speed.get("tokens_per_second"),
        speed_of=str(speed.get("run") or ""),
        speed_is_exact=bool(speed.get("exact")),
        ways_out=ways_out(told),
    )


def ways_out(told: Mapping[str, Any]) -> tuple[WayOut, ...]:
    """The changes in an answer, best first."""
    return tuple(WayOut(dict(one["change"]), int(one["total"]), bool(one["fits"])) for one in told.get("savings") or ())


def forecast(plan: RunPlan, seen: Outlook, price_per_hour: float | None) -> Forecast:
    """Time, price and disk of a run."""
    seconds = None
    if plan.tokens is not None and seen.tokens_per_second:
        seconds = plan.tokens / seen.tokens_per_second
    price = None if seconds is None or price_per_hour is None else seconds / 3600 * price_per_hour
    return Forecast(seconds, price, _disk(plan, seen))


def _disk(plan: RunPlan, seen: Outlook) -> int | None:
    # Two whole checkpoints always stay, and a new one is written before an old one goes.
    limit = None if plan.saves_kept is None else max(2, plan.saves_kept) + 1
    if plan.saves is None:
        return None if limit is None else limit * seen.checkpoint
    # The last step is saved in any case.
    count = max(1, plan.saves)
    return (count if limit is None else min(count, limit)) * seen.checkpoint


def _room(told: Mapping[str, Any]) -> Room:
    return Room(str(told["name"]), bool(told["is_gpu"]), int(told.get("index") or 0), told["total"], told["free"])
