"""Where the rows of a text file begin, found step by step, and any row that was found. Not for parquet and arrow."""

from __future__ import annotations

import io
import os
import tempfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from gzip import GzipFile
from pathlib import Path
from typing import BinaryIO, cast

from trainer.data.messages import BadRow, RawRow, SourceReference
from trainer.data.sources.json_array import begins_with_document, scan_json
from trainer.data.sources.json_lines import parse_text
from trainer.data.sources.json_text import decode, parse_row
from trainer.data.sources.opening import broken_off, data_suffix, open_text
from trainer.data.sources.separated import parse_record, read_header, scan_separated

_ROWS_A_STEP = 256

Found = tuple[int, int, BadRow | None]
"""The byte and the line at which a row begins, and the bad row if it is one that can be told only while scanning."""


class TextIndex:
    """The rows of one text file. Rows of compressed files are unpacked into a temporary file on the way.

    Raises: UserError when the file cannot be opened, or is not what its name says.
    """

    def __init__(self, path: Path) -> None:
        self.is_complete = False
        self._file = str(path)
        self._offsets = array("q")
        self._lines = array("q")
        self._bad: dict[int, BadRow] = {}
        self._kind = data_suffix(path).removesuffix(".gz")
        is_packed = data_suffix(path).endswith(".gz")
        with open_text(path) as stream:
            self._is_document = self._kind in (".json", ".jsonl") and begins_with_document(stream, self._kind)
            self._header, self._separator = read_header(stream, path) if self._kind in (".csv", ".tsv") else ((), "")
        stream = open_text(path)
        if is_packed:
            copy = _Copying(cast(GzipFile, stream))
            self._readable = copy.copy
            self._stream = cast(BinaryIO, io.BufferedReader(copy))
        else:
            self._readable = path.open("rb")
            self._stream = stream
        self._scan = self._scanner(path)
        self._parse = self._parser()

    @property
    def rows(self) -> int:
        """Rows found so far."""
        return len(self._offsets)

    @property
    def share(self) -> float:
        """How much of the file was looked at, from 0 to 1, as far as one can know."""
        if self.is_complete:
            return 1.0
        size = os.fstat(self._readable.fileno()).st_size
        return min(self._stream.tell() / size, 0.999) if size else 0.0

    def step(self) -> None:
        """Find some more rows."""
        try:
            for _ in range(_ROWS_A_STEP):
                found = next(self._scan, None)
                if found is None:
                    self.is_complete = True
                    return
                byte, line, bad = found
                if bad is not None:
                    self._bad[self.rows] = bad
                self._offsets.append(byte)
                self._lines.append(line)
        except (OSError, EOFError, zlib.error) as error:
            bad = broken_off(SourceReference(self._file, self.rows, self._lines[-1] if self._lines else 0), error)
            self._bad[self.rows] = bad
            self._offsets.append(self._stream.tell())
            self._lines.append(bad.source.line)
            self.is_complete = True

    def read(self, row: int) -> RawRow | BadRow:
        """The row of this number (from 0), which must have been found."""
        if row in self._bad:
            return self._bad[row]
        return self._parse(self._data(row), SourceReference(self._file, row + 1, self._lines[row]))

    def text(self, row: int) -> str | None:
        """The row as it stands in the file; bytes that are no text are escaped."""
        return self._data(row).decode("utf-8", "backslashreplace").strip("\r\n") or None

    def _data(self, row: int) -> bytes:
        start = self._offsets[row]
        end = self._offsets[row + 1] if row + 1 < self.rows else self._stream.tell()
        return os.pread(self._readable.fileno(), end - start, start)

    def close(self) -> None:
        """Close the file, and remove the unpacked copy."""
        self._stream.close()
        self._readable.close()

    def _scanner(self, path: Path) -> Iterator[Found]:
        if self._kind in (".csv", ".tsv"):
            return _found(scan_separated(self._stream, path))
        if self._is_document:
            return _found(scan_json(self._stream, self._file))
        return _found_lines(self._stream)

    def _parser(self) -> Callable[[bytes, SourceReference], RawRow | BadRow]:
        if self._kind in (".csv", ".tsv"):
            return lambda data, source: parse_record(data, self._header, self._separator, source)
        if self._is_document:
            return lambda data, source: RawRow(decode(data.decode("utf-8", "surrogateescape"))[0], source)
        parse = parse_text if self._kind == ".txt" else parse_row
        return lambda data, source: parse(data.partition(b"\n")[0], source)


def _found(rows: Iterator[tuple[int, RawRow | BadRow]]) -> Iterator[Found]:
    return ((byte, row.source.line, row if isinstance(row, BadRow) else None) for byte, row in rows)


def _found_lines(stream: BinaryIO) -> Iterator[Found]:
    """Lines are not parsed here, so that a million of them are found in less than a second."""
    byte = stream.tell()
    for number, line in enumerate(stream, start=1):
        if not line.isspace():
            yield byte, number, None
        byte += len(line)


class _Copying(io.RawIOBase):
    """Reads a stream once and keeps what was read in a temporary file, where any part of it can be read again."""

    def __init__(self, stream: GzipFile) -> None:
        self.copy = cast(BinaryIO, tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - closed with the index
        self._stream = stream
        self._read = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._read

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        # Not more than one piece: what was unpacked before a broken end must not be lost with it.
        data = self._stream.read1(len(buffer))
        buffer[: len(data)] = data
        self.copy.write(data)
        self._read += len(data)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
