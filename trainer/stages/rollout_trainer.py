"""The trainer of stages that learn from answers of their own: prompts, answers, rewards, buffers. Not for the losses.

An optimizer step is a step of the Trainer, as in every stage. When the buffer of answers is used up, the next step
begins with new ones; what is left of it is part of each checkpoint, so that a resumed run goes on with the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import GenerationConfig, Trainer

from trainer.data import EncodedRows
from trainer.engine.figures import Figures
from trainer.engine.live import StopTraining
from trainer.engine.random_state import RandomState
from trainer.engine.run_trainer import RunTrainer
from trainer.engine.token_counts import trained_in
from trainer.errors import UserError
from trainer.run import SampleEvent
from trainer.run.messages import words

from .generation import draw_answers
from .last_question import QuestionMarks
from .log_probabilities import AnswerScores, answer_scores
from .reference import Reference
from .reward_models import remove_saved_reward
from .rewards import Rewards
from .rollout_evaluation import evaluate_answers, of_answers
from .rollouts import Answer, Rollouts, answer_batch, together

_ROLLOUTS_FILE = "rollouts.safetensors"
_SHOWN = 8
"""Answers of a buffer that the dashboard shows at most."""
_ALIKE = 3
"""So many buffers without two rewards that differ are no chance."""


class RolloutOrder(Sampler[tuple[int, ...]]):
    """For each micro-batch the prompts of the buffer that it is part of, by their numbers.

    Every buffer is full: what is missing in the last one is taken from the beginning of the order.
    """

    def __init__(self, prompts: int, buffer: int, repeats: int, seed: int | None) -> None:
        """`buffer` prompts each, for `repeats` micro-batches; without `seed` in the order of the files."""
        self._prompts, self._buffer, self._repeats, self._seed = prompts, buffer, repeats, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-self._prompts // self._buffer) * self._repeats

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        order = list(range(self._prompts))
        if self._seed is not None:
            generator = torch.Generator().manual_seed(self._seed + self._epoch)
            order = torch.randperm(self._prompts, generator=generator).tolist()
        for start in range(0, self._prompts, self._buffer):
            chosen = tuple(order[place % self._prompts] for place in range(start, start + self._buffer))
            for _ in range(self._repeats):
                yield chosen


class _Numbers(Dataset[dict[str, Any]]):
    """What the data loader hands over: numbers of prompts."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, prompts: tuple[int, ...]) -> dict[str, Any]:
        return {"prompts": prompts}


