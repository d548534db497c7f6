"""A training step on fake tensors: what the memory would hold. Not for extending it to more layers (`estimate`)."""

from __future__ import annotations

import json
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
from trainer.model.memory.optimizer_state import OptimizerMemory, optimizer_memory
from trainer.model.memory.peak import PeakTracker
from trainer.model.memory.stage_loss import evaluate, stage_loss
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

    `evaluated` is a larger batch that is evaluated between steps. What was simulated is kept for a while: only a few of
    a recipe's settings change it.

    Raises:
        UserError: when the method does not fit this model.
    """
    circumstances = (batch, checkpointing, is_gpu, evaluated)
    asked = (recipe.model_dump_json(exclude=_WITHOUT_EFFECT), json.dumps(config.to_dict(), default=str), circumstances)
    passes = _known.get(asked)
    kept = None if passes is None else optimizer_memory(recipe, passes.trained, is_gpu=is_gpu)
    # Optimizers that change the backward pass itself are simulated each time.
    if passes is None or kept is None or kept.in_backward is not None:
        passes, kept = _simulated(recipe, config, *circumstances)
        if kept.in_backward is None:
            while len(_known) >= _KEPT:
                del _known[next(iter(_known))]
            _known[asked] = passes
    return StepMemory(
        frozen_weights=passes.weights - passes.trained_bytes,
        trained_weights=passes.trained_bytes,
        gradients=kept.gradients,
        optimizer=kept.state,
        passes=passes.peak + kept.state,
        update=passes.weights + kept.gradients + kept.state + kept.passing,
        evaluation=passes.evaluation + kept.state if evaluated is not None else 0,
        stored_optimizer=kept.stored,
    )


@dataclass(frozen=True)
class _Passes:
    """What a simulation found, all but the optimizer's part."""

    trained: list[tuple[str, torch.nn.Parameter]]
    """Without numbers."""
    weights: int
    trained_bytes: int
    peak: int
    evaluation: int


# Settings that say how the update is made, or nothing of a step at all.
_WITHOUT_EFFECT: Any = {
    "train": {"optim", "learning_rate", "num_train_epochs", "max_steps", "output_dir", "logging_steps", "save_steps"}
}
_KEPT = 16
_known: dict[Any, _Passes] = {}


def _simulated(
    recipe: Recipe, config: Any, batch: Batch, checkpointing: bool, is_gpu: bool, evaluated: Batch | None
) -> tuple[_Passes, OptimizerMemory]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = build_blueprint(recipe, config, checkpointing=checkpointing, is_gpu=is_gpu)
        named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        kept = optimizer_memory(recipe, named, is_gpu=is_gpu)
        with FakeTensorMode(allow_non_fake_inputs=True), PeakTracker() as memory:
            materialize(model)
            weights = memory.current
            # From the second micro-batch on, the gradients of the first are there during the forward pass.
            backward = _Backward(model, kept, there=recipe.train.gradient_accumulation_steps > 1)
            memory.restart()
            with stand_ins(is_gpu=is_gpu, masked=batch.masked):
                _forward_and_backward(model, batch, recipe)
            peak = memory.peak
            backward.forget()
            evaluation = 0
            if evaluated is not None:
                memory.restart()
                with stand_ins(is_gpu=is_gpu, masked=evaluated.masked):
                    _evaluate(model, evaluated, recipe)
                evaluation = memory.peak
    return _Passes(named, weights, sum(_size(parameter) for _, parameter in named), peak, evaluation), kept


class _Backward:
    """Gradients as the optimizer wants them: only of the weights whose turn it is, and used up at once where it does
    so."""

    def __init__(self, model: Any, optimizer: OptimizerMemory, *, there: bool) -> None:
        """`there`: those of an earlier micro-batch wait already."""
        self._kept: list[torch.Tensor] = []
        self._weights: list[torch.nn.Parameter] = []
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            if optimizer.turn is not None and name not in optimizer.turn:
                parameter.requires_grad_(False)
                continue
            self._weights.append(parameter)
            if optimizer.in_backward is not None:
                passing, kept = optimizer.in_backward[name]
                parameter.register_post_accumulate_grad_hook(self._used_up(passing, 0 if there else kept))
                if there:
                    self._kept.append(_room(kept))
            elif there:
                parameter.grad = torch.empty_like(parameter)

    def _used_up(self, passing: int, kept: int) -> Any:
        def use(parameter: torch.Tensor) -> None:
            room = _room(passing)
            del room
            self._kept.append(_room(kept))
            parameter.grad = None

        return use

    def forget(self) -> None:
        """The update is over."""
        self._kept.clear()
        for parameter in self._weights:
            parameter.grad = None


def _room(count: int) -> torch.Tensor:
    return torch.empty(count, dtype=torch.uint8)


def _forward_and_backward(model: Any, batch: Batch, recipe: Recipe) -> None:
    with _autocast(recipe):
        loss = stage_loss(model, batch.inputs(), recipe)
    loss.backward()


def _evaluate(model: Any, batch: Batch, recipe: Recipe) -> None:
    model.eval()
    with torch.no_grad(), _autocast(recipe):
        evaluate(model, batch.inputs(), recipe)


def _autocast(recipe: Recipe) -> AbstractContextManager[Any]:
    half = (recipe.train.bf16 or recipe.train.fp16) and not recipe.method.pure_bf16
    return torch.autocast("cpu", compute_dtype(recipe)) if half else nullcontext()


def _size(tensor: torch.Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())
