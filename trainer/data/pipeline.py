"""Files to encoded rows: reads, converts, renders and tokenizes data sets in batches. Not for splitting them up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from trainer.config import Recipe, resolve_dataset_dir
from trainer.data.dataset import EncodedRows
from trainer.data.encode import EncodedRow, EncodeOptions, RowEncoder
from trainer.data.formats import RowConverter, row_format
from trainer.data.messages import BadRow, BadRowError, RawRow, Row
from trainer.data.registry import DatasetEntry, find_dataset, list_datasets
from trainer.data.report import DataReport, DatasetSummary, ReportBuilder
from trainer.data.sources import read_rows
from trainer.data.tokenizer import TextTokenizer
from trainer.errors import UserError
from trainer.paths import shipped_folder

Progress = Callable[[int, int | None], None]
"""Called with the rows done and the rows there are, if that is known."""


@dataclass(frozen=True)
class Encoded:
    """Encoded rows, and the report of how they came about."""

    rows: EncodedRows
    report: DataReport


@dataclass(frozen=True)
class PipelineOptions:
    """How data sets are read."""

    encode: EncodeOptions
    dataset_dir: str = "data"
    default_system: str | None = None
    max_samples: int | None = None
    """The recipe's limit on the rows of each data set."""
    limit_rows: int | None = None
    """The caller's limit, for a look at part of the data."""
    deadline: float | None = None
    """No further batch is read after this time (`time.monotonic`)."""
    batch_size: int = 1000
    batch_characters: int = 16_000_000
    """A batch ends early when its rows together have this many characters."""
    stop_at_bad_row: bool = True

    @classmethod
    def of(cls, recipe: Recipe, *, limit_rows: int | None = None) -> PipelineOptions:
        """What a recipe says."""
        data = recipe.data
        return cls(
            encode=EncodeOptions(data.cutoff_len, data.train_on_prompt, data.mask_history),
            dataset_dir=data.dataset_dir,
            default_system=data.default_system,
            max_samples=data.max_samples,
            limit_rows=limit_rows,
            batch_size=data.preprocessing_batch_size,
            stop_at_bad_row=data.on_bad_row == "stop",
        )

    def for_check(self, seconds: float) -> PipelineOptions:
        """The same, but going on after bad rows, and for no longer than `seconds`."""
        size = min(self.batch_size, 200)
        return replace(
            self,
            stop_at_bad_row=False,
            batch_size=size,
            batch_characters=400_000,
            deadline=time.monotonic() + seconds,
        )

    @property
    def row_limit(self) -> int | None:
        """Rows that are read of each data set."""
        limits = [limit for limit in (self.max_samples, self.limit_rows) if limit is not None]
        return min(limits, default=None)

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() > self.deadline


def locate(name: str, dataset_dir: str) -> DatasetEntry:
    """The data set `name` in `dataset_dir`; for the default folder, the shipped data sets are known as well.

    Raises: UserError.
    """
    folder = resolve_dataset_dir(dataset_dir)
    try:
        return find_dataset(name, folder)
    except UserError as error:
        # The demo preset must work in any folder, also in one that has registered data sets of its own.
        if dataset_dir != "data" or error.field != "dataset" or name not in list_datasets(shipped_folder("data")):
            raise
        return find_dataset(name, shipped_folder("data"))


def encode_datasets(
    names: tuple[str, ...], tokenizer: TextTokenizer | None, options: PipelineOptions, progress: Progress | None = None
) -> Encoded:
    """All rows of the named data sets, one after the other; without a tokenizer they are only read and counted.

    Raises: UserError for a data set that cannot be found or read, and at the first bad row where the options say so.
    """
    started = time.monotonic()
    encoder = None if tokenizer is None else RowEncoder(tokenizer, options.encode)
    builder = ReportBuilder(options.encode.cutoff_len)
    rows = EncodedRows()
    for entry in [locate(name, options.dataset_dir) for name in names]:
        _encode_dataset(entry, encoder, options, builder, rows, progress)
    return Encoded(rows, builder.report(time.monotonic() - started))


def _encode_dataset(
    entry: DatasetEntry,
    encoder: RowEncoder | None,
    options: PipelineOptions,
    builder: ReportBuilder,
    rows: EncodedRows,
    progress: Progress | None,
) -> None:
    read_before, used_before = builder.rows_read, builder.rows_used
    raw = (row for file in entry.files for row in read_rows(file))
    reader = _Converting(entry, islice(raw, options.row_limit), options)
    batches = _batches(reader, options)
    for batch in batches if encoder is None else encoder.encode_batches(batches):
        for row in batch:
            if isinstance(row, EncodedRow):
                if builder.encoded(row):
                    rows.append(row.input_ids, row.trained, row.source)
            elif isinstance(row, BadRow):
                if options.stop_at_bad_row:
                    raise bad_row_error(row)
                builder.bad(row)
            else:
                builder.converted()
        if progress is not None:
            progress(builder.rows_read, None)
    files = tuple(str(file) for file in entry.files)
    read, used = builder.rows_read - read_before, builder.rows_used - used_before
    is_cut_short = options.is_late or options.row_limit != options.max_samples
    is_partial = is_cut_short and next(raw, None) is not None
    builder.dataset(DatasetSummary(entry.name, reader.format, files, read, used, is_partial))


def _batches(reader: Iterator[Row | BadRow], options: PipelineOptions) -> Iterator[list[Row | BadRow]]:
    batch: list[Row | BadRow] = []
    characters = 0
    for row in reader:
        batch.append(row)
        characters += row.length if isinstance(row, Row) else 0
        if len(batch) >= options.batch_size or characters >= options.batch_characters:
            yield batch
            if options.is_late:
                return
            batch, characters = [], 0
    if batch:
        yield batch


class _Converting(Iterator[Row | BadRow]):
    """The rows of a data set as dialogues; the first one decides what format they have."""

    def __init__(self, entry: DatasetEntry, raw: Iterator[RawRow | BadRow], options: PipelineOptions) -> None:
        self.format = ""
        self._entry = entry
        self._raw = raw
        self._default_system = options.default_system
        self._converter: RowConverter | None = None

    def __next__(self) -> Row | BadRow:
        raw = next(self._raw)
        if isinstance(raw, BadRow):
            return raw
        if self._converter is None:
            chosen = row_format(self._entry, raw.value)
            self.format = chosen.describe()
            self._converter = RowConverter(chosen, self._default_system)
        try:
            return self._converter.convert(raw)
        except BadRowError as error:
            return error.at(raw.source)


def bad_row_error(row: BadRow) -> UserError:
    """The error that stops a run at a bad row."""
    source = row.source
    hint = row.hint if row.fatal else f"{row.hint}; or leave bad rows out with on_bad_row=skip"
    text = row.text if source.row <= source.line else f"row {source.row}: {row.text}"
    return UserError(text, file=source.file, line=source.line or source.row, hint=hint)
