"""Encoded rows as torch and `datasets` take them: the only file of this folder that imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import datasets
import numpy
import pyarrow  # type: ignore[import-untyped]
import torch

from trainer.data.dataset import NOT_TRAINED, EncodedRows


@dataclass(frozen=True)
class PaddingCollator:
    """Fills rows up on the right to one length: ids with `pad_token_id`, labels with NOT_TRAINED, attention with 0."""

    pad_token_id: int
    pad_to_multiple_of: int = 1
    ignore_padding: bool = True
    """False: padding is learned too (`ignore_pad_token_for_loss = false`)."""

    def __call__(self, examples: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, torch.Tensor]:
        """A batch: input_ids, labels and attention_mask, each (batch, longest row) int64."""
        longest = max(len(example["input_ids"]) for example in examples)
        length = -(-longest // self.pad_to_multiple_of) * self.pad_to_multiple_of
        shape = (len(examples), length)
        input_ids = torch.full(shape, self.pad_token_id, dtype=torch.long)
        labels = torch.full(shape, NOT_TRAINED if self.ignore_padding else self.pad_token_id, dtype=torch.long)
        attention_mask = torch.zeros(shape, dtype=torch.long)
        for number, example in enumerate(examples):
            size = len(example["input_ids"])
            input_ids[number, :size] = torch.as_tensor(example["input_ids"], dtype=torch.long)
            labels[number, :size] = torch.as_tensor(example["labels"], dtype=torch.long)
            attention_mask[number, :size] = 1
        return {"input_ids": input_ids, "labels": labels, "attention_mask": attention_mask}


def to_dataset(rows: EncodedRows) -> datasets.Dataset:
    """The rows as a `datasets.Dataset` in memory: `input_ids` and `labels`, which TRL takes untouched."""
    ids, labels, ends = rows.columns()
    offsets = pyarrow.array(numpy.frombuffer(ends, dtype=numpy.int64))
    columns = [
        pyarrow.LargeListArray.from_arrays(offsets, pyarrow.array(numpy.frombuffer(column, dtype=numpy.int32)))
        for column in (ids, labels)
    ]
    return datasets.Dataset(pyarrow.table(columns, names=["input_ids", "labels"]))
