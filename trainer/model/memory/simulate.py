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
from trainer.model.memory.optimizer_state import optimizer_memory
from trainer.model.memory.peak import PeakTracker
from trainer.model.memory.stand_ins import stand_ins

WITH_ANSWERS = ("dpo", "kto", "ppo", "grpo", "rloo")
"""Stages that go by the log-probabilities of answers, and stay near a reference."""
"""Stages that learn from the probabilities of whole answers."""


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
        kept = optimizer_memory(recipe, named, is_gpu=is_gpu)
        with FakeTensorMode(allow_non_fake_inputs=True), PeakTracker() as memory:
            materialize(model)
            weights = memory.current
            trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
            trained_bytes = sum(map(_size, trained))
            # From the second micro-batch on, the gradients of the first are there during the forward pass.
            accumulates = recipe.train.gradient_accumulation_steps > 1
            _set_gradients(trained, exist=accumulates or kept.gradients < trained_bytes)
            memory.restart()
            with stand_ins(is_gpu=is_gpu, masked=batch.masked):
                _forward_and_backward(model, batch, recipe)
            passes = memory.peak
            _set_gradients(trained, exist=False)
            evaluation = 0
            if evaluated is not None:
                memory.restart()
                with stand_ins(is_gpu=is_gpu, masked=evaluated.masked):
                    _evaluate(model, evaluated, recipe)
                evaluation = memory.peak + kept.state
    return StepMemory(
        frozen_weights=weights - trained_bytes,
        trained_weights=trained_bytes,
        gradients=kept.gradients,
        optimizer=kept.state,
        passes=passes - (trained_bytes - kept.gradients) + kept.state,
        update=weights + kept.gradients + kept.state + kept.passing,
        evaluation=evaluation,
        stored_optimizer=kept.stored,
    )


def _set_gradients(trained: list[torch.nn.Parameter], *, exist: bool) -> None:
    for parameter in trained:
        parameter.grad = torch.empty_like(parameter) if exist else None


def _forward_and_backward(model: Any, batch: Batch, recipe: Recipe) -> None:
    """Forward, loss and backward as the trainer of the stage does them, every token labelled."""
    inputs = batch.inputs()
    with _autocast(recipe):
        if recipe.method.stage in WITH_ANSWERS:
            # As in `trainer.stages.log_probabilities`: all logits, and a copy in float32 of what is learned.
            labels = inputs.pop("labels")[:, 1:].reshape(-1)
            logits = model(**inputs, use_cache=False).logits
            chosen = logits[:, :-1].reshape(labels.shape[0], -1).float()
            loss = torch.nn.functional.cross_entropy(chosen, labels, reduction="none").sum()
            del logits, chosen
        else:
            outputs = model(**inputs, fused_lm_head=True, use_cache=False)
            loss = -outputs.log_probs.sum() / inputs["input_ids"].numel()
    loss.backward()


def _evaluate(model: Any, batch: Batch, recipe: Recipe) -> None:
    model.eval()
    with torch.no_grad(), _autocast(recipe):
        model(**batch.inputs(), fused_lm_head=True, use_cache=False)


def _autocast(recipe: Recipe) -> AbstractContextManager[Any]:
    half = (recipe.train.bf16 or recipe.train.fp16) and not recipe.method.pure_bf16
    return torch.autocast("cpu", compute_dtype(recipe)) if half else nullcontext()


def _size(tensor: torch.Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())
