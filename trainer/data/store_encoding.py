"""One data set to stored rows, in this process or in several. Not for finding what was stored before (`cache`)."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.data.dataset_reading import DatasetReader, Share, bad_row_error
from trainer.data.encode import EncodeOptions, RowEncoder
from trainer.data.encode_workers import encoded_by_processes
from trainer.data.encoded_row import EncodedRow
from trainer.data.messages import BadRow
from trainer.data.pipeline_options import PipelineOptions, Progress
from trainer.data.registry import DatasetEntry
from trainer.data.row_store import BadRowCounter, Reading, RowStore, RowStoreWriter
from trainer.data.spans import ShortWayError
from trainer.data.tokenizer import TextTokenizer

_BYTES_PER_WORKER = 8_000_000
"""Of data files: a process needs about half a second to start, in which this much is encoded."""

_OBJECTS_PER_COLLECTION = 100_000


@dataclass(frozen=True)
class EncodeJob:
    """What is to be encoded, and how."""

    entry: DatasetEntry
    files: tuple[Path, ...]
    tokenizer: TextTokenizer
    options: PipelineOptions
    short_ways: bool = True

    @property
    def encode(self) -> EncodeOptions:
        """The part of the options that concerns one row."""
        return self.options.encode

    def columns(self) -> tuple[str, ...]:
        """The columns that are kept."""
        return self.encode.columns if self.options.keep_rows else ()

    def blocks(self, reader: DatasetReader, share: Share | None = None) -> Generator[RowStore]:
        """The encoded rows, batch after batch.

        Raises: UserError; ShortWayError.
        """
        encoder = RowEncoder(self.tokenizer, self.encode, short_ways=self.short_ways)
        batches = reader.batches() if share is None else reader.blocks(share)
        with _rare_collection():
            for rows in encoder.encode_batches(batches):
                yield self._block(rows, reader.format)

    def _block(self, rows: list[EncodedRow | BadRow], row_format: str) -> RowStore:
        writer, bad = RowStoreWriter(self.columns()), BadRowCounter()
        for row in rows:
            if isinstance(row, EncodedRow):
                writer.append(row)
            else:
                bad.add(row)
                if self.options.stop_at_bad_row:
                    break
        return writer.finish(Reading(row_format, bad.counts()))

    def worker_count(self) -> int:
        """How many processes are worth their start; 1: this one alone."""
        if self.options.is_cut_short:
            return 1
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        wanted = self.options.num_workers
        if wanted is None:
            wanted = sum(file.stat().st_size for file in self.files) // _BYTES_PER_WORKER
        return max(1, min(cores, wanted))


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Rows refer to each other in no circles: looking for some every 700 objects took 7 % of the time."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_PER_COLLECTION, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def encode_store(
    job: EncodeJob, folder: Path | None, progress: Progress, key: Mapping[str, object] | None = None
) -> RowStore:
    """All rows of a data set, encoded; in `folder` if there is one, with the `key` that says what they were made from.

    Raises: UserError for data that cannot be read, at the first bad row where the options say so, and when a process
    that encodes does not live.
    """
    try:
        return _encode(job, folder, progress, key)
    except ShortWayError:
        # Right before fast: the whole data set again, the long way.
        return _encode(replace(job, short_ways=False), folder, progress, key)


def _encode(job: EncodeJob, folder: Path | None, progress: Progress, key: Mapping[str, object] | None) -> RowStore:
    reader = DatasetReader(job.entry, job.files, job.options)
    workers = job.worker_count()
    blocks = job.blocks(reader) if workers == 1 else encoded_by_processes(job, reader, workers)
    writer, bad = RowStoreWriter(job.columns(), folder), BadRowCounter()
    row_format, done, total = reader.format, 0, reader.estimated_rows()
    with closing(blocks):
        for block in blocks:
            for item in block.reading.bad:
                if job.options.stop_at_bad_row:
                    raise bad_row_error(item.examples[0])
                bad.add_all(item)
                done += item.count
            writer.extend(block)
            row_format = row_format or block.reading.format
            done += block.rows_encoded
            progress(done, total)
    return writer.finish(Reading(row_format, bad.counts(), reader.is_partial), key)
