"""Ranked rows (dpo, rm) and judged rows (kto) as torch takes them, and their batches. Not for rows of one sequence:
those are `collate`'s, which with this file is the only one of this folder that imports torch.
"""

from __future__ import annotations

import hashlib
import random
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch

from trainer.data.dataset import NOT_TRAINED, EncodedRows

Example = Mapping[str, Any]


class AnswerRows(torch.utils.data.Dataset[dict[str, Any]]):
    """Rows of a prompt and two answers: of a ranked row the better and the worse one, of a judged row its own and one
    that was written for another prompt.

    An item holds `prompt`, `first` and `second` (int32 each), of a judged row `good`, and `reference`, what the
    reference model gives both answers, where that was computed before.
    """

    def __init__(self, rows: EncodedRows, *, judged: bool, seed: int = 0) -> None:
        """`seed` says which answer of another row goes with each judged one: always the same one."""
        self._rows = rows
        self._judged = judged
        self._others = _next_in_circle(len(rows), seed) if judged else array("q")
        self.reference: torch.Tensor | None = None
        """(rows, 2) float32."""

    def __len__(self) -> int:
        return len(self._rows)

    def lengths(self) -> Sequence[int]:
        """Tokens of each row: of the prompt and its answer, or the longer of its two."""
        return self._rows.lengths()

    def __getitem__(self, number: int) -> dict[str, Any]:
        if not 0 <= number < len(self):
            raise IndexError(number)
        item: dict[str, Any] = {"prompt": self._tokens("prompt_ids", number)}
        if self._judged:
            item["first"] = self._tokens("completion_ids", number)
            item["second"] = self._tokens("completion_ids", self._others[number])
            item["good"] = bool(self._rows.kto_tag(number))
        else:
            item["first"], item["second"] = (self._tokens(name, number) for name in ("chosen_ids", "rejected_ids"))
        if self.reference is not None:
            item["reference"] = self.reference[number]
        return item

    def digest(self) -> str:
        """A text that is the same for the same answers in the same order, and for no others."""
        hashed = hashlib.sha256()
        for number in range(len(self)):
            item = self[number]
            for tokens in (item["prompt"], item["first"], item["second"]):
                hashed.update(len(tokens).to_bytes(4, "little") + tokens.tobytes())
        return hashed.hexdigest()

    def _tokens(self, name: str, row: int) -> numpy.ndarray:
        return numpy.frombuffer(self._rows.values(name, row), dtype=numpy.int32)


def _next_in_circle(count: int, seed: int) -> array[int]:
    """For each row another one, all rows in one circle; a single row is its own next one."""
    circle = list(range(count))
    random.Random(seed).shuffle(circle)
    following = array("q", bytes(8 * count))
    for place, row in enumerate(circle):
        following[row] = circle[(place + 1) % count]
    return following


@dataclass(frozen=True)
class AnswerCollator:
    """Batches of AnswerRows."""

    pad_token_id: int
    cutoff_len: int
    """Where an answer to another prompt is cut; the others were cut before."""
    pad_to_multiple_of: int = 1

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """A batch: input_ids, labels and attention_mask, filled up on the right.

        Of ranked rows each is (2 x rows, longest) int64: all better answers, then all worse ones. Of judged rows it is
        (rows, longest) int64, the same with `other_` before its name holds the prompts with answers to other prompts,
        and `good` is (rows,) bool. `reference` is (rows, 2) float32 where it was computed before.
        """
        judged = "good" in examples[0]
        firsts, seconds = ([(each["prompt"], each[name]) for each in examples] for name in ("first", "second"))
        batch = self._filled_up(firsts if judged else [*firsts, *seconds])
        if judged:
            batch |= {f"other_{name}": values for name, values in self._filled_up(seconds).items()}
            batch["good"] = torch.tensor([example["good"] for example in examples])
        if "reference" in examples[0]:
            batch["reference"] = torch.stack([example["reference"] for example in examples])
        return batch

    def _filled_up(self, answers: Sequence[tuple[Sequence[int], Sequence[int]]]) -> dict[str, torch.Tensor]:
        """Prompts and their answers as one batch."""
        sizes = [min(self.cutoff_len, len(prompt) + len(answer)) for prompt, answer in answers]
        shape = (len(answers), -(-max(sizes) // self.pad_to_multiple_of) * self.pad_to_multiple_of)
        input_ids = numpy.full(shape, self.pad_token_id, dtype=numpy.int64)
        labels = numpy.full(shape, NOT_TRAINED, dtype=numpy.int64)
        attention_mask = numpy.zeros(shape, dtype=numpy.int64)
        for number, ((prompt, answer), size) in enumerate(zip(answers, sizes, strict=True)):
            start = len(prompt)
            input_ids[number, :start] = prompt
            input_ids[number, start:size] = labels[number, start:size] = answer[: size - start]
            attention_mask[number, :size] = 1
        arrays = {"input_ids": input_ids, "labels": labels, "attention_mask": attention_mask}
        return {name: torch.from_numpy(values) for name, values in arrays.items()}
