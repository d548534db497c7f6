"""Parquet and arrow files, read in small batches, so that a file of any size needs little memory. Needs pyarrow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.data.messages import BadRow, RawRow, SourceReference
from trainer.errors import UserError

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

_ROWS_AT_ONCE = 256
BROKEN_HINT = "Copy or download the file again"


def read_columnar(path: Path) -> Iterator[RawRow | BadRow]:
    """All rows of a `.parquet` or `.arrow` file. A broken row group of a parquet file is one bad row, and the reading
    goes on behind it; a broken arrow file ends with a fatal bad row.

    Raises: UserError when it is no such file.
    """
    if path.suffix.lower() == ".parquet":
        yield from _read_parquet(path)
    else:
        broken = yield from _read_batches(arrow_batches(path), str(path), 0)
        if broken:
            yield broken


def _read_parquet(path: Path) -> Iterator[RawRow | BadRow]:
    opened = parquet_file(path)
    before = 0
    for number in range(opened.num_row_groups):
        batches = opened.iter_batches(batch_size=_ROWS_AT_ONCE, row_groups=[number], use_threads=False)
        broken = yield from _read_batches(batches, str(path), before)
        before += opened.metadata.row_group(number).num_rows
        if broken:
            lost = before - broken.source.row + 1
            yield replace(broken, text=f"{lost} rows cannot be read: {broken.text}", fatal=False)


def _read_batches(
    batches: Iterator[pyarrow.RecordBatch], file: str, row: int
) -> Generator[RawRow | BadRow, None, BadRow | None]:
    """The rows of batches, numbered after `row`; returns the bad row that stands for what is broken after them."""
    import pyarrow

    try:
        for batch in batches:
            for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
                for value in batch.slice(start, _ROWS_AT_ONCE).to_pylist():
                    row += 1
                    yield RawRow(value, SourceReference(file, row))
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        text = f"this part of the file is broken ({first_line(error)})"
        return BadRow("broken_file", text, BROKEN_HINT, SourceReference(file, row + 1), fatal=True)
    return None


def parquet_file(path: Path) -> ParquetFile:
    """An opened parquet file.

    Raises: UserError when it is none.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        opened = parquet.ParquetFile(path, memory_map=True)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise _broken(path, "parquet", error) from error
    _check_names(opened.schema_arrow, path)
    return opened


def arrow_batches(path: Path) -> Iterator[pyarrow.RecordBatch]:
    """The batches of an arrow file or an arrow stream, each read when it is asked for.

    Raises: UserError when it is neither.
    """
    import pyarrow
    from pyarrow import ipc

    try:
        source = pyarrow.memory_map(str(path))
        try:
            opened = ipc.open_file(source)
            schema = opened.schema
            batches = (opened.get_batch(number) for number in range(opened.num_record_batches))
        except pyarrow.ArrowInvalid:
            source.seek(0)
            stream = ipc.open_stream(source)
            schema, batches = stream.schema, iter(stream)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise _broken(path, "arrow", error) from error
    _check_names(schema, path)
    return batches


def first_line(error: Exception) -> str:
    """The first sentence of what a library says, without the bytes that it may quote."""
    sentence = str(error).strip().split("\n", 1)[0].split(". ", 1)[0].rstrip(".")
    return "".join(character if character.isprintable() else "?" for character in sentence)


def _broken(path: Path, kind: str, error: Exception) -> UserError:
    return UserError(f"not a readable {kind} file: {first_line(error)}", file=path, hint=BROKEN_HINT)


def _check_names(schema: pyarrow.Schema, path: Path) -> None:
    """Raises: UserError for two columns of one name: a row could hold only one of them."""
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise UserError(f"the column {twice[0]!r} stands there twice", file=path, hint="Rename or remove one of them")
