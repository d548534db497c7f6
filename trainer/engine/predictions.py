"""Answers to evaluation rows, scored, and the files that `do_predict` writes. Not for losses, not for the chat."""

from __future__ import annotations

import json
import math
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch

from trainer.config.tables.names import ANSWER_SCORES
from trainer.data import NOT_TRAINED
from trainer.run import EvaluationEvent
from trainer.run.files import to_json, write_whole
from trainer.run.messages import words

from .generation import generate_batch, generation_settings
from .live import EvaluationInterrupted
from .session import RunSession
from .text_scores import text_scores

Example = Mapping[str, Any]


@dataclass(frozen=True)
class Prediction:
    """What the model gives for one evaluation row."""

    written: dict[str, Any]
    """What is written of it."""
    scores: dict[str, float]


class AnswerPredictions:
    """Generates the answers to the rows of one trainer; after it ran out of memory, in smaller batches."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._batch_size = int(trainer.args.eval_batch_size)

    def scores(self, rows: Sequence[Example], prefix: str) -> dict[str, float]:
        """The mean scores over all rows as figures of an evaluation; nan, and a word, where generating fails.

        Raises:
            EvaluationInterrupted: when the run is to stop.
        """
        step = int(self._trainer.state.global_step)
        try:
            found = mean_scores([prediction.scores for prediction in self.of(rows)])
        except EvaluationInterrupted:
            raise
        except Exception as error:
            # Out of memory with a single row, a model that cannot generate: no reason to lose the run.
            traceback.print_exc()
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            self._trainer.session.finding("warning", words("run_no_answers", error=told), step)
            # Best model and early stopping look for their figure, and would end the run without it.
            found = dict.fromkeys(ANSWER_SCORES, math.nan)
        return {f"{prefix}_{name}": value for name, value in found.items()}

    def of(self, rows: Sequence[Example]) -> Iterator[Prediction]:
        """The predictions in the order of the rows; training goes on exactly as if nothing had been.

        Raises:
            EvaluationInterrupted: when the run is to stop.
        """
        trainer, recipe = self._trainer, self._trainer.recipe
        tokenizer = trainer.processing_class
        skip = recipe.generation.skip_special_tokens
        done = 0
        while done < len(rows):
            trainer.live.between_evaluation_batches()
            say_how_far(trainer, done, len(rows))
            batch = [prompt_and_answer(rows[row]) for row in range(done, min(len(rows), done + self._batch_size))]
            answers = self._generated([prompt for prompt, _ in batch], seed=recipe.train.seed + done)
            if answers is None:
                continue
            trainer.live.between_evaluation_batches()
            done += len(batch)
            for (prompt, expected), answer in zip(batch, answers, strict=True):
                label, text = (
                    tokenizer.decode(ids, skip_special_tokens=skip).strip() for ids in (expected, answer.tolist())
                )
                written = {"prompt": tokenizer.decode(prompt), "predict": text, "label": label}
                yield Prediction(written, text_scores(text, label))

    def _generated(self, prompts: Sequence[Sequence[int]], seed: int) -> list[torch.Tensor] | None:
        """The answers to a batch; None when there was no memory for it, and the next one is to be smaller."""
        trainer = self._trainer
        model = trainer.accelerator.unwrap_model(trainer.model)
        beams = trainer.recipe.data.eval_num_beams
        settings = generation_settings(model, trainer.processing_class, trainer.recipe, num_beams=beams)
        was_training = model.training
        model.eval()
        devices = [model.device] if model.device.type == "cuda" else []
        try:
            # The draw begins anew with each batch, so that it depends neither on the step nor on a resume.
            with torch.random.fork_rng(devices=devices), trainer.accelerator.autocast():
                torch.manual_seed(seed)
                return generate_batch(model, settings, prompts, trainer.live.asked_to_stop)
        except torch.OutOfMemoryError:
            if len(prompts) == 1:
                raise
            self._batch_size = len(prompts) // 2
        finally:
            model.train(was_training)
        torch.cuda.empty_cache()
        said = words("run_smaller_answers", rows=len(prompts), size=self._batch_size)
        trainer.session.finding("warning", said, int(trainer.state.global_step))
        return None


def prompt_and_answer(example: Example) -> tuple[list[int], list[int]]:
    """The tokens before the last trained span of a row, and that span."""
    ids, labels = (numpy.asarray(example[name]) for name in ("input_ids", "labels"))
    trained = numpy.flatnonzero(labels != NOT_TRAINED)
    end = int(trained[-1]) + 1
    before = numpy.flatnonzero(labels[:end] == NOT_TRAINED)
    start = int(before[-1]) + 1 if len(before) else 0
    return ids[:start].tolist(), ids[start:end].tolist()


def mean_scores(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each score over all rows, by name."""
    return {name: math.fsum(each[name] for each in scores) / len(scores) for name in scores[0]}


def has_predicted(session: RunSession) -> bool:
    """Whether `write_predictions` came to its end before."""
    return _scores_file(session).exists()


def _scores_file(session: RunSession) -> Path:
    return session.run.evaluation_folder / "scores.json"


def write_predictions(trainer: Any, session: RunSession, step: int) -> None:
    """Predict all evaluation rows with the weights as they are, into the run's `evaluation/`.

    `predictions.jsonl` grows row by row, so that what was generated is never lost; `scores.json` comes when all is
    there. `step` is that of the weights.

    Raises:
        EvaluationInterrupted: when the run is to stop.
    """
    session.phase("evaluating", "predictions")
    scores_file = _scores_file(session)
    file = scores_file.with_name("predictions.jsonl")
    file.parent.mkdir(exist_ok=True)
    scores_file.unlink(missing_ok=True)
    several = isinstance(trainer.eval_dataset, dict)
    sets = trainer.eval_dataset if several else {"": trainer.eval_dataset}
    started = time.perf_counter()
    every: list[dict[str, float]] = []
    figures: dict[str, float] = {}
    with file.open("w", encoding="utf-8") as lines:
        for name, rows in sets.items():
            first = len(every)
            for prediction in trainer.predictions(rows):
                written = {"dataset": name, **prediction.written} if several else prediction.written
                lines.write(json.dumps(written, ensure_ascii=False) + "\n")
                lines.flush()
                every.append(prediction.scores)
            if several:
                figures |= _named(f"predict_{name}", mean_scores(every[first:]))
    figures = _named("predict", mean_scores(every)) | figures
    seconds = round(time.perf_counter() - started, 3)
    write_whole(scores_file, to_json({"step": step, "rows": len(every), "seconds": seconds, **figures}))
    session.events.write(EvaluationEvent(step=step, values=figures))
    told = ", ".join(f"{name} {value:.4g}" for name, value in mean_scores(every).items())
    session.finding("info", words("run_predicted", rows=len(every), path=str(file), scores=told), step)


def _named(prefix: str, scores: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in scores.items()}


def say_how_far(trainer: Any, done: int, rows: int) -> None:
    """Tell in the status of the run how many rows of an evaluation have been answered."""
    message = f"step {trainer.state.global_step}: {done} of {rows} rows answered"
    trainer.session.status.update(message=message)
