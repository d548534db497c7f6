"""The answer to "will it fit?" on this machine: the memory of a recipe, what is free, what would make it smaller, the
disk that checkpoints need, and the speed of earlier runs.

`python -m trainer estimate` prints it as JSON, `python -m trainer inspect` answers it again and again. Not for the
estimate itself (`trainer.model.memory`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trainer.advice import Saving, ranked, savings
from trainer.config import Hardware, Recipe
from trainer.config.hardware import visible
from trainer.model.memory import Device, MemoryEstimate, estimate_memory
from trainer.paths import runs_folder
from trainer.run import run_place, telemetry
from trainer.run.speeds import CPU, Speed, earlier_speed

# Above this share of the free memory a run may still fail: the estimate has an error of a few per cent.
_TIGHT = 0.92


@dataclass(frozen=True)
class Answer:
    """The memory that a recipe needs on a device, and whether it is there."""

    memory: MemoryEstimate
    device: Device
    """The one that the run would take."""
    others: tuple[Device, ...] = ()
    """Further GPUs of this machine."""
    savings: tuple[Saving, ...] = ()
    """Empty when it fits. Best first."""
    disk_free: int | None = None
    """Bytes where the run would be written."""
    speed: Speed | None = None
    """Of an earlier run like this one."""

    @property
    def verdict(self) -> str:
        """`fits`, `tight`, `no`, or `unknown` when the driver does not say what is free."""
        return _verdict(self.memory.total, self.device)

    def to_json(self) -> dict[str, Any]:
        """As the workers tell it."""
        told = asdict(self)
        told["memory"]["checkpoint"] = self.memory.checkpoint
        told["device"]["used"] = self.device.used
        return {**told, "total": self.memory.total, "tensors": self.memory.tensors, "verdict": self.verdict}


def training_devices() -> tuple[Device, ...]:
    """The GPU that a run would take, then the further ones; else the processor with this machine's memory."""
    seen = telemetry.sample()
    if Hardware.detect().cuda and seen.gpus:
        return tuple(
            Device(gpu.name, True, gpu.memory_total, _free(gpu.memory_total, gpu.memory_used), gpu.index)
            for gpu in visible(seen.gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
        )
    return (Device(CPU, False, seen.memory_total, _free(seen.memory_total, seen.memory_used)),)


def answer(recipe: Recipe, devices: Sequence[Device], *, length: int | None = None, download: bool = False) -> Answer:
    """The whole answer for a resolved recipe; `length` is the longest row where it is known. `download`: the
    configuration of a model of a hub may be fetched.

    Raises:
        UserError: when the model's configuration cannot be read, or the method does not fit the model.
    """
    first = first_answer(recipe, devices, length=length, download=download)
    found = ranked([*ways_out(recipe, first, length=length)])
    return Answer(first.memory, first.device, first.others, tuple(found), first.disk_free, first.speed)


def first_answer(
    recipe: Recipe, devices: Sequence[Device], *, length: int | None = None, download: bool = False
) -> Answer:
    """All but the savings, which take as long again each.

    Raises:
        UserError: as `answer`.
    """
    device, *others = devices
    memory = estimate_memory(recipe, is_gpu=device.is_gpu, length=length, download=download)
    folder, _ = run_place(recipe)
    place = folder or runs_folder()
    while not place.exists():
        place = place.parent
    try:
        disk_free = shutil.disk_usage(place).free
    except OSError:
        disk_free = None
    return Answer(memory, device, tuple(others), (), disk_free, earlier_speed(recipe, device.name))


def ways_out(recipe: Recipe, told: Answer, *, length: int | None = None) -> Iterator[Saving]:
    """The changes that would make it fit, one by one as they are found; none when it fits."""
    if told.device.free is None or told.verdict == "fits":
        return
    is_gpu = told.device.is_gpu
    hardware = Hardware.detect()
    room = int(_TIGHT * told.device.free)
    yield from savings(
        recipe, told.memory, room, hardware, lambda changed: estimate_memory(changed, is_gpu=is_gpu, length=length)
    )


def _verdict(total: int, device: Device) -> str:
    if device.free is None:
        return "unknown"
    if total > device.free:
        return "no"
    return "tight" if total > _TIGHT * device.free else "fits"


def _free(total: int | None, used: int | None) -> int | None:
    return None if total is None or used is None else total - used
