"""Settings that only the installed transformers can judge: asked before the training, so that nothing fails halfway."""

from __future__ import annotations

import copy
import inspect
from typing import Any

from transformers import Trainer
from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION

from trainer.errors import UserError


def check_optimizer(arguments: Any, model: Any) -> None:
    """Refuse an optimizer whose package is missing, and `optim_args` that the optimizer would not look at.

    Raises:
        UserError: in both cases.
    """
    name = arguments.optim.value
    try:
        chosen = Trainer.get_optimizer_cls_and_kwargs(arguments, model)[1]
    except (ImportError, ValueError, RuntimeError, AssertionError) as error:
        raise UserError(
            f"this optimizer cannot be used here: {_first_line(error)}",
            field="optim",
            value=name,
            hint="Install what it needs, or choose adamw_torch.",
        ) from error
    if not arguments.optim_args:
        return
    without = copy.copy(arguments)
    without.optim_args = None
    if chosen == Trainer.get_optimizer_cls_and_kwargs(without, model)[1]:
        raise UserError(
            f"the optimizer {name} takes no such settings",
            field="optim_args",
            value=arguments.optim_args,
            hint="Remove optim_args; adam_beta1, adam_beta2, adam_epsilon and weight_decay have names of their own.",
        )


def check_schedule(arguments: Any) -> None:
    """Refuse `lr_scheduler_kwargs` that the schedule does not know.

    Raises:
        UserError: with the names that it does know.
    """
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
