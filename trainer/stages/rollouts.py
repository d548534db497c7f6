"""Answers that are learned from, as tensors: their rows, their batches, their file. Not for making them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import pad

from trainer.data.dataset import NOT_TRAINED
from trainer.engine.token_counts import BatchCounts, with_counts

_PAD_TO = {"labels": NOT_TRAINED}


@dataclass(frozen=True)
class Answer:
    """One answer of the model that is trained."""

    prompt_ids: torch.Tensor
    """(prompt,) int64."""
    ids: torch.Tensor
    """(answer,) int64; with its end-of-turn token, if it came to that."""
    has_end: bool
    prompt: str
    """The rendered prompt, special tokens included."""
    text: str
    """What a reader sees of the answer."""
    expected: str
    """What the row expects; empty where it says nothing."""


def answer_batch(answers: Sequence[Answer], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Prompts and answers filled up on the right: input_ids, labels and attention_mask, each (rows, length) int64."""
    shape = (len(answers), max(len(answer.prompt_ids) + len(answer.ids) for answer in answers))
    input_ids, labels = torch.full(shape, pad_token_id), torch.full(shape, NOT_TRAINED)
    attention_mask = torch.zeros(shape, dtype=torch.int64)
    for row, answer in enumerate(answers):
        start, end = len(answer.prompt_ids), len(answer.prompt_ids) + len(answer.ids)
        input_ids[row, :start] = answer.prompt_ids
        input_ids[row, start:end] = labels[row, start:end] = answer.ids
        attention_mask[row, :end] = 1
    return {"input_ids": input_ids, "labels": labels, "attention_mask": attention_mask}


def together(parts: Sequence[Mapping[str, torch.Tensor]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Batches of different lengths as one. Tensors of (rows, length) and of (rows, length - 1), one a predicted token,
    are filled up on the right, each to the longest.
    """
    found: dict[str, torch.Tensor] = {}
    for name in parts[0]:
        longest = max(part[name].shape[1] for part in parts)
        filler = pad_token_id if name == "input_ids" else _PAD_TO.get(name, 0)
        found[name] = torch.cat([pad(part[name], (0, longest - part[name].shape[1]), value=filler) for part in parts])
    return found


@dataclass
class Rollouts:
    """A buffer of answers and how far it has been learned from."""

    tensors: Mapping[str, torch.Tensor]
    """On the CPU: input_ids, labels and attention_mask, (rows, length) int64; others (rows, length - 1) float32."""
    order: torch.Tensor
    """int64: row numbers in the order in which they are learned from, all epochs after each other."""
    used: int = 0
    """How many of `order` have been learned from."""

    @staticmethod
    def shuffled(tensors: Mapping[str, torch.Tensor], epochs: int) -> Rollouts:
        """All rows in a new order for each epoch."""
        rows = len(tensors["input_ids"])
        return Rollouts(tensors, torch.cat([torch.randperm(rows) for _ in range(epochs)]))

    @property
    def is_used_up(self) -> bool:
        """Whether new answers are needed."""
        return self.used >= len(self.order)

    def next_batches(self, rows: int, count: int) -> list[dict[str, torch.Tensor]]:
        """The next `count` micro-batches of `rows` rows, each cut to its longest row, with its counts."""
        batches = []
        for _ in range(count):
            chosen = self.order[self.used : self.used + rows]
            self.used += rows
            batches.append(self._batch(chosen))
        return batches

    def _batch(self, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        mask = self.tensors["attention_mask"][rows]
        longest = int(mask.sum(1).max())
        batch = {
            name: values[rows, : longest - (values.shape[1] < mask.shape[1])] for name, values in self.tensors.items()
        }
        learned = int((batch["labels"] != NOT_TRAINED).sum())
        return with_counts(batch, BatchCounts(int(mask.sum()), batch["input_ids"].numel(), learned))

    def save(self, file: Path) -> None:
        """Write the buffer, so that a resumed run learns from the same answers."""
        tensors = {name: values.contiguous() for name, values in self.tensors.items()}
        save_file({**tensors, "order": self.order, "used": torch.tensor(self.used)}, file)

    @staticmethod
    def load(file: Path) -> Rollouts:
        """What `save` wrote."""
        tensors = load_file(file)
        order, used = tensors.pop("order"), int(tensors.pop("used"))
        return Rollouts(tensors, order, used)
