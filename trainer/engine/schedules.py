"""What a learning rate schedule is given beside the steps of the run. Not for checking it (`argument_checks`)."""

from __future__ import annotations

from typing import Any

from trainer.run.messages import Say, words


def schedule_settings(arguments: Any, steps: int, say: Say) -> dict[str, Any]:
    """`lr_scheduler_kwargs` with what was left open: how warmup_stable_decay divides the run, and whether the figure
    that reduce_lr_on_plateau and greedy follow is to rise.
    """
    settings, kind = dict(arguments.lr_scheduler_kwargs or {}), str(arguments.lr_scheduler_type.value)
    if kind in ("reduce_lr_on_plateau", "greedy"):
        settings.setdefault("mode", "max" if arguments.greater_is_better else "min")
    if kind == "warmup_stable_decay" and "num_decay_steps" not in settings:
        rest = steps - arguments.get_warmup_steps(steps)
        # A third stays and two thirds fall.
        settings["num_decay_steps"] = max(0, rest - settings.get("num_stable_steps", rest // 3))
        say("info", words("run_decay_steps", steps=settings["num_decay_steps"]))
    return settings
