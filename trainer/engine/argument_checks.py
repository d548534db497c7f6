"""Settings that only the installed transformers can judge: asked before the training, so that nothing fails halfway."""

from __future__ import annotations

import copy
import inspect
from importlib import metadata
from typing import Any

import torch
from transformers import Trainer
from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION, get_scheduler

from trainer.config import Recipe
from trainer.engine.optimizers.create import is_made_here
from trainer.errors import UserError

# The package of each optimizer that is not in the base installation, by the beginning of its name.
_PACKAGES = {
    "adamw_torch_4bit": "torchao",
    "adamw_torch_8bit": "torchao",
    "grokadamw": "grokadamw",
    "schedule_free": "schedulefree",
    "stable_adamw": "torch-optimi",
}
_OF_BITSANDBYTES = ("8bit", "32bit", "bnb", "ademamix")
_TRIED_STEPS = 16


def check_optimizer(arguments: Any, model: Any, recipe: Recipe) -> None:
    """Refuse an optimizer whose package is missing, and `optim_args` that the optimizer would not look at.

    Raises:
        UserError: in both cases.
    """
    name = str(recipe.train.optim)
    if is_made_here(name):
        if "8bit" in name:
            _settings_of("adamw_8bit", arguments, None)
        return
    chosen = _settings_of(name, arguments, model)
    if not arguments.optim_args:
        return
    without = copy.copy(arguments)
    without.optim_args = None
    if chosen == _settings_of(name, without, model):
        raise UserError(
            f"the optimizer {name} takes no such settings",
            field="optim_args",
            value=arguments.optim_args,
            hint="Remove optim_args; adam_beta1, adam_beta2, adam_epsilon and weight_decay have names of their own.",
        )


def _settings_of(name: str, arguments: Any, model: Any) -> Any:
    """What transformers would make the optimizer with.

    Raises:
        UserError: when it cannot be made here.
    """
    chosen = copy.copy(arguments)
    chosen.optim = type(arguments.optim)(name)
    try:
        return Trainer.get_optimizer_cls_and_kwargs(chosen, model)[1]
    except (ImportError, ValueError, RuntimeError, AssertionError) as error:
        package = _package_of(name)
        raise UserError(
            "this optimizer cannot be used here: "
            + (_first_line(error) if package is None else f"it needs the package {package}"),
            field="optim",
            value=name,
            hint="Choose adamw_torch." if package is None else f"Install it: pip install {package}",
        ) from error


def _package_of(name: str) -> str | None:
    """The package that an optimizer needs and that is missing."""
    found = next((package for start, package in _PACKAGES.items() if name.startswith(start)), None)
    if found is None and any(mark in name for mark in _OF_BITSANDBYTES):
        found = "bitsandbytes"
    return None if found is None or _is_installed(found) else found


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def check_schedule(arguments: Any) -> None:
    """Refuse `lr_scheduler_kwargs` that the schedule does not know, or cannot use, at whatever step that would be.

    Raises:
        UserError: with the names that it does know, or what it says about the values.
    """
    _check_names_of_schedule(arguments)
    if not arguments.lr_scheduler_kwargs:
        return
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=arguments.learning_rate)
    try:
        schedule = get_scheduler(
            arguments.lr_scheduler_type,
            optimizer,
            num_warmup_steps=_TRIED_STEPS // 4,
            num_training_steps=_TRIED_STEPS,
            scheduler_specific_kwargs=dict(arguments.lr_scheduler_kwargs),
        )
        for rate in getattr(schedule, "lr_lambdas", ()):
            # A warmup would hide what goes wrong behind it.
            for step in range(_TRIED_STEPS + 1):
                rate(step)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise UserError(
            f"the schedule {arguments.lr_scheduler_type.value} cannot use these settings: {_first_line(error)}",
            field="lr_scheduler_kwargs",
            value=dict(arguments.lr_scheduler_kwargs),
        ) from error


def _check_names_of_schedule(arguments: Any) -> None:
    known = inspect.signature(TYPE_TO_SCHEDULER_FUNCTION[arguments.lr_scheduler_type]).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return
    ours = {"optimizer", "num_warmup_steps", "num_training_steps", "last_epoch"}
    names = sorted(set(known) - ours)
    for name in arguments.lr_scheduler_kwargs or {}:
        if name not in names:
            raise UserError(
                f"the schedule {arguments.lr_scheduler_type.value} takes "
                + (f"only {', '.join(names)}" if names else "no settings"),
                field="lr_scheduler_kwargs",
                value=name,
            )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
