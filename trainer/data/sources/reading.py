"""Reads the rows of a data file of any kind. Not for random access (`trainer.data.browse`)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from trainer.data.messages import BadRow, RawRow, SourceReference
from trainer.data.sources.columnar import read_columnar
from trainer.data.sources.json_array import begins_with_document, scan_json
from trainer.data.sources.json_lines import read_json_lines, read_text_lines
from trainer.data.sources.opening import COLUMN_SUFFIXES, broken_off, cannot_open, check_file, data_suffix, open_text
from trainer.data.sources.separated import scan_separated
from trainer.errors import UserError


def read_rows(path: Path) -> Iterator[RawRow | BadRow]:
    """All rows of a file in order; what cannot be read as a row comes as a `BadRow` in its place.

    Every kind is read piece by piece, so that memory does not grow with the file. JSON lines, text, CSV and TSV and the
    rows of JSON know the line on which they begin; rows of parquet and arrow files know their number.

    Raises: UserError when the file cannot be opened, is not what its name says, or holds no row at all.
    """
    check_file(path)
    last = SourceReference(str(path), 0)
    try:
        for row in _rows(path):
            last = row.source
            yield row
    except (OSError, EOFError, zlib.error) as error:
        if not last.row:
            raise cannot_open(path, error) from error
        yield broken_off(last, error)
    if not last.row:
        raise _empty(path)


def _rows(path: Path) -> Iterator[RawRow | BadRow]:
    kind = data_suffix(path).removesuffix(".gz")
    if kind in COLUMN_SUFFIXES:
        yield from read_columnar(path)
        return
    with open_text(path) as stream:
        if kind in (".csv", ".tsv"):
            yield from (row for _, row in scan_separated(stream, path))
        elif kind == ".txt":
            yield from read_text_lines(stream, str(path))
        elif begins_with_document(stream, kind):
            yield from (row for _, row in scan_json(stream, str(path)))
        else:
            yield from read_json_lines(stream, str(path))


def _empty(path: Path) -> UserError:
    kind = data_suffix(path).removesuffix(".gz")
    if kind in (".csv", ".tsv"):
        hint = "The first line names the columns; put the rows below it"
    else:
        hint = "Put one line of text a row into it" if kind == ".txt" else "Put one JSON object a row into it"
    empty = ": it is empty (0 bytes)" if not path.stat().st_size else ""
    return UserError(f"the file holds no rows{empty}", file=path, hint=hint)
