"""Two training steps on fake tensors: what the memory would hold. Not for extending it to more layers (`estimate`)."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from trainer.config import Recipe
from trainer.model.load import compute_dtype
from trainer.model.memory.blueprint import build_blueprint, materialize
from trainer.model.memory.peak import PeakTracker


@dataclass(frozen=True)
class StepMemory:
    """What one model holds during a training step; all in bytes."""

    frozen_weights: int
    trained_weights: int
    gradients: int
    optimizer: int
    passes: int
    """The peak of forward and backward."""
    update: int
    """The peak of clipping and the optimizer's step."""

    @property
    def state(self) -> int:
        """What is there all the time: weights, gradients and optimizer state."""
        return self.frozen_weights + self.trained_weights + self.gradients + self.optimizer

    def extrapolated(self, more: StepMemory, times: float) -> StepMemory:
        """This plus `times` the difference to `more`, part by part."""
        return StepMemory(
            *(round(own + times * (other - own)) for own, other in zip(self._parts(), more._parts(), strict=True))
        )

    def _parts(self) -> tuple[int, ...]:
        return self.frozen_weights, self.trained_weights, self.gradients, self.optimizer, self.passes, self.update


def simulate(recipe: Recipe, config: Any, *, batch: int, length: int, checkpointing: bool, is_gpu: bool) -> StepMemory:
    """The memory of a training step with (batch, length) tokens; the second step is taken, when all state exists.

    Raises:
        UserError: when the method does not fit this model.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = build_blueprint(recipe, config, checkpointing=checkpointing)
        with FakeTensorMode(allow_non_fake_inputs=True), PeakTracker() as memory:
            materialize(model)
            weights = memory.current
            trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
            trained_bytes = sum(map(_size, trained))
            optimizer = _adamw(trained, recipe, is_gpu=is_gpu)
            ids = torch.zeros((batch, length), dtype=torch.long)
            # From the second micro-batch on, the gradients of the first are there during the forward pass.
            micro_batches = min(2, recipe.train.gradient_accumulation_steps)
            for _ in range(2):
                memory.restart()
                for _ in range(micro_batches):
                    _forward_and_backward(model, ids, recipe)
                passes = memory.peak
                memory.restart()
                _update(model, optimizer, recipe)
    return StepMemory(
        frozen_weights=weights - trained_bytes,
        trained_weights=trained_bytes,
        gradients=trained_bytes,
        optimizer=_state_size(optimizer),
        passes=passes,
        update=memory.peak,
    )


def _forward_and_backward(model: Any, ids: torch.Tensor, recipe: Recipe) -> None:
    """Forward, loss and backward as TRL's SFTTrainer does them, every token labelled."""
    with _autocast(recipe):
        outputs = model(
            input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids, fused_lm_head=True, use_cache=False
        )
        loss = -outputs.log_probs.sum() / ids.numel()
    loss.backward()


def _update(model: Any, optimizer: Any, recipe: Recipe) -> None:
    if recipe.train.max_grad_norm:
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.train.max_grad_norm)
    optimizer.step()
    optimizer.zero_grad()


def _adamw(trained: list[torch.nn.Parameter], recipe: Recipe, *, is_gpu: bool) -> torch.optim.AdamW:
    """The form of AdamW that PyTorch chooses: on a GPU all weights at once, with copies of them on the way."""
    if recipe.train.optim == "adamw_torch_fused":
        return torch.optim.AdamW(trained, fused=True)
    return torch.optim.AdamW(trained, foreach=is_gpu)


def _autocast(recipe: Recipe) -> AbstractContextManager[Any]:
    half = (recipe.train.bf16 or recipe.train.fp16) and not recipe.method.pure_bf16
    return torch.autocast("cpu", compute_dtype(recipe)) if half else nullcontext()


def _state_size(optimizer: Any) -> int:
    values = (value for state in optimizer.state.values() for value in state.values())
    return sum(map(_size, (value for value in values if isinstance(value, torch.Tensor))))


def _size(tensor: torch.Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())
