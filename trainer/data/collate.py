"""Encoded rows as torch takes them: sequences of one or more rows, and batches of sequences. Not for deciding which
rows go together (`packing`), nor for rows with two answers (`collate_answers`), but for those of a stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy
import torch

from trainer.data.dataset import NOT_TRAINED, EncodedRows
from trainer.data.packing import Layout, OneByOne, Piece
from trainer.data.streams import RowStream
from trainer.errors import UserError

_COUNTS_EVERY = 10

Example = Mapping[str, Any]
"""One sequence: `input_ids` and `labels` (integers, of one length), and `starts`, the positions where its rows begin;
without `starts` it is one row."""


class TokenSequences(torch.utils.data.Dataset[dict[str, Any]]):
    """The sequences of a layout, cut out of the rows' columns when they are asked for."""

    def __init__(self, rows: EncodedRows, layout: Layout | None = None, *, learns_across: bool = False) -> None:
        """`learns_across`: the first token of a row is learned from the row before it, as text that goes on."""
        self._rows = rows
        self._layout: Layout = OneByOne(rows.lengths()) if layout is None else layout
        self._learns_across = learns_across

    def __len__(self) -> int:
        return len(self._layout)

    def lengths(self) -> Sequence[int]:
        """Tokens of each sequence."""
        if isinstance(self._layout, OneByOne):
            return self._layout.lengths
        layout = self._layout
        return [sum(piece.end - piece.first for piece in layout.pieces(number)) for number in range(len(layout))]

    def __getitem__(self, number: int) -> dict[str, Any]:
        if not 0 <= number < len(self):
            raise IndexError(number)
        pieces = self._layout.pieces(number)
        ids, labels = ([self._tokens(name, piece) for piece in pieces] for name in ("input_ids", "labels"))
        if len(pieces) == 1:
            return {"input_ids": ids[0], "labels": labels[0], "starts": [0]}
        starts = list(accumulate((len(part) for part in ids[:-1]), initial=0))
        joined = numpy.concatenate(labels)
        if not self._learns_across:
            joined[starts] = NOT_TRAINED
        return {"input_ids": numpy.concatenate(ids), "labels": joined, "starts": starts}

    def _tokens(self, name: str, piece: Piece) -> numpy.ndarray:
        """Part of a row, as a view of the stored one."""
        return numpy.frombuffer(self._rows.values(name, piece.row), dtype=numpy.int32)[piece.first : piece.end]


class StreamedExamples(torch.utils.data.IterableDataset[dict[str, Any]]):
    """What a stream gives, sequences or prompts with two answers; each process of the loader reads rows of its own.

    With some examples goes `read`: the number of the process and what it has read. An error of the user's comes as
    the example `refused`, because an exception would lose its type on the way out of a process.
    """

    def __init__(self, stream: RowStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = torch.utils.data.get_worker_info()
        shard, shards = (0, 1) if worker is None else (worker.id, worker.num_workers)
        counts = self._stream.counts()
        before = sent = (-1, -1)
        try:
            for number, streamed in enumerate(self._stream.examples(counts, shard, shards)):
                example: dict[str, Any] = streamed._asdict()
                read = (counts.rows_read, counts.rows_read - counts.rows_used)
                # Sent at times, at each row that is left out, and when all is read: on its way out of a process it
                # takes longer than the tokens.
                if not number % _COUNTS_EVERY or read[1] != sent[1] or (read == before and read != sent):
                    sent = read
                    example["read"] = (shard, counts)
                before = read
                yield example
        except UserError as error:
            yield {"refused": error}


@dataclass(frozen=True)
class PaddingCollator:
    """Fills sequences up on the right: ids with `pad_token_id`, labels with NOT_TRAINED, attention with 0.

    The rows of a sequence see each other.
    """

    pad_token_id: int
    pad_to_multiple_of: int = 1
    ignore_padding: bool = True
    """False: padding is learned too (`ignore_pad_token_for_loss = false`)."""

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """A batch: input_ids, labels and attention_mask, each (batch, longest sequence) int64."""
        sizes = [len(example["input_ids"]) for example in examples]
        shape = (len(examples), _rounded_up(max(sizes), self.pad_to_multiple_of))
        input_ids = numpy.full(shape, self.pad_token_id, dtype=numpy.int64)
        labels = numpy.full(shape, NOT_TRAINED if self.ignore_padding else self.pad_token_id, dtype=numpy.int64)
        attention_mask = numpy.zeros(shape, dtype=numpy.int64)
        for number, (example, size) in enumerate(zip(examples, sizes, strict=True)):
            input_ids[number, :size] = example["input_ids"]
            labels[number, :size] = example["labels"]
            attention_mask[number, :size] = 1
        return _tensors(input_ids=input_ids, labels=labels, attention_mask=attention_mask)


@dataclass(frozen=True)
class IsolatingCollator:
    """Batches in which no row sees another one of its sequence.

    The positions begin anew with each row and there is no attention mask: this is how transformers knows the rows of a
    sequence apart (`masking_utils.find_packed_sequence_indices`; with a mask it would not look). Padding at the end of
    a sequence counts as one more row.
    """

    pad_token_id: int
    pad_to_multiple_of: int = 1
    flat: bool = False
    """All sequences end to end in one (padding-free); flash attention knows rows apart in this shape alone."""

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """A batch: input_ids, labels and position_ids, each (batch or 1, longest or all sequences) int64."""
        lines: list[list[Example]] = [list(examples)] if self.flat else [[example] for example in examples]
        longest = max(sum(len(example["input_ids"]) for example in line) for line in lines)
        shape = (len(lines), _rounded_up(longest, self.pad_to_multiple_of))
        input_ids = numpy.full(shape, self.pad_token_id, dtype=numpy.int64)
        labels = numpy.full(shape, NOT_TRAINED, dtype=numpy.int64)
        position_ids = numpy.empty(shape, dtype=numpy.int64)
        counting = numpy.arange(shape[1])
        for number, line in enumerate(lines):
            end = 0
            for example in line:
                first, end = end, end + len(example["input_ids"])
                input_ids[number, first:end] = example["input_ids"]
                labels[number, first:end] = example["labels"]
                starts = [first + start for start in example.get("starts", (0,))]
                # What comes before a row is not seen, so that nothing can be learned about its first token.
                labels[number, starts] = NOT_TRAINED
                for start, until in zip(starts, [*starts[1:], end], strict=True):
                    position_ids[number, start:until] = counting[: until - start]
            position_ids[number, end:] = counting[: shape[1] - end]
        return _tensors(input_ids=input_ids, labels=labels, position_ids=position_ids)


def _rounded_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _tensors(**arrays: numpy.ndarray) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
