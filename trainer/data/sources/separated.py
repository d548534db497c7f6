"""CSV and TSV: the first record names the columns, each further record is a row of texts. Not for Excel's own files."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from trainer.data.messages import BadRow, RawRow, SourceReference
from trainer.data.sources.json_text import not_utf8
from trainer.data.sources.opening import data_suffix
from trainer.errors import UserError

_LONGEST_CELL = 1 << 27
_MOST_LINES_READ_AGAIN = 10_000
_EXCEL_SEPARATOR = re.compile(r"sep=(.)\r?\n")
"""A first line that tells Excel the separator; Excel's own exports have it in some countries."""
_QUOTED = re.compile(r'"[^"]*"')
_QUOTES = 'Write a quote inside a quoted cell twice ("") and close every quoted cell'


def scan_separated(stream: BinaryIO, path: Path) -> Iterator[tuple[int, RawRow | BadRow]]:
    """Each row with the byte at which it begins. Line breaks in quoted cells are part of the cell.

    Raises: UserError for a header that names no columns, or one twice.
    """
    lines = _Lines(stream)
    header, separator = _header(lines, path)
    yield from _records(lines, header, separator, str(path))


def read_header(stream: BinaryIO, path: Path) -> tuple[tuple[str, ...], str]:
    """The column names of a file, and the character that separates its cells.

    Raises: UserError as `scan_separated`.
    """
    return _header(_Lines(stream), path)


def parse_record(data: bytes, header: Sequence[str], separator: str, source: SourceReference) -> RawRow | BadRow:
    """The first record in `data` as a row."""
    _allow_long_cells()
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
    records = csv.reader(text, delimiter=separator, strict=True)
    return _row(next(cells for cells in records if cells), header, source)


class _Lines(Iterator[str]):
    """The lines of a file as the csv module wants them; knows those of the present record, to read them again."""

    def __init__(self, stream: BinaryIO) -> None:
        self.byte = stream.tell()
        self.line = 1
        """Where the next record begins."""
        self._stream = stream
        self._record: list[bytes] = []
        self._again: list[bytes] = []

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._stream)
        self._record.append(line)
        # Bytes that are no UTF-8 come as lone surrogates, so that they spoil one row and not the file.
        return line.decode("utf-8", "surrogateescape")

    def end_record(self) -> None:
        """The next line belongs to another record."""
        self.byte += sum(map(len, self._record))
        self.line += len(self._record)
        self._record.clear()

    def give_back(self) -> bool:
        """Keep only the first line as the present record and read the others again; False if they are too many."""
        if len(self._record) > _MOST_LINES_READ_AGAIN:
            return False
        self._again += reversed(self._record[1:])
        del self._record[1:]
        return True


def _header(lines: _Lines, path: Path) -> tuple[tuple[str, ...], str]:
    first = next(lines, "")
    while first and first.isspace():
        lines.end_record()
        first = next(lines, "")
    separator = _separator(first, "\t,;|" if data_suffix(path).startswith(".tsv") else ",;\t|")
    if stated := _EXCEL_SEPARATOR.fullmatch(first):
        lines.end_record()
        separator, first = stated[1], next(lines, "")
    _allow_long_cells()
    try:
        header = tuple(
            name.strip() for name in next(csv.reader(chain((first,), lines), delimiter=separator, strict=True), [])
        )
    except csv.Error as error:
        problem, hint = _words(error)
        raise UserError(f"the header is broken: {problem}", file=path, line=lines.line, hint=hint) from error
    hint = "The first line must name the columns, for example instruction,output"
    header = _with_index_and_margin(header)
    if header and not all(header):
        place = header.index("") + 1
        raise UserError(f"column {place} of the header has no name", file=path, line=lines.line, hint=hint)
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        problem = f"the header names the column {twice[0]!r} twice"
        raise UserError(problem, file=path, line=lines.line, hint="Rename or remove one of them")
    lines.end_record()
    return header, separator


def _with_index_and_margin(header: tuple[str, ...]) -> tuple[str, ...]:
    """Names as pandas gives them for columns without one: the first, where pandas writes its index, and those behind
    the last name, where spreadsheets write empty cells.
    """
    last = max((place for place, name in enumerate(header) if name), default=len(header))
    return tuple(
        name or (f"Unnamed: {place}" if place in (0, *range(last, len(header))) else "")
        for place, name in enumerate(header)
    )


def _separator(header: str, usual: str) -> str:
    """The first of `usual` that stands in the header outside of quotes. The name of a file need not tell: spreadsheets
    write semicolons in countries that write 1,5.
    """
    plain = _QUOTED.sub("", header)
    return next((character for character in usual if character in plain), usual[0])


def _records(lines: _Lines, header: Sequence[str], separator: str, file: str) -> Iterator[tuple[int, RawRow | BadRow]]:
    """The records after the header, with the byte at which each begins."""
    row = 0
    while True:
        reader = csv.reader(lines, delimiter=separator, strict=True)
        try:
            for cells in reader:
                if cells:
                    row += 1
                    source = SourceReference(file, row, lines.line)
                    yield lines.byte, _row(cells, header, source)
                lines.end_record()
            return
        except csv.Error as error:
            row += 1
            source = SourceReference(file, row, lines.line)
            goes_on = lines.give_back()
            yield lines.byte, _broken(error, source, fatal=not goes_on)
            if not goes_on:
                return
            lines.end_record()


def _row(cells: Sequence[str], header: Sequence[str], source: SourceReference) -> RawRow | BadRow:
    if len(cells) != len(header):
        found = f"the row has {len(cells)} {'cell' if len(cells) == 1 else 'cells'}, the header {len(header)}"
        hint = "Put cells with separators in them into double quotes, and give each row all cells"
        return BadRow("ragged_row", found, hint, source)
    for cell in cells:
        if not cell.isascii():
            try:
                cell.encode()
            except UnicodeEncodeError as error:
                return not_utf8(source, ord(cell[error.start]) - 0xDC00)
    return RawRow(dict(zip(header, cells, strict=True)), source)


def _broken(error: csv.Error, source: SourceReference, *, fatal: bool) -> BadRow:
    text, hint = _words(error)
    if fatal:
        hint += "; the rows after it cannot be read"
    return BadRow("invalid_csv", text, hint, source, fatal)


def _words(error: csv.Error) -> tuple[str, str]:
    """What the csv module found, and the remedy."""
    said = str(error)
    if "unexpected end of data" in said or "field larger" in said:
        return "a quoted cell begins here and does not end", _QUOTES
    if "new-line character" in said:
        return "a line ends with a carriage return alone", "Save the file with Unix line ends (\\n)"
    return f"the quotes of this row do not fit: {said}", _QUOTES


def _allow_long_cells() -> None:
    """The csv module's limit of 131,072 characters holds for the whole process; answers may be longer."""
    if csv.field_size_limit() < _LONGEST_CELL:
        csv.field_size_limit(_LONGEST_CELL)
