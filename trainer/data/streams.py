"""Rows that are read while training: mixed, shuffled in a buffer, packed, the same for the same seed. Not for torch.

A stream has no end: when all rows have passed it begins again, shuffled anew. Whoever takes the same number of
examples from it twice gets the same ones, which is how a resumed run finds its place.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, pairwise
from typing import NamedTuple, TypeVar

from trainer.config import Recipe
from trainer.data.dataset import NOT_TRAINED, EncodedRows
from trainer.data.encoded_row import COLUMNS, EncodedRow
from trainer.data.messages import BadRow, SourceReference
from trainer.data.mix import Mixture, mixed
from trainer.data.packing import Layout, cuts_up_text, training_layout
from trainer.data.pipeline import PipelineOptions, bad_row_error, stream_encoded
from trainer.data.registry import split_names
from trainer.data.report import ReportBuilder
from trainer.data.row_store import Reading, RowStoreWriter
from trainer.data.tokenizer import TextTokenizer
from trainer.errors import UserError

_WINDOW = 1000
"""Rows that are packed among each other."""


class StreamedRow(NamedTuple):
    """A row on its way, in four bytes a token."""

    input_ids: array[int]
    labels: array[int]


class StreamedSequence(NamedTuple):
    """One or more rows end to end; `starts` are the positions where rows begin."""

    input_ids: array[int]
    labels: array[int]
    starts: list[int]


class StreamedPair(NamedTuple):
    """A prompt with its better and its worse answer."""

    prompt: array[int]
    first: array[int]
    second: array[int]


class StreamedJudgement(NamedTuple):
    """A prompt with its answer, and one that was written for another prompt."""

    prompt: array[int]
    first: array[int]
    second: array[int]
    good: bool


Example = StreamedSequence | StreamedPair | StreamedJudgement
Taken = TypeVar("Taken")


@dataclass(frozen=True)
class RowStream:
    """The training rows of a recipe, without those that are held back for evaluation."""

    recipe: Recipe
    tokenizer: TextTokenizer
    held: frozenset[SourceReference] = frozenset()

    def counts(self) -> ReportBuilder:
        """Counts nothing yet; for `examples`."""
        data = self.recipe.data
        return ReportBuilder(data.cutoff_len, data.on_long_row, finds_duplicates=False)

    def examples(self, counts: ReportBuilder, shard: int = 0, shards: int = 1) -> Iterator[Example]:
        """What the stage of the recipe learns from, without end. Of several `shards` each gets its own rows: one for
        each process that reads; where there are too few rows for all, some get none. `counts` grows while rows are read
        for the first time.

        Raises: UserError when no row can be used, and at a bad or long row where the recipe says so.
        """
        match self.recipe.method.stage:
            case "dpo" | "rm":
                yield from chain.from_iterable(self._passes(_pair, counts, shard, shards))
            case "kto":
                rows = chain.from_iterable(self._passes(_judgement, counts, shard, shards))
                # The answer to another prompt is that of the row behind it.
                yield from (row._replace(second=following.first) for row, following in pairwise(rows))
            case _:
                for once in self._passes(_labelled, counts, shard, shards):
                    yield from self._packed(once)

    def _passes(
        self, take: Callable[[EncodedRow], Taken], counts: ReportBuilder, shard: int, shards: int
    ) -> Iterator[Iterator[Taken]]:
        """One iterator after the other, each over all rows in an order of its own.

        Raises: as `examples`.
        """
        passed = 0
        while True:
            unshuffled = (take(row) for row in self._shard_of(None if passed else counts, shard, shards))
            rows = self._shuffled(unshuffled, passed, shards)
            first = next(rows, None)
            if first is None:
                self._check_for_rows()
                return
            yield chain((first,), rows)
            passed += 1

    def rows(self, counts: ReportBuilder | None = None, shard: int = 0, shards: int = 1) -> Iterator[EncodedRow]:
        """One pass over the mixture, unshuffled."""
        names = split_names(self.recipe.data.dataset)
        opened: set[str] = set()
        sources = [partial(self._rows_of, name, opened, counts, shard, shards) for name in names]
        return mixed(sources, Mixture.of(self.recipe))

    def _check_for_rows(self) -> None:
        """Raises: UserError when there are no rows for anybody."""
        if all(row.source in self.held for row in self.rows()):
            raise UserError("none of the rows of the stream can be used", field="dataset")

    def _rows_of(
        self, name: str, opened: set[str], counts: ReportBuilder | None, shard: int, shards: int
    ) -> Iterator[EncodedRow]:
        """The rows of one data set; a mixture that begins it anew does not count them again."""
        counts = None if name in opened else counts
        opened.add(name)
        options = PipelineOptions.of(self.recipe, download=True)
        for row in stream_encoded((name,), self.tokenizer, options, shard=shard, shards=shards):
            if isinstance(row, BadRow):
                if options.stop_at_bad_row:
                    raise bad_row_error(row)
                if counts is not None:
                    counts.bad(row)
                continue
            if counts is not None:
                counts.encoded(row)
            if not row.left_out:
                yield row

    def _shard_of(self, counts: ReportBuilder | None, shard: int, shards: int) -> Iterator[EncodedRow]:
        return (row for row in self.rows(counts, shard, shards) if row.source not in self.held)

    def _shuffled(self, rows: Iterator[Taken], passed: int, shards: int) -> Iterator[Taken]:
        """Rows drawn from a buffer that is kept full, as `datasets` shuffles its streams."""
        if self.recipe.method.disable_shuffling:
            yield from rows
            return
        generator = random.Random(f"{self.recipe.train.seed}-{passed}")
        size = max(1, self.recipe.data.buffer_size // shards)
        buffer = list(islice(rows, size))
        for row in rows:
            place = generator.randrange(size)
            yield buffer[place]
            buffer[place] = row
        generator.shuffle(buffer)
        yield from buffer

    def _packed(self, rows: Iterator[StreamedRow]) -> Iterator[StreamedSequence]:
        """The rows as sequences, packed a window at a time where the recipe packs."""
        learns_across = cuts_up_text(self.recipe)
        packs = learns_across or self.recipe.data.packing or self.recipe.data.neat_packing
        while window := list(islice(rows, _WINDOW if packs else 1)):
            layout = training_layout([len(row.input_ids) for row in window], self.recipe)
            yield from (_sequence(window, layout, number, learns_across) for number in range(len(layout)))


def first_rows(stream: RowStream, count: int) -> EncodedRows:
    """The first `count` rows of the mixture, for evaluation.

    Raises: UserError when there are no more rows than that, or a bad one comes where `on_bad_row` is stop.
    """
    writer = RowStoreWriter(COLUMNS[stream.recipe.method.stage])
    rows = stream.rows()
    for row in islice(rows, count):
        writer.append(row)
    held = EncodedRows([writer.finish(Reading("streamed"))])
    if next(rows, None) is None:
        raise UserError(
            f"leaves no rows to train on (there are {len(held)})",
            field="val_size",
            value=count,
            hint="Choose a smaller number",
        )
    return held


def _labelled(row: EncodedRow) -> StreamedRow:
    return StreamedRow(*(_numbers(row.columns[name]) for name in ("input_ids", "labels")))


def _pair(row: EncodedRow) -> StreamedPair:
    return StreamedPair(*(_numbers(row.columns[name]) for name in ("prompt_ids", "chosen_ids", "rejected_ids")))


def _judgement(row: EncodedRow) -> StreamedJudgement:
    """A judged row, with its own answer in the place of the one to another prompt."""
    prompt, answer = (_numbers(row.columns[name]) for name in ("prompt_ids", "completion_ids"))
    return StreamedJudgement(prompt, answer, answer, bool(row.kto_tag))


def _numbers(data: bytes) -> array[int]:
    ids = array("i")
    ids.frombytes(data)
    return ids


def _sequence(rows: list[StreamedRow], layout: Layout, number: int, learns_across: bool) -> StreamedSequence:
    ids, labels = array("i"), array("i")
    starts: list[int] = []
    for piece in layout.pieces(number):
        start = len(ids)
        starts.append(start)
        ids += rows[piece.row].input_ids[piece.first : piece.end]
        labels += rows[piece.row].labels[piece.first : piece.end]
        if start and not learns_across:
            labels[start] = NOT_TRAINED
    return StreamedSequence(ids, labels, starts)
