"""Sending the figures to TensorBoard, Weights & Biases and others, by transformers' own callbacks. Not by default.

A service that fails, at the start or later, never stops the run: it is told once and left out from then on. Keys come
from the environment alone.
"""

from __future__ import annotations

import importlib
import os
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from transformers import TrainerCallback
from transformers.integrations import get_reporting_integration_callbacks

from trainer.config import Recipe
from trainer.config.reporters import PACKAGES, installed_reporters, is_installed
from trainer.engine.session import RunSession
from trainer.errors import UserError
from trainer.run.messages import words


def reporting_callbacks(session: RunSession, recipe: Recipe) -> list[TrainerCallback]:
    """One guarded callback for each service of the recipe.

    Raises: UserError when its package is missing.
    """
    asked = [name for name in recipe.train.report_to if name != "none"]
    if "all" in asked:
        asked = list(installed_reporters())
    if recipe.swanlab.use_swanlab and "swanlab" not in asked:
        asked.append("swanlab")
    for name in asked:
        if name not in PACKAGES:
            raise UserError(f"expected one of {', '.join(PACKAGES)}", field="report_to", value=name)
        if not is_installed(name):
            hint = f"Install it with `pip install {PACKAGES[name].install}`"
            raise UserError("its package is not installed", field="report_to", value=name, hint=hint)
    # Where services keep their files; what the user set in the environment stays.
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(session.run.path / "tensorboard"))
    os.environ.setdefault("WANDB_DIR", str(session.run.path))
    # Weights belong into checkpoints; uploading them is asked for with push_to_hub.
    os.environ.setdefault("WANDB_LOG_MODEL", "false")
    return [_guarded(session, recipe, name) for name in asked]


def _guarded(session: RunSession, recipe: Recipe, name: str) -> TrainerCallback:
    try:
        (kind,) = get_reporting_integration_callbacks([name])
        begin = partial(_begin_swanlab, session, recipe) if name == "swanlab" else None
        return GuardedReport(session, name, kind(), begin)
    except Exception as error:
        traceback.print_exc()
        raise UserError(f"{name} cannot be used: {error}", field="report_to", value=name) from error


def _begin_swanlab(session: RunSession, recipe: Recipe) -> None:
    """Begin SwanLab's record of the run with what `[swanlab]` says.

    transformers' callback takes over a record that was begun. Left to itself it would ask whether there is one, which
    SwanLab 0.10 answers with an error.
    """
    swanlab = importlib.import_module("swanlab")
    table = recipe.swanlab
    given: dict[str, Any] = {
        "experiment_name": table.swanlab_run_name or recipe.train.run_name or session.run.name,
        "logdir": table.swanlab_logdir or str(session.run.path / "swanlog"),
    }
    if table.use_swanlab:
        given.update(project=table.swanlab_project, workspace=table.swanlab_workspace, mode=table.swanlab_mode)
    swanlab.init(**given)


class GuardedReport(TrainerCallback):
    """Passes all that happens on to the callback of a service, until that fails."""

    def __init__(
        self, session: RunSession, name: str, inner: TrainerCallback, begin: Callable[[], None] | None = None
    ) -> None:
        """`begin` is called before the callback hears that the training begins."""
        self._session, self._name, self._begin = session, name, begin
        self._inner: TrainerCallback | None = inner

    def _pass_on(self, event: str, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._inner is None:
            return
        try:
            if event == "on_train_begin" and self._begin is not None:
                self._begin()
            getattr(self._inner, event)(args, state, control, **kwargs)
        # SystemExit too: some clients leave the whole process when they cannot log in.
        except (Exception, SystemExit) as error:
            self._inner = None
            traceback.print_exc()
            said = words("run_report_failed", name=self._name, error=f"{type(error).__name__}: {error}")
            self._session.finding("warning", said, int(state.global_step))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The service starts its own record of the run."""
        self._pass_on("on_train_begin", args, state, control, **kwargs)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Figures."""
        self._pass_on("on_log", args, state, control, **kwargs)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Figures of an evaluation."""
        self._pass_on("on_evaluate", args, state, control, **kwargs)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The service closes its record."""
        self._pass_on("on_train_end", args, state, control, **kwargs)
