"""The rows of one data set as its stage needs them, in batches, or every so-manieth batch of them. Not for encoding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from trainer.data.formats import RowConverter, row_format
from trainer.data.messages import BadRow, BadRowError, RawRow, Row, SourceReference
from trainer.data.pipeline_options import PipelineOptions
from trainer.data.registry import DatasetEntry
from trainer.data.sources import data_suffix, read_rows
from trainer.data.sources.json_array import begins_with_document
from trainer.data.sources.json_text import parse_row
from trainer.data.sources.opening import open_text
from trainer.errors import UserError

SAMPLE_ROWS = 20
"""Good rows that the format of a data set is detected from."""
_ROWS_LOOKED_AT = 200
_WITHOUT_ESTIMATE = (".gz", ".parquet", ".arrow")


@dataclass(frozen=True)
class Share:
    """Which rows or batches are meant: every `of`-th one, from `number` on (0 is the first)."""

    number: int = 0
    of: int = 1


class DatasetReader:
    """Reads one data set; its first good rows decide what format it has."""

    def __init__(self, entry: DatasetEntry, files: Sequence[Path], options: PipelineOptions) -> None:
        """Raises: UserError when a file cannot be read, or the rows are not for the stage."""
        self._entry = replace(entry, files=tuple(files))
        self._options = options
        self._samples = [row.value for row in islice(self._good_rows(), SAMPLE_ROWS)]
        self.format = ""
        """What the rows look like, for people; empty where no row could be read."""
        self.is_partial = False
        """The caller's limits ended the reading before the end of what the recipe takes."""
        self._converter = self._learn_format(self._samples) if self._samples else None

    @property
    def name(self) -> str:
        """The name of the data set."""
        return self._entry.name

    @property
    def files(self) -> tuple[Path, ...]:
        """The data files."""
        return self._entry.files

    def _learn_format(self, samples: Sequence[Mapping[str, Any]]) -> RowConverter:
        options = self._options
        found = row_format(self._entry, samples, options.encode.stage)
        self.format = found.describe()
        return RowConverter(found, options.default_system, stage=options.encode.stage, media_dir=options.media_folder)

    def _good_rows(self) -> Iterator[RawRow]:
        rows = chain.from_iterable(map(read_rows, self.files))
        return (row for row in islice(rows, _ROWS_LOOKED_AT) if isinstance(row, RawRow))

    def estimated_rows(self) -> int | None:
        """How many rows there will be, by the size of the files and of the first rows; None: that cannot be told."""
        if not self._samples or any(data_suffix(file).endswith(_WITHOUT_ESTIMATE) for file in self.files):
            return None
        sample = sum(len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")) for value in self._samples)
        rows = len(self._samples) * sum(file.stat().st_size for file in self.files) // max(1, sample)
        limit = self._options.row_limit
        return max(1, rows if limit is None else min(rows, limit))

    def batches(self, share: Share | None = None) -> Iterator[list[Row | BadRow]]:
        """All rows in batches, or a share of them row by row."""
        batch: list[Row | BadRow] = []
        characters = 0
        rows = self._numbered(share or Share(), 1)
        for _, raw in rows:
            row = self._converted(raw)
            batch.append(row)
            characters += row.length if isinstance(row, Row) else 0
            if len(batch) >= self._options.batch_size or characters >= self._options.batch_characters:
                yield batch
                if self._options.is_late:
                    self.is_partial = next(rows, None) is not None
                    return
                batch, characters = [], 0
        if batch:
            yield batch

    def blocks(self, share: Share) -> Iterator[list[Row | BadRow]]:
        """A share of the rows by whole batches. Each has the same number of rows, so that those who have the other
        shares need not be asked.
        """
        size = self._options.batch_size
        batch: list[Row | BadRow] = []
        place = 0
        for number, raw in self._numbered(share, size):
            if number // size != place and batch:
                yield batch
                batch = []
            place = number // size
            batch.append(self._converted(raw))
        if batch:
            yield batch

    def _numbered(self, share: Share, size: int) -> Iterator[tuple[int, RawRow | BadRow]]:
        """The rows of a share and their numbers in the data set (from 0); it is dealt out `size` rows at a time."""
        limit = self._options.row_limit
        first = 0
        for file in self.files:
            number = first - 1
            for number, row in ((first + place, row) for place, row in _numbered_rows(file)):
                if limit is not None and number >= limit:
                    self.is_partial = limit != self._options.max_samples
                    return
                if (number // size) % share.of == share.number:
                    yield number, parse_row(*row) if isinstance(row, tuple) else row
            first = number + 1

    def _converted(self, raw: RawRow | BadRow) -> Row | BadRow:
        if isinstance(raw, BadRow):
            return raw
        if self._converter is None:
            # All of the first rows were bad: the first good one decides.
            self._converter = self._learn_format([raw.value])
        try:
            return self._converter.convert(raw)
        except BadRowError as error:
            return error.at(raw.source)


def _numbered_rows(file: Path) -> Iterator[tuple[int, RawRow | BadRow | tuple[bytes, SourceReference]]]:
    """The rows of a file and their numbers in it (from 0). JSON lines come as they are: whoever needs every second one
    does not pay for parsing the others.
    """
    if data_suffix(file) != ".jsonl":
        yield from enumerate(read_rows(file))
        return
    name, row = str(file), 0
    with open_text(file) as stream:
        has_lines = not begins_with_document(stream, ".jsonl")
        for number, line in enumerate(stream if has_lines else (), start=1):
            if not line.isspace():
                row += 1
                yield row - 1, (line, SourceReference(name, row, number))
    if not row:
        # An array under the wrong name, or an empty file, for which this has the words.
        yield from enumerate(read_rows(file))


def bad_row_error(row: BadRow) -> UserError:
    """The error that stops a run at a bad row."""
    source = row.source
    hint = row.hint if row.fatal else f"{row.hint}; or leave bad rows out with on_bad_row=skip"
    text = row.text if source.row <= source.line else f"row {source.row}: {row.text}"
    return UserError(text, file=source.file, line=source.line or source.row, hint=hint)
