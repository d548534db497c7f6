"""What a run will come to, as far as it is known before the start: steps, epochs, batch, warmup, saves, the command.

Arithmetic over the recipe only; rows come from the check of the data. Not for memory estimates.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from pathlib import Path

from trainer.config import Preset, Recipe, parameters
from trainer.config.answering import steps_of_answers
from trainer.config.toml_text import toml_text
from trainer.paths import shipped_folder, user_presets_folder
from tui.forms.model import FormModel


@dataclass(frozen=True)
class RunPlan:
    """The plan; None stands for "not known yet" (the rows are counted in the background)."""

    batch: int
    """Rows in one micro-batch of one device."""
    accumulation: int
    devices: int
    effective_batch: int
    rows: int | None
    steps: int | None
    epochs: float | None
    warmup_steps: int | None
    evaluations: int | None
    saves: int | None
    saves_kept: int | None
    """How many checkpoints stay on disk; None when all stay."""
    tokens_per_epoch: int | None = None
    tokens: int | None = None
    """Of all epochs together."""


def plan(model: FormModel, rows: int | None, tokens: int | None = None) -> RunPlan:
    """The plan of the form's values, with `rows` training rows of `tokens` tokens where they are known."""
    return plan_of(model.resolved.recipe, rows, tokens)


def plan_of(recipe: Recipe, rows: int | None, tokens: int | None = None) -> RunPlan:
    """The plan of a resolved recipe."""
    train = recipe.train
    devices = 1  # a run trains on one device, however many there are
    batch = int(train.per_device_train_batch_size)
    accumulation = int(train.gradient_accumulation_steps)
    effective = batch * accumulation * devices
    known = rows is not None and _one_sequence_a_row(recipe)
    per_epoch = max(1, math.ceil(math.ceil((rows or 0) / (batch * devices)) / accumulation)) if known else None
    if known and (of_answers := steps_of_answers(recipe, rows or 0)) is not None:
        # How many tokens the answers will have, nobody knows before.
        per_epoch, tokens = of_answers, None
    steps: int | None
    epochs: float | None
    if train.max_steps > 0:
        steps = int(train.max_steps)
        epochs = None if per_epoch is None else steps / per_epoch
    else:
        epochs = float(train.num_train_epochs)
        steps = None if per_epoch is None else max(1, math.ceil(epochs * per_epoch))
    return RunPlan(
        batch=batch,
        accumulation=accumulation,
        devices=devices,
        effective_batch=effective,
        rows=rows,
        steps=steps,
        epochs=epochs,
        warmup_steps=_warmup(recipe, steps),
        evaluations=_events(str(train.eval_strategy), train.eval_steps or train.logging_steps, steps, per_epoch),
        saves=_events(str(train.save_strategy), train.save_steps, steps, per_epoch, at_end=True),
        saves_kept=train.save_total_limit,
        tokens_per_epoch=tokens,
        tokens=_all_tokens(recipe, tokens, epochs, steps),
    )


def _all_tokens(recipe: Recipe, tokens: int | None, epochs: float | None, steps: int | None) -> int | None:
    """Tokens of the whole run; packed sequences are full, so that their steps can be counted in tokens."""
    train, data = recipe.train, recipe.data
    if epochs is not None and tokens is not None:
        return round(epochs * tokens)
    if steps is None or not (data.packing or data.neat_packing):
        return None
    return steps * train.per_device_train_batch_size * train.gradient_accumulation_steps * data.cutoff_len


def _one_sequence_a_row(recipe: Recipe) -> bool:
    """Whether every row is one sequence, once an epoch: packing makes fewer of them, other mixtures more or fewer."""
    data = recipe.data
    packed = data.packing or data.neat_packing
    return not (packed or data.streaming or (data.mix_strategy != "concat" and len(data.dataset) > 1))


def command_line(model: FormModel) -> str:
    """The shell command that starts the same run: `trimtab train demo lora_rank=16`."""
    preset = model.preset
    words = ["trimtab", "train", "base" if preset is None else _preset_word(preset)]
    words += [f"{short_name(key)}={_word(value)}" for key, value in model.changes.items()]
    return " ".join(shlex.quote(word) for word in words)


def _preset_word(preset: Preset) -> str:
    """The name where that is enough to find it, else the path of its file."""
    file, here = preset.path.resolve(), Path.cwd()
    if file.parent in (user_presets_folder().resolve(), shipped_folder("presets").resolve()):
        return preset.name
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)


def short_name(key: str) -> str:
    """The bare name where only one table has it, else `table.name`."""
    name = key.split(".", 1)[1]
    return name if sum(one.name == name for one in parameters()) == 1 else key


def _word(value: object) -> str:
    """A value as an override takes it: TOML, where text that cannot be taken for anything else stands bare."""
    if not isinstance(value, str):
        return toml_text(value)
    bare = bool(value) and all(sign.isalnum() or sign in "_./:@-" for sign in value) and not value[0].isdigit()
    return value if bare and value not in ("true", "false", "inf", "nan") else toml_text(value)


def _warmup(recipe: Recipe, steps: int | None) -> int | None:
    """Warmup in steps: `warmup_steps` from 1 on counts steps, below 1 it is a share of the run, like `warmup_ratio`."""
    asked = float(recipe.train.warmup_steps or 0)
    if asked >= 1:
        return int(asked)
    share = asked or float(recipe.train.warmup_ratio or 0)
    if not share:
        return 0
    return None if steps is None else math.ceil(share * steps)


def _events(
    strategy: str, every: float | None, steps: int | None, per_epoch: int | None, *, at_end: bool = False
) -> int | None:
    """How often something that follows a strategy happens; `at_end` adds the last step when it is not hit anyway."""
    if strategy == "no":
        return 0
    if steps is None:
        return None
    if strategy == "epoch":
        return None if per_epoch is None else math.ceil(steps / per_epoch)
    interval = every or 0
    if 0 < interval < 1:
        interval = max(1, math.ceil(interval * steps))
    if interval <= 0:
        return None
    count, rest = divmod(steps, int(interval))
    return count + (1 if at_end and rest else 0)
