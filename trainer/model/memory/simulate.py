"""A training step on fake tensors: what the memory would hold. Not for extending it to more layers (`estimate`)."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from trainer.config import Recipe
from trainer.model.load import compute_dtype
from trainer.model.memory.batch import Batch
from trainer.model.memory.blueprint import build_blueprint, materialize
from trainer.model.memory.optimizer_state import OptimizerMemory, is_adamw, optimizer_memory
from trainer.model.memory.peak import PeakTracker
from trainer.model.memory.stand_ins import stand_ins


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
    evaluation: int
    """The peak of an evaluation; 0 when there is none, or when its batches are no larger than those of the training."""
    stored_optimizer: int
    """What a checkpoint holds of the optimizer's state."""

    @property
    def state(self) -> int:
        """What is there all the time: weights, gradients and optimizer state."""
        return self.frozen_weights + self.trained_weights + self.gradients + self.optimizer

    @property
    def passing(self) -> int:
        """What forward and backward hold beside all that."""
        return max(0, self.passes - self.state)

    def plus(self, less: StepMemory, more: StepMemory, times: int) -> StepMemory:
        """This plus `times` the difference between two others, part by part."""
        parts = zip(astuple(self), astuple(less), astuple(more), strict=True)
        return StepMemory(*(own + times * (high - low) for own, low, high in parts))


def simulate(
    recipe: Recipe, config: Any, *, batch: Batch, checkpointing: bool, is_gpu: bool, evaluated: Batch | None = None
) -> StepMemory:
    """The memory of a training step when all state exists: from the second step on.

    `evaluated` is a larger batch that is evaluated between steps.

    Raises:
        UserError: when the method does not fit this model.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = build_blueprint(recipe, config, checkpointing=checkpointing)
        named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        kept = optimizer_memory(recipe, named)
        with FakeTensorMode(allow_non_fake_inputs=True), PeakTracker() as memory:
            materialize(model)
            weights = memory.current
            trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
            trained_bytes = sum(map(_size, trained))
            optimizer = _adamw(trained, recipe, is_gpu=is_gpu) if is_adamw(recipe) else None
            state = 0 if optimizer is None else _state_exists(optimizer, trained)
            # From the second micro-batch on, the gradients of the first are there during the forward pass.
            accumulates = recipe.train.gradient_accumulation_steps > 1
            _set_gradients(trained, exist=accumulates or kept.gradients < trained_bytes)
            memory.restart()
            with stand_ins(is_gpu=is_gpu, masked=batch.masked):
                _forward_and_backward(model, batch, recipe)
            passes = memory.peak
            memory.restart()
            _update(trained, optimizer, recipe)
            update = memory.peak
            evaluation = 0
            if evaluated is not None:
                memory.restart()
                with stand_ins(is_gpu=is_gpu, masked=evaluated.masked):
                    _evaluate(model, evaluated, recipe)
                evaluation = memory.peak
    measured = StepMemory(
        frozen_weights=weights - trained_bytes,
        trained_weights=trained_bytes,
        gradients=trained_bytes,
        optimizer=state,
        passes=passes,
        update=update,
        evaluation=evaluation,
        stored_optimizer=state,
    )
    return measured if optimizer is not None else _with_optimizer(measured, kept)


def _with_optimizer(memory: StepMemory, kept: OptimizerMemory) -> StepMemory:
    """The same with an optimizer whose step was not simulated."""
    fewer_gradients = memory.gradients - kept.gradients
    weights = memory.frozen_weights + memory.trained_weights
    return StepMemory(
        frozen_weights=memory.frozen_weights,
        trained_weights=memory.trained_weights,
        gradients=kept.gradients,
        optimizer=kept.state,
        passes=memory.passes - fewer_gradients + kept.state,
        update=weights + kept.gradients + kept.state + kept.passing,
        evaluation=memory.evaluation + kept.state if memory.evaluation else 0,
        stored_optimizer=kept.stored,
    )


def _state_exists(optimizer: torch.optim.AdamW, trained: list[torch.nn.Parameter]) -> int:
    """Let the first step make the optimizer's state; gives its size."""
    _set_gradients(trained, exist=True)
    optimizer.step()
    values = (value for state in optimizer.state.values() for value in state.values())
    return sum(map(_size, (value for value in values if isinstance(value, torch.Tensor))))


def _set_gradients(trained: list[torch.nn.Parameter], *, exist: bool) -> None:
    for parameter in trained:
        parameter.grad = torch.empty_like(parameter) if exist else None


def _forward_and_backward(model: Any, batch: Batch, recipe: Recipe) -> None:
    """Forward, loss and backward as TRL's SFTTrainer does them, every token labelled."""
    inputs = batch.inputs()
    with _autocast(recipe):
        outputs = model(**inputs, fused_lm_head=True, use_cache=False)
        loss = -outputs.log_probs.sum() / inputs["input_ids"].numel()
    loss.backward()


def _evaluate(model: Any, batch: Batch, recipe: Recipe) -> None:
    model.eval()
    with torch.no_grad(), _autocast(recipe):
        model(**batch.inputs(), fused_lm_head=True, use_cache=False)


def _update(trained: list[torch.nn.Parameter], optimizer: torch.optim.AdamW | None, recipe: Recipe) -> None:
    if recipe.train.max_grad_norm:
        torch.nn.utils.clip_grad_norm_(trained, recipe.train.max_grad_norm)
    if optimizer is not None:
        optimizer.step()
    _set_gradients(trained, exist=False)


def _adamw(trained: list[torch.nn.Parameter], recipe: Recipe, *, is_gpu: bool) -> torch.optim.AdamW:
    """The form of AdamW that PyTorch chooses: on a GPU all weights at once, with copies of them on the way."""
    if recipe.train.optim == "adamw_torch_fused":
        return torch.optim.AdamW(trained, fused=True)
    return torch.optim.AdamW(trained, foreach=is_gpu)


def _autocast(recipe: Recipe) -> AbstractContextManager[Any]:
    half = (recipe.train.bf16 or recipe.train.fp16) and not recipe.method.pure_bf16
    return torch.autocast("cpu", compute_dtype(recipe)) if half else nullcontext()


def _size(tensor: torch.Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())
