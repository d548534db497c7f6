"""Files to encoded rows: reads, converts, renders and tokenizes data sets, or takes what was stored before. Not for
mixing or splitting them up (`prepare`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from trainer.config import resolve_dataset_dir
from trainer.data.cache import RowCache
from trainer.data.dataset import EncodedRows
from trainer.data.dataset_reading import DatasetReader, Share, bad_row_error
from trainer.data.encode import RowEncoder
from trainer.data.encoded_row import EncodedRow, RowFigures
from trainer.data.hub import entry_files
from trainer.data.messages import BadRow
from trainer.data.pipeline_options import PipelineOptions, Progress
from trainer.data.registry import DatasetEntry, find_dataset, list_datasets
from trainer.data.report import DataReport, DatasetSummary, ReportBuilder
from trainer.data.row_store import RowStore
from trainer.data.store_encoding import EncodeJob, encode_store
from trainer.data.tokenizer import TextTokenizer
from trainer.errors import UserError
from trainer.paths import shipped_folder

__all__ = [
    "Encoded",
    "PipelineOptions",
    "Progress",
    "bad_row_error",
    "encode_datasets",
    "locate",
    "stream_encoded",
]


@dataclass(frozen=True)
class Encoded:
    """Encoded rows, and the report of how they came about."""

    rows: EncodedRows
    report: DataReport
    parts: tuple[tuple[str, EncodedRows], ...] = ()
    """The rows of each data set; end to end they are `rows`."""


def locate(name: str, dataset_dir: str) -> DatasetEntry:
    """The data set `name` in `dataset_dir`; for the default folder, the shipped data sets are known as well.

    Raises: UserError.
    """
    folder = resolve_dataset_dir(dataset_dir)
    # The demo preset must work in any folder, also in one that has registered data sets of its own.
    shipped = list_datasets(shipped_folder("data")) if dataset_dir == "data" else ()
    try:
        return find_dataset(name, folder, also_known=shipped)
    except UserError as error:
        if error.field != "dataset" or name not in shipped:
            raise
        return find_dataset(name, shipped_folder("data"))


def encode_datasets(
    names: tuple[str, ...], tokenizer: TextTokenizer | None, options: PipelineOptions, progress: Progress | None = None
) -> Encoded:
    """All rows of the named data sets, one after the other; without a tokenizer they are only read and counted.

    Raises: UserError for a data set that cannot be found or read, at the first bad row and for long rows where the
    options say so.
    """
    started = time.monotonic()
    builder = ReportBuilder(options.encode.cutoff_len, options.encode.on_long_row)
    stores: list[RowStore] = []
    parts: list[tuple[str, EncodedRows]] = []
    for entry in [locate(name, options.dataset_dir) for name in names]:
        files = entry_files(entry, download=options.download)
        counted = _Counted(progress, builder.rows_read)
        if tokenizer is None:
            _only_read(DatasetReader(entry, files, options), options, builder, counted)
            continue
        job = EncodeJob(entry, files, tokenizer, options)
        store = _stored_or_encoded(job, counted)
        _report(job, store, builder)
        if options.keep_rows:
            stores.append(store)
            parts.append((entry.name, EncodedRows([store])))
    return Encoded(EncodedRows(stores), builder.report(time.monotonic() - started), tuple(parts))


def stream_encoded(
    names: tuple[str, ...], tokenizer: TextTokenizer, options: PipelineOptions, *, shard: int = 0, shards: int = 1
) -> Iterator[EncodedRow | BadRow]:
    """The rows of the named data sets one by one, in bounded memory; of several `shards` each has its own rows.

    Rows that are left out come too, without tokens.

    Raises: UserError at a row that is longer than `cutoff_len` where the options say so.
    """
    for entry in [locate(name, options.dataset_dir) for name in names]:
        encoder = RowEncoder(tokenizer, options.encode, short_ways=False)
        reader = DatasetReader(entry, entry_files(entry, download=options.download), options)
        for batch in encoder.encode_batches(reader.batches(Share(shard, shards))):
            for row in batch:
                if options.stop_at_long_row and isinstance(row, EncodedRow) and row.left_out == "long":
                    raise _long_rows_error([row], options.encode.cutoff_len)
                yield row


@dataclass(frozen=True)
class _Counted:
    """Progress over several data sets."""

    progress: Progress | None
    before: int

    def __call__(self, done: int, total: int | None) -> None:
        if self.progress is not None:
            self.progress(self.before + done, None if total is None else self.before + max(done, total))


def _only_read(reader: DatasetReader, options: PipelineOptions, builder: ReportBuilder, progress: _Counted) -> None:
    read_before, used_before, total = builder.rows_read, builder.rows_used, reader.estimated_rows()
    for batch in reader.batches():
        for row in batch:
            if not isinstance(row, BadRow):
                builder.converted()
            elif options.stop_at_bad_row:
                raise bad_row_error(row)
            else:
                builder.bad(row)
        progress(builder.rows_read - read_before, total)
    read, used = builder.rows_read - read_before, builder.rows_used - used_before
    files = tuple(str(file) for file in reader.files)
    builder.dataset(DatasetSummary(reader.name, reader.format, files, read, used, reader.is_partial))


def _stored_or_encoded(job: EncodeJob, progress: _Counted) -> RowStore:
    cache = RowCache.of(job)
    if cache is None:
        return encode_store(job, None, progress)
    return cache.open() or cache.fill(lambda folder: encode_store(job, folder, progress, cache.key))


def _report(job: EncodeJob, store: RowStore, builder: ReportBuilder) -> None:
    """Counts all rows of a store.

    Raises: UserError for bad rows and for long rows where the options say so.
    """
    options = job.options
    for item in store.reading.bad:
        if options.stop_at_bad_row:
            raise bad_row_error(item.examples[0])
        builder.bad_rows(item.count, item.examples)
    long_rows: list[RowFigures] = []
    read, used = sum(item.count for item in store.reading.bad), 0
    for figures in store.all_figures():
        read += 1
        used += builder.encoded(figures)
        if figures.left_out == "long" and options.stop_at_long_row:
            long_rows.append(figures)
    if long_rows:
        raise _long_rows_error(long_rows, options.encode.cutoff_len)
    files = tuple(str(file) for file in job.files)
    builder.dataset(DatasetSummary(job.entry.name, store.reading.format, files, read, used, store.reading.is_partial))


def _long_rows_error(rows: list[RowFigures], cutoff_len: int) -> UserError:
    places = ", ".join(str(row.source) for row in rows[:3]) + (" and others" if len(rows) > 3 else "")
    longest = max(row.full_length for row in rows)
    count = "1 row is" if len(rows) == 1 else f"{len(rows)} rows are"
    return UserError(
        f"{count} longer than {cutoff_len} tokens ({places}; the longest has {longest})",
        field="cutoff_len",
        value=cutoff_len,
        hint="Raise cutoff_len, or set on_long_row to truncate or drop",
    )