class RolloutTrainer(RunTrainer, Trainer):
    """Writes answers, has them rewarded, and learns from them; a stage says what of it (`learned_from`, `losses`)."""

    prompts: EncodedRows
    settings: GenerationConfig
    evaluation_settings: GenerationConfig
    rewards: Rewards
    reference: Reference | None
    answers_per_prompt: int = 1
    buffer_steps: int = 1
    """Optimizer steps that a buffer holds the answers for."""
    buffer_epochs: int = 1
    goes_by = "eval_reward"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The loss of a micro-batch comes divided by what the whole step is a mean over.
        self.model_accepts_loss_kwargs = True
        self.figures = Figures()
        self._buffer: Rollouts | None = None
        self._waiting: list[dict[str, torch.Tensor]] = []
        self._divisor = 1
        self._shown_at = -1
        self._only_reward: float | None = None
        self._alike: int | None = 0
        self._boundary: RandomState | None = None
        self._question_marks = QuestionMarks.of(self.processing_class)

    @property
    def is_on_policy(self) -> bool:
        """Whether each buffer is learned from in one step, so that nothing moves between the draw and the learning.

        The ratio of both probabilities is 1 then by itself, and is not computed from numbers that rounding, other
        batches and dropout have moved: over a long answer that would add up.
        """
        return self.buffer_steps == self.buffer_epochs == 1

    def learned_from(self, tensors: Mapping[str, torch.Tensor], scores: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the stage learns from answers, each (rows, length - 1) float32, beside `tensors`.

        These hold input_ids, labels, attention_mask, `old` and `reference` (log-probabilities); `scores` is (rows,).
        """
        raise NotImplementedError

    def losses(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The loss of a micro-batch as a sum."""
        raise NotImplementedError

    def step_divisor(self, batches: Sequence[dict[str, torch.Tensor]]) -> int:
        """What the loss of a step is a mean over: all tokens of its answers."""
        return trained_in(batches)

    def policy_scores(self, model: Any, batch: Mapping[str, torch.Tensor]) -> AnswerScores:
        """The log-probabilities with which tokens are drawn."""
        return answer_scores(model, batch, temperature=float(self.settings.temperature))

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The prompts of a buffer, once for each micro-batch that learns from their answers."""
        steps = self.args.gradient_accumulation_steps * self.buffer_steps
        prompts = self.args.train_batch_size * steps // self.answers_per_prompt
        sequential = self.recipe.method.disable_shuffling
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        order = RolloutOrder(len(self.prompts), prompts, steps * self.buffer_epochs, None if sequential else seed)
        loader = DataLoader(_Numbers(len(order)), batch_size=1, sampler=order, collate_fn=itemgetter(0))
        return self.accelerator.prepare(loader)

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """One micro-batch of the buffer; before the first one of a step see to it that there is one."""
        if not self._ready:
            self._begin()
        if not self._waiting:
            if self._buffer is None or self._buffer.is_used_up:
                self._buffer = self._new_buffer(inputs["prompts"])
            count = self.args.gradient_accumulation_steps
            self._waiting = self._buffer.next_batches(self.args.train_batch_size, count)
            self._divisor = self.step_divisor(self._waiting)
        return super().training_step(model, self._waiting.pop(0), self._divisor)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The part of the step's mean that this micro-batch makes."""
        return self.losses(model, inputs) / num_items_in_batch

    def _new_buffer(self, prompts: Sequence[int]) -> Rollouts:
        """Answers to these prompts, rewarded.

        Raises:
            StopTraining: when the run is to stop meanwhile; it is saved as it was before.
        """
        started = time.perf_counter()
        self.session.phase("running", f"writing answers, step {self.state.global_step}")
        self.accelerator.unwrap_model(self.model).eval()
        rows = [number for number in prompts for _ in range(self.answers_per_prompt)]
        size = self.args.per_device_eval_batch_size
        answers: list[Answer] = []
        parts, rewards = [], []
        for start in range(0, len(rows), size):
            self._stop_if_asked()
            drawn = self.drawn(self.prompts, rows[start : start + size], self.settings)
            # One that was asked for meanwhile has cut these answers short.
            self._stop_if_asked()
            answers += drawn
            try:
                rewards.append(self.rewards.parts(drawn, self._stop_if_asked))
            except UserError:
                # A service that is gone is no reason to lose the steps before.
                self._save_as_before("reward failed")
                raise
            parts.append(self.judged(drawn))
        pad = int(self.processing_class.pad_token_id)
        tensors = together(parts, pad)
        by_source = {name: torch.cat([part[name] for part in rewards]) for name in rewards[0]}
        scores = self.rewards.total(by_source)
        self._add_figures(answers, tensors, by_source, scores)
        self._tell_when_all_alike(scores)
        self._show(answers, scores, time.perf_counter() - started)
        learned = self.learned_from(tensors, scores)
        self.session.phase("running", f"step {self.state.global_step}")
        return Rollouts.shuffled({**tensors, **learned}, self.buffer_epochs)

    def drawn(self, rows: EncodedRows, numbers: Sequence[int], settings: GenerationConfig) -> list[Answer]:
        """Answers to these of `rows` in one batch, the model being in evaluation mode; cut short when the run is to
        stop.
        """
        model = self.accelerator.unwrap_model(self.model)
        prompts = [rows.values("prompt_ids", number).tolist() for number in numbers]
        expected = [rows.expected(number) for number in numbers]
        with self.compute_loss_context_manager():
            return draw_answers(
                model,
                self.processing_class,
                settings,
                prompts,
                expected,
                self.live.asked_to_stop,
                skip_special_tokens=self.recipe.generation.skip_special_tokens,
            )

    @torch.no_grad()
    def judged(self, answers: Sequence[Answer]) -> dict[str, torch.Tensor]:
        """The answers as a batch, with what policy and reference make of their tokens."""
        model = self.accelerator.unwrap_model(self.model)
        batch = answer_batch(answers, int(self.processing_class.pad_token_id))
        on_device = {name: values.to(model.device) for name, values in batch.items()}
        with self.compute_loss_context_manager():
            batch |= {name: values.cpu() for name, values in self.policy_view(model, on_device).items()}
            if self.reference is not None:
                with self.reference.weights() as other:
                    batch["reference"] = self.policy_scores(other, on_device).tokens.cpu()
        return batch

    def policy_view(self, model: Any, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What the policy makes of the tokens as they are drawn, (rows, length - 1) each: `old` log-probabilities."""
        return {"old": self.policy_scores(model, batch).tokens}

    def _stop_if_asked(self) -> None:
        """Poll; a stop that saves goes back to the last boundary, where this buffer had not been begun."""
        self.live.between_micro_batches(self)
        if not self.live.stopping:
            return
        self._save_as_before(self.session.stop_reason or "stop command")
        self.session.stop_reason = self.session.stop_reason or "stop command"
        raise StopTraining

    def _save_as_before(self, reason: str) -> None:
        """Save the last boundary, at which nothing of the new answers had been drawn."""
        if self._boundary is not None and self.checkpoints.last_step != self.state.global_step:
            self._boundary.restore()
            self.save_now(reason)

    def evaluated(self) -> dict[str, float]:
        """The figures of an evaluation: what answers to held-out prompts are worth."""
        return evaluate_answers(self)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """As everywhere; but a reward that fails in an evaluation is no reason to lose the steps before."""
        try:
            super()._maybe_log_save_evaluate(*args, **kwargs)
        except UserError:
            if self.checkpoints.last_step != self.state.global_step:
                # A resume makes up for the evaluation.
                self._interrupted = True
                self.save_now("reward failed")
            raise
        # Not when the answers are begun: the first step of an epoch comes after a draw of the data loader.
        self._boundary = RandomState.now(self.args.device)

    def _add_figures(
        self,
        answers: Sequence[Answer],
        tensors: Mapping[str, torch.Tensor],
        by_source: Mapping[str, torch.Tensor],
        scores: torch.Tensor,
    ) -> None:
        figures = self.figures
        figures.add("reward", scores)
        figures.add("reward_std", scores.std(correction=0)[None])
        if len(by_source) > 1:
            for name, values in by_source.items():
                figures.add(f"rewards/{name}", values)
        for name, values in of_answers(answers).items():
            figures.add(name, values)
        # The mean of -log p over drawn tokens is an estimate of the entropy of the draw.
        figures.add("entropy", -tensors["old"][tensors["labels"][:, 1:] != -100])
        if "reference" in tensors:
            figures.add("kl", (tensors["old"] - tensors["reference"]).sum(1))

    def _tell_when_all_alike(self, scores: torch.Tensor) -> None:
        """Warn once when no reward has differed from the others since the start, or the resume, of the run."""
        if self._alike in (None, _ALIKE):
            return
        self._only_reward = scores[0].item() if self._only_reward is None else self._only_reward
        self._alike = self._alike + 1 if bool((scores == self._only_reward).all()) else None
        if self._alike == _ALIKE:
            told = words("run_rewards_alike", reward=f"{self._only_reward:g}", count=_ALIKE)
            self.session.finding("warning", told, int(self.state.global_step))

    def _show(self, answers: Sequence[Answer], scores: torch.Tensor, seconds: float) -> None:
        """Some answers for the dashboard, at most once between two logs; of groups those of one prompt."""
        step = int(self.state.global_step)
        if step - self._shown_at < self.state.logging_steps and self._shown_at >= 0:
            return
        self._shown_at = step
        shown = min(_SHOWN, len(answers), max(self.answers_per_prompt, 2))
        for answer, score in zip(answers[:shown], scores[:shown].tolist(), strict=True):
            said = SampleEvent(step, self.readable_prompt(answer), answer.text, seconds / len(answers), score)
            self.session.events.write(said)

    def readable_prompt(self, answer: Answer) -> str:
        """What was asked last, without the words of the chat template around it."""
        return self._question_marks.last_question(answer.prompt)

    @contextmanager
    def saved_form(self) -> Iterator[None]:
        """The model as it is saved and loaded: without what the stage adds to it."""
        yield

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the model as any other stage does."""
        with self.saved_form():
            super().save_model(output_dir, _internal_call=_internal_call)
        remove_saved_reward(Path(output_dir or str(self.args.output_dir)))

    def _load_from_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        with self.saved_form():
            super()._load_from_checkpoint(*args, **kwargs)

    def _load_best_model(self) -> None:
        with self.saved_form():
            super()._load_best_model()

    def stage_figures(self, logs: dict[str, float], training: bool, weights: list[int]) -> dict[str, float]:
        """The means since the last log."""
        return self.figures.take() if "loss" in logs else {}

    def save_stage(self, folder: Path) -> None:
        """What is left of the buffer."""
        if self._buffer is not None and not self._buffer.is_used_up:
            self._buffer.save(folder / _ROLLOUTS_FILE)

    def restore_stage(self, state: dict[str, float], folder: Path) -> None:
        """Take it back."""
        file = folder / _ROLLOUTS_FILE
        self._buffer = Rollouts.load(file) if file.is_file() else None
