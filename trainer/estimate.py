"""The answer to "will it fit?" on this machine: the memory of a recipe, what is free, and what would make it smaller.

`python -m trainer estimate` prints it as JSON. Not for the estimate itself (`trainer.model.memory`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trainer.config import Recipe
from trainer.errors import UserError
from trainer.model.memory import Device, MemoryEstimate, estimate_memory
from trainer.run import telemetry

# Above this share of the free memory a run may still fail: the estimate has an error of a few per cent.
_TIGHT = 0.92
_SHORTEST_CUTOFF = 512


@dataclass(frozen=True)
class Saving:
    """A change of the recipe that needs less memory."""

    change: Mapping[str, object]
    """Dotted keys and their new values."""
    total: int
    """Bytes that are needed then."""


@dataclass(frozen=True)
class Answer:
    """The memory that a recipe needs on a device, and whether it is there."""

    memory: MemoryEstimate
    device: Device
    savings: tuple[Saving, ...] = ()
    """Empty when it fits."""

    @property
    def verdict(self) -> str:
        """`fits`, `tight`, `no`, or `unknown` when the driver does not say what is free."""
        return _verdict(self.memory.total, self.device)


def training_device() -> Device:
    """The GPU that a run would take, else the processor with this machine's memory."""
    seen = telemetry.sample()
    if seen.gpus:
        gpu = seen.gpus[0]
        return Device(gpu.name, True, gpu.memory_total, _free(gpu.memory_total, gpu.memory_used))
    return Device("CPU", False, seen.memory_total, _free(seen.memory_total, seen.memory_used))


def answer(recipe: Recipe, device: Device, *, length: int | None = None) -> Answer:
    """The estimate for a resolved recipe; where it does not fit well, with the changes that would help, best first.

    Raises:
        UserError: when the model's configuration cannot be read, or the method does not fit the model.
    """
    memory = estimate_memory(recipe, is_gpu=device.is_gpu, length=length)
    if _verdict(memory.total, device) in ("fits", "unknown"):
        return Answer(memory, device)
    savings = []
    for change in _changes(recipe):
        try:
            total = estimate_memory(_changed(recipe, change), is_gpu=device.is_gpu, length=length).total
        except UserError:
            continue  # this change does not suit the model
        if total < memory.total:
            savings.append(Saving(change, total))
    return Answer(memory, device, tuple(sorted(savings, key=lambda saving: saving.total)))


def _verdict(total: int, device: Device) -> str:
    if device.free is None:
        return "unknown"
    if total > device.free:
        return "no"
    return "tight" if total > _TIGHT * device.free else "fits"


def _changes(recipe: Recipe) -> Iterator[dict[str, object]]:
    """What may be changed, the harmless things first."""
    train = recipe.train
    if not train.gradient_checkpointing:
        yield {"model.disable_gradient_checkpointing": False, "train.gradient_checkpointing": True}
    batch = train.per_device_train_batch_size
    if batch > 1 and batch % 2 == 0:
        # The same effective batch, the same loss.
        yield {
            "train.per_device_train_batch_size": batch // 2,
            "train.gradient_accumulation_steps": 2 * train.gradient_accumulation_steps,
        }
    if recipe.data.cutoff_len > _SHORTEST_CUTOFF:
        yield {"data.cutoff_len": max(_SHORTEST_CUTOFF, recipe.data.cutoff_len // 2)}
    if recipe.method.finetuning_type in ("full", "freeze"):
        yield {"method.finetuning_type": "lora"}
    if recipe.method.finetuning_type == "full" and train.optim == "adamw_torch":
        yield {"train.optim": "adafactor"}


def _changed(recipe: Recipe, change: Mapping[str, object]) -> Recipe:
    values = recipe.model_dump()
    for key, value in change.items():
        table, _, name = key.partition(".")
        values[table][name] = value
    return Recipe.model_validate(values)


def _free(total: int | None, used: int | None) -> int | None:
    return None if total is None or used is None else total - used
