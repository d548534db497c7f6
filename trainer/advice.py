"""What would make a run fit: changes of its recipe with what they need, alone and together. Not for the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from trainer.config import Hardware, Parameter, Recipe, check, parameter
from trainer.errors import UserError
from trainer.model.memory import MemoryEstimate

_SHORTEST_CUTOFF = 512
# So many single changes that are enough by themselves are a choice; each costs a simulation.
_ENOUGH = 3

Estimate = Callable[[Recipe], MemoryEstimate]


@dataclass(frozen=True)
class Saving:
    """A change of the recipe that needs less memory."""

    change: Mapping[str, object]
    """Dotted keys and their new values."""
    total: int
    """Bytes that are needed then."""
    fits: bool
    """That is enough."""


def savings(
    recipe: Recipe, memory: MemoryEstimate, room: int, hardware: Hardware, estimate: Estimate
) -> Iterator[Saving]:
    """Changes that bring `memory` below `room` bytes, as they are found: each alone, then, where none is enough,
    several together in the order in which they hurt least.
    """
    alone: list[Saving] = []
    for changes in _ladders(recipe, memory):
        found = _best_of(recipe, changes, memory.total, room, hardware, estimate)
        if found is not None:
            alone.append(found)
            yield found
        if sum(saving.fits for saving in alone) == _ENOUGH:
            return
    if not any(saving.fits for saving in alone):
        yield from _together(recipe, memory.total, alone, room, hardware, estimate)


def ranked(found: list[Saving]) -> list[Saving]:
    """Best first: what fits in the order of harm, then what saves most."""
    order = {id(saving): number for number, saving in enumerate(found)}
    return sorted(found, key=lambda saving: (0, order[id(saving)]) if saving.fits else (1, saving.total))


def _best_of(
    recipe: Recipe,
    ladder: list[dict[str, object]],
    total: int,
    room: int,
    hardware: Hardware,
    estimate: Estimate,
) -> Saving | None:
    """The first rung that fits, else the last one where it helps: what does not fit at the end fits nowhere."""
    if not ladder:
        return None
    *smaller, last = ladder
    least = _needed(recipe, last, hardware, estimate)
    if least is None or least >= total:
        return None
    best = Saving(last, least, least <= room)
    if not best.fits or not smaller:
        return best
    # Each rung halves the size, and what is needed follows it nearly in a line: one or two are tried, not all.
    share = (room - least) / (total - least)
    bottom = 0.5 ** len(ladder)
    likely = next((rung for rung in range(len(smaller)) if (0.5 ** (rung + 1) - bottom) / (1 - bottom) <= share), None)
    for change in () if likely is None else smaller[likely : likely + 2]:
        needed = _needed(recipe, change, hardware, estimate)
        if needed is not None and needed <= room:
            return Saving(change, needed, True)
    return best


def _together(
    recipe: Recipe, total: int, alone: list[Saving], room: int, hardware: Hardware, estimate: Estimate
) -> Iterator[Saving]:
    """One change on top of the other until it fits; a change that takes the place of others comes last.

    Where not even all that each saves alone would be enough, nothing is simulated.
    """
    change: dict[str, object] = {}
    least = total
    for number, saving in enumerate(alone):
        change = {**change, **saving.change}
        least -= total - saving.total
        is_last = number == len(alone) - 1
        if number == 0 or (least > room and not is_last):
            continue
        needed = _needed(recipe, change, hardware, estimate)
        if needed is not None and (needed <= room or is_last):
            yield Saving(change, needed, needed <= room)
            return


def _ladders(recipe: Recipe, memory: MemoryEstimate) -> Iterator[list[dict[str, object]]]:
    """What may be changed, the harmless first; of one thing several rungs, the smallest step first."""
    train, method = recipe.train, recipe.method.finetuning_type
    if not train.gradient_checkpointing:
        allowed = {"model.disable_gradient_checkpointing": False} if recipe.model.disable_gradient_checkpointing else {}
        yield [{**allowed, "train.gradient_checkpointing": True}]
    yield [*_smaller_batches(recipe)]
    if memory.evaluation and (train.per_device_eval_batch_size or 0) > train.per_device_train_batch_size:
        yield [{"train.per_device_eval_batch_size": train.per_device_train_batch_size}]
    if method in ("lora", "oft") and recipe.quantization.quantization_bit is None:
        yield [{"quantization.quantization_bit": 8}, {"quantization.quantization_bit": 4}]
    if method in ("full", "freeze") and train.optim in ("adamw_torch", "adamw_torch_fused"):
        yield [{"train.optim": "adamw_bnb_8bit"}]
        yield [{"train.optim": "adafactor"}]
    if method in ("full", "freeze") and not recipe.method.pure_bf16:
        yield [{"method.pure_bf16": True, "train.bf16": False, "train.fp16": False}]
    yield [*_shorter_rows(recipe)]
    if method in ("full", "freeze"):
        yield [{"method.finetuning_type": "lora"}]
        yield [{"method.finetuning_type": "lora", "quantization.quantization_bit": 4}]


def _smaller_batches(recipe: Recipe) -> Iterator[dict[str, object]]:
    """The same effective batch, so the same loss."""
    rows, batches = recipe.train.per_device_train_batch_size, recipe.train.gradient_accumulation_steps
    while rows % 2 == 0:
        rows, batches = rows // 2, batches * 2
        yield {"train.per_device_train_batch_size": rows, "train.gradient_accumulation_steps": batches}


def _shorter_rows(recipe: Recipe) -> Iterator[dict[str, object]]:
    length = recipe.data.cutoff_len
    while length > _SHORTEST_CUTOFF:
        length = max(_SHORTEST_CUTOFF, length // 2)
        yield {"data.cutoff_len": length}


def _needed(recipe: Recipe, change: Mapping[str, object], hardware: Hardware, estimate: Estimate) -> int | None:
    """The memory with a change; None when it is no way out for this recipe."""
    if not all(_acts(parameter(key), value) for key, value in change.items()):
        return None
    try:
        changed = recipe.with_values(change)
    except ValueError:
        return None
    before = {(found.id, found.fields) for found in check(recipe, hardware)}
    if any(found.severity == "error" and (found.id, found.fields) not in before for found in check(changed, hardware)):
        return None
    try:
        return estimate(changed).total
    except UserError:
        return None  # this change does not suit the model


def _acts(one: Parameter, value: object) -> bool:
    form = one.form
    return form.available and (not form.available_choices or str(value) in form.available_choices)
