"""Kernels of the liger-kernel package in the place of a model's own. Not for the loss: TRL has a fused one."""

from __future__ import annotations

from typing import Any

import torch

from trainer.errors import UserError
from trainer.run.messages import Say, words

from .quantization import require_package


def apply_liger_kernels(model: Any, say: Say) -> None:
    """Replace norms, activations and rotary positions of a model that is loaded.

    Raises:
        UserError: without an NVIDIA GPU or the package, or when it does not know this architecture.
    """
    require_package("liger_kernel", "enable_liger_kernel")
    if not torch.cuda.is_available():
        raise UserError("it needs an NVIDIA GPU", field="enable_liger_kernel", value=True, hint="Turn it off.")
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN, _apply_liger_kernel_to_instance

    if model.config.model_type not in MODEL_TYPE_TO_APPLY_LIGER_FN:
        raise UserError(
            f"liger-kernel has nothing for {model.config.model_type}",
            field="enable_liger_kernel",
            value=True,
            hint="Turn it off.",
        )
    # Its fused loss would take the place of the forward pass that TRL's own fused loss relies on.
    _apply_liger_kernel_to_instance(model, fused_linear_cross_entropy=False, cross_entropy=False)
    say("info", words("run_liger"))
