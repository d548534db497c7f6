"""AdaLoRA's part in the training loop: its schedule of ranks, its penalty, and what a resume needs beside the adapter.

PEFT leaves all three to the loop. Source: https://arxiv.org/abs/2303.10512
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import AdaLoraModel, PeftModel
from transformers import TrainerCallback

from trainer.errors import UserError

_STATE = "adalora.pt"
_SCORES = ("ipt", "exp_avg_ipt", "exp_avg_unc")


def is_adalora(model: Any) -> bool:
    """Whether this model trains an AdaLoRA adapter."""
    return isinstance(model, PeftModel) and isinstance(model.base_model, AdaLoraModel)


class AdaLoraSchedule(TrainerCallback):
    """Takes rank from where it matters least, after every optimizer step."""

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """Tell the schedule how long the run is.

        Raises:
            UserError: when nothing is left between its first and its last phase.
        """
        config = model.peft_config["default"]
        model.base_model.rankallocator.set_total_step(state.max_steps)
        if config.tinit + config.tfinal >= state.max_steps:
            raise UserError(
                f"tinit {config.tinit} and tfinal {config.tfinal} of adalora leave none of {state.max_steps} steps",
                field="adapter_kwargs",
                hint="Make them smaller, or the run longer.",
            )

    def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """While the gradients are still there, from which the importance of each rank is known."""
        gradients = (parameter.grad for name, parameter in model.named_parameters() if ".lora_E." in name)
        # A step that was left out for what is not finite must not go into the scores.
        if all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients):
            model.base_model.update_and_allocate(state.global_step + 1)


def orthogonality_penalty(model: Any) -> torch.Tensor:
    """How far the adapter's singular vectors are from orthogonal, times its weight: a scalar to add to the loss."""
    matrices = [
        parameter if ".lora_A." in name else parameter.T
        for name, parameter in model.named_parameters()
        if ".lora_A." in name or ".lora_B." in name
    ]
    distances = [torch.norm(each @ each.T - torch.eye(len(each), device=each.device)) for each in matrices]
    return model.peft_config["default"].orth_reg_weight * torch.stack(distances).mean()


def save_state(model: Any, folder: Path) -> None:
    """Write what training goes on with: all ranks, the dropped ones too, the scores that they are dropped by, and
    whatever is trained beside them, such as the head of a reward model."""
    allocator = model.base_model.rankallocator
    parameters = model.get_base_model().named_parameters()
    state = {
        "weights": {name: value for name, value in parameters if value.requires_grad or ".ranknum." in name},
        "rank_pattern": model.peft_config["default"].rank_pattern,
        **{name: getattr(allocator, name) for name in _SCORES},
    }
    torch.save(state, folder / _STATE)


@torch.no_grad()
def restore_state(model: Any, folder: Path) -> bool:
    """Put back what `save_state` wrote; False when this checkpoint has none."""
    file = folder / _STATE
    if not file.is_file():
        return False
    state = torch.load(file, map_location="cpu", weights_only=True)
    # The allocator looks at the model without PEFT's wrapping.
    parameters = dict(model.get_base_model().named_parameters())
    for name, value in state["weights"].items():
        parameters[name].copy_(value)
    model.peft_config["default"].rank_pattern = state["rank_pattern"]
    for name in _SCORES:
        scores = {key: value.to(parameters[key].device) for key, value in state[name].items()}
        setattr(model.base_model.rankallocator, name, scores)
    return True
