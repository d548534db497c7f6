"""JSON lines and plain text: one row a line. Not for rows over several lines (`json_array`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from trainer.data.messages import BadRow, RawRow, SourceReference
from trainer.data.sources.json_text import not_utf8, parse_row


def read_json_lines(stream: BinaryIO, file: str) -> Iterator[RawRow | BadRow]:
    """One row for each line that is not blank."""
    row = 0
    for number, line in enumerate(stream, start=1):
        if not line.isspace():
            row += 1
            yield parse_row(line, SourceReference(file, row, number))


def read_text_lines(stream: BinaryIO, file: str) -> Iterator[RawRow | BadRow]:
    """One row `{"text": line}` for each line that is not blank."""
    row = 0
    for number, line in enumerate(stream, start=1):
        if not line.isspace():
            row += 1
            yield parse_text(line, SourceReference(file, row, number))


def parse_text(line: bytes, source: SourceReference) -> RawRow | BadRow:
    """A line of plain text as a row."""
    try:
        return RawRow({"text": line.rstrip(b"\r\n").decode()}, source)
    except UnicodeDecodeError as error:
        return not_utf8(source, error.object[error.start])
