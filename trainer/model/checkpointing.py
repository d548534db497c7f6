"""Settings of gradient checkpointing for transformers, which does it. Whether it is on is decided in the recipe."""

from __future__ import annotations

import torch
import transformers
from packaging.version import Version

from trainer.config import Recipe
from trainer.errors import UserError


def checkpointing_settings(recipe: Recipe) -> dict[str, bool]:
    """Which form of it, and with `use_unsloth_gc` that what it stores lies in the memory of the machine, not the GPU.

    Raises:
        UserError: when the installed transformers cannot move it there.
    """
    settings = {"use_reentrant": recipe.model.use_reentrant_gc}
    # Without a GPU it lies there as it is.
    if not recipe.model.use_unsloth_gc or not torch.cuda.is_available():
        return settings
    if Version(transformers.__version__) < Version("5.23"):
        raise UserError(
            f"it needs transformers 5.23 or newer, and {transformers.__version__} is installed",
            field="use_unsloth_gc",
            value=True,
            hint='pip install -U "transformers>=5.23", or turn it off.',
        )
    return {**settings, "offload": True}
