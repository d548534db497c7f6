"""Evaluation of the stages that learn from rewards: answers to held-out prompts, rewarded as in training.

There is no loss in it; the figure that all else goes by is `eval_reward`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from trainer.data import EncodedRows
from trainer.engine.evaluation_sets import tell_evaluation
from trainer.engine.predictions import say_how_far
from trainer.engine.random_state import seeded
from trainer.run import SampleEvent

from .rollouts import Answer

if TYPE_CHECKING:
    from .rollout_trainer import RolloutTrainer

_SHOWN = 4
"""Answers that the dashboard shows of each evaluation: always those to the first prompts."""

Measured = dict[str, torch.Tensor]
"""What is measured of each answer, (answers,) by its name."""


def evaluate_answers(trainer: RolloutTrainer) -> dict[str, float]:
    """Answer and reward all evaluation prompts; the figures are logged and handed to the callbacks.

    Beside those of all prompts there are `eval_<name>_...` with several data sets.

    Raises:
        EvaluationInterrupted: when the run is to stop.
        UserError: when a reward fails.
    """
    started = time.time()
    several = isinstance(trainer.eval_dataset, dict)
    sets: Mapping[str, EncodedRows] = trainer.eval_dataset if several else {"": trainer.eval_dataset}
    measured: list[Measured] = []
    figures: dict[str, float] = {}
    was_training = trainer.model.training
    trainer.model.eval()
    try:
        for name, rows in sets.items():
            measured.append(_measured(trainer, rows))
            if several:
                figures |= _means(measured[-1:], f"eval_{name}")
        figures = _means(measured, "eval") | figures
        tell_evaluation(trainer, figures, started, sum(map(len, sets.values())))
    finally:
        trainer.model.train(was_training)
    return figures


def _measured(trainer: RolloutTrainer, rows: EncodedRows) -> Measured:
    """Answers to some prompts, batch by batch, and what they are worth."""
    size, seed = int(trainer.args.eval_batch_size), int(trainer.args.seed)
    parts: list[Measured] = []
    for start in range(0, len(rows), size):
        say_how_far(trainer, start, len(rows))
        numbers = range(start, min(len(rows), start + size))
        began = time.perf_counter()
        # Every evaluation draws the same way, and what is drawn depends neither on the step nor on a resume.
        with seeded(seed + start, trainer.args.device):
            parts.append(_measured_batch(trainer, rows, numbers, began))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _measured_batch(trainer: RolloutTrainer, rows: EncodedRows, numbers: Sequence[int], began: float) -> Measured:
    live = trainer.live
    live.between_evaluation_batches()
    answers = trainer.drawn(rows, numbers, trainer.evaluation_settings)
    live.between_evaluation_batches()
    parts = trainer.rewards.parts(answers, live.between_evaluation_batches)
    scores = trainer.rewards.total(parts)
    found = {"reward": scores, **of_answers(answers)}
    if len(parts) > 1:
        found |= {f"rewards/{name}": values for name, values in parts.items()}
    if trainer.reference is not None:
        tensors = trainer.judged(answers)
        found["kl"] = (tensors["old"] - tensors["reference"]).sum(1)
    _show(trainer, answers[: max(0, _SHOWN - numbers[0])], scores, (time.perf_counter() - began) / len(answers))
    return found


def of_answers(answers: Sequence[Answer]) -> Measured:
    """What answers themselves tell: their tokens, and whether they came to their end."""
    return {
        "answer_tokens": torch.tensor([float(len(answer.ids)) for answer in answers]),
        "answers_ended": torch.tensor([float(answer.has_end) for answer in answers]),
    }


def _means(parts: Sequence[Measured], prefix: str) -> dict[str, float]:
    found = {name: torch.cat([part[name] for part in parts]).double() for name in parts[0]}
    means = {f"{prefix}_{name}": float(values.mean()) for name, values in found.items()}
    return {**means, f"{prefix}_reward_std": float(found["reward"].std(correction=0))}


def _show(trainer: RolloutTrainer, answers: Sequence[Answer], scores: torch.Tensor, seconds: float) -> None:
    step = int(trainer.state.global_step)
    for answer, score in zip(answers, scores.tolist(), strict=False):
        prompt = trainer.readable_prompt(answer)
        trainer.session.events.write(SampleEvent(step, prompt, answer.text, seconds, score, held_out=True))
