"""Encoded rows on disk or, few of them, in memory: one flat file a column, mapped into memory when they are read, so
that a million rows need no more memory than a thousand. Not for the sequence that trainers see (`dataset`), and not
for finding stored rows again (`cache`).
"""

from __future__ import annotations

import json
import mmap
import os
import tempfile
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO, Any

from trainer.data.encoded_row import (
    RECORD_SIZE,
    TOKEN_BYTES,
    EncodedRow,
    RowFigures,
    pack_figures,
    unpack_figures,
)
from trainer.data.messages import BadRow, SourceReference

MANIFEST = "rows.json"
"""Written last: a folder without it holds no rows."""

_FIGURES, _USED = "figures", "used"
_MEMORY_LIMIT = 32 * 2**20
_WRITE_SIZE = 2**20
_EXAMPLES = 3


class BrokenStoreError(Exception):
    """The files of stored rows are not those that were written."""


@dataclass(frozen=True)
class BadRowCount:
    """The bad rows of one reason."""

    count: int
    examples: tuple[BadRow, ...]
    """The first few of them."""


@dataclass(frozen=True)
class Reading:
    """What is known about a data set beside its encoded rows."""

    format: str
    """What its rows look like, for people."""
    bad: tuple[BadRowCount, ...] = ()
    """In the order in which the first of each reason stood in the data."""
    is_partial: bool = False
    """Reading ended before the end of the data."""


class BadRowCounter:
    """Counts bad rows by reason and keeps the first few of each."""

    def __init__(self) -> None:
        self._counts: dict[str, BadRowCount] = {}

    def add(self, row: BadRow) -> None:
        """Counts one."""
        self.add_all(BadRowCount(1, (row,)))

    def add_all(self, bad: BadRowCount) -> None:
        """Counts several of one reason."""
        reason = bad.examples[0].reason
        known = self._counts.get(reason, BadRowCount(0, ()))
        examples = known.examples
        if len(examples) < _EXAMPLES:
            examples = (*examples, *bad.examples)[:_EXAMPLES]
        self._counts[reason] = BadRowCount(known.count + bad.count, examples)

    def counts(self) -> tuple[BadRowCount, ...]:
        """All of them, in the order in which the first of each reason came."""
        return tuple(self._counts.values())


@dataclass(frozen=True)
class RowStore:
    """The encoded rows of one data set, and what happened to each row that was read."""

    values: Mapping[str, memoryview]
    """By column: all token ids, int32, row after row."""
    ends: Mapping[str, memoryview]
    """By column: where each row ends in the values, int64, beginning with 0."""
    files: tuple[str, ...]
    """The source files."""
    reading: Reading
    _figures: memoryview = field(repr=False)
    _used: memoryview = field(repr=False)

    def __len__(self) -> int:
        return len(self._used)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.values)

    def row(self, name: str, number: int) -> memoryview:
        """One row of a column."""
        ends = self.ends[name]
        return self.values[name][ends[number] : ends[number + 1]]

    def length(self, number: int) -> int:
        """Tokens of a row; of a ranked one, of the prompt and the longer answer."""
        sizes = [
            ends[number + 1] - ends[number] for name, ends in self.ends.items() if name not in ("labels", "expected")
        ]
        return int(sizes[0] + max(sizes[1:], default=0))

    def figures_of(self, number: int) -> RowFigures:
        """Where a row comes from and what happened to it."""
        return self._record(self._used[number])

    def all_figures(self) -> Iterator[RowFigures]:
        """What happened to every row that was encoded, also to those that were left out, in order."""
        return (self._record(number) for number in range(self.rows_encoded))

    @property
    def rows_encoded(self) -> int:
        """Rows that were encoded, also those that were left out."""
        return len(self._figures) // RECORD_SIZE

    def to_bytes(self) -> bytes:
        """All of it, to be sent to another process."""
        parts = {f"{name}.values": values for name, values in self.values.items()}
        parts |= {f"{name}.ends": ends for name, ends in self.ends.items()}
        parts |= {_FIGURES: self._figures, _USED: self._used}
        data = [part.tobytes() for part in parts.values()]
        sizes = {name: [len(part), 0] for name, part in zip(parts, data, strict=True)}
        manifest = _Manifest({}, tuple(self.values), self.files, self.reading, sizes)
        head = json.dumps(asdict(manifest)).encode()
        return b"".join([len(head).to_bytes(8, "little"), head, *data])

    @classmethod
    def from_bytes(cls, data: bytes) -> RowStore:
        """What `to_bytes` made."""
        start = 8 + int.from_bytes(data[:8], "little")
        manifest = _manifest(json.loads(data[8:start]))
        parts = {}
        for name, (size, _) in manifest.parts.items():
            # A view of its own: numbers must begin where the machine wants them.
            parts[name] = memoryview(data[start : start + size])
            start += size
        return _store(parts, manifest.files, manifest.reading)

    def _record(self, number: int) -> RowFigures:
        return unpack_figures(self._figures[number * RECORD_SIZE : (number + 1) * RECORD_SIZE], self.files)


class RowStoreWriter:
    """Takes encoded rows, in memory up to a limit and then in a file: one in `folder`, or one without a name."""

    def __init__(self, columns: Sequence[str], folder: Path | None = None) -> None:
        self._folder = folder
        self._values = {name: _GrowingFile(folder, f"{name}.values") for name in columns}
        self._lengths = {name: array("i") for name in columns}
        self._figures = _GrowingFile(folder, _FIGURES)
        self._used = array("i")
        self._files: dict[str, int] = {}
        self._rows = 0

    def append(self, row: EncodedRow) -> None:
        """Adds a row; of one that is left out only its figures are kept."""
        file = self._files.setdefault(row.source.file, len(self._files))
        self._figures.write(pack_figures(row, file))
        if not row.left_out:
            self._used.append(self._rows)
            for name, values in self._values.items():
                data = row.columns[name]
                values.write(data)
                self._lengths[name].append(len(data) // TOKEN_BYTES)
        self._rows += 1

    def extend(self, store: RowStore) -> None:
        """Adds all rows of another store."""
        if [self._files.setdefault(name, len(self._files)) for name in store.files] == list(range(len(store.files))):
            self._figures.write(store._figures)
        else:
            for figures in store.all_figures():
                self._figures.write(pack_figures(figures, self._files[figures.source.file]))
        self._used.extend([self._rows + number for number in store._used])
        self._rows += len(store._figures) // RECORD_SIZE
        for name, values in store.values.items():
            self._values[name].write(values.tobytes())
            ends = store.ends[name].tolist()
            self._lengths[name].extend([end - start for start, end in pairwise(ends)])

    def finish(self, reading: Reading, key: Mapping[str, object] | None = None) -> RowStore:
        """The rows as they can be read; in a folder, with the manifest that says what they were made from (`key`)."""
        parts = {f"{name}.values": file for name, file in self._values.items()}
        parts[_FIGURES] = self._figures
        for name, lengths in self._lengths.items():
            parts[f"{name}.ends"] = self._filled(f"{name}.ends", array("q", accumulate(lengths, initial=0)))
        parts[_USED] = self._filled(_USED, self._used)
        mapped = {name: part.mapped() for name, part in parts.items()}
        if self._folder is not None:
            manifest = _Manifest(
                dict(key or {}),
                tuple(self._values),
                tuple(self._files),
                reading,
                {name: [part.size, part.checksum] for name, part in parts.items()},
            )
            _write_manifest(self._folder, manifest)
        return _store(mapped, tuple(self._files), reading)

    def _filled(self, name: str, numbers: array[int]) -> _GrowingFile:
        file = _GrowingFile(self._folder, name)
        file.write(numbers.tobytes())
        return file


class _GrowingFile:
    """Bytes that are added to, and mapped into memory at the end."""

    def __init__(self, folder: Path | None, name: str) -> None:
        self._place = None if folder is None else folder / name
        self._buffer = bytearray()
        self._limit = _MEMORY_LIMIT if folder is None else _WRITE_SIZE
        self._file: IO[bytes] | None = None
        self.size = 0
        self.checksum = 0

    def write(self, data: bytes | memoryview) -> None:
        self._buffer += data
        self.size += len(data)
        if len(self._buffer) > self._limit:
            self._flush()

    def _flush(self) -> None:
        if self._file is None:
            # Closed once it is mapped.
            self._file = tempfile.TemporaryFile() if self._place is None else self._place.open("w+b")  # noqa: SIM115
            self._limit = _WRITE_SIZE
        self._file.write(self._buffer)
        self.checksum = zlib.crc32(self._buffer, self.checksum)
        self._buffer.clear()

    def mapped(self) -> memoryview:
        """What was written. Nothing can be added after."""
        if self._file is None and self._place is None:
            return memoryview(bytes(self._buffer))
        self._flush()
        assert self._file is not None
        self._file.flush()
        if self._place is not None:
            os.fsync(self._file.fileno())
        with self._file as file:
            return _mapped(file)


@dataclass(frozen=True)
class _Manifest:
    key: dict[str, object]
    columns: tuple[str, ...]
    files: tuple[str, ...]
    reading: Reading
    parts: dict[str, list[int]]
    """By file: size and CRC-32."""


def _write_manifest(folder: Path, manifest: _Manifest) -> None:
    with (folder / MANIFEST).open("w", encoding="utf-8") as stream:
        json.dump(asdict(manifest), stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())


def read_key(folder: Path) -> dict[str, Any]:
    """What the rows of a folder were made from.

    Raises: BrokenStoreError when the folder holds no rows.
    """
    return _read_manifest(folder).key


def open_store(folder: Path) -> RowStore:
    """The rows of a folder.

    Raises: BrokenStoreError when a file is missing or is not what was written.
    """
    manifest = _read_manifest(folder)
    parts = {}
    for name, (size, checksum) in manifest.parts.items():
        try:
            with (folder / name).open("rb") as file:
                found = _checksum(file)
                data = _mapped(file)
        except OSError as error:
            raise BrokenStoreError(f"{name}: {error.strerror}") from error
        if len(data) != size or found != checksum:
            raise BrokenStoreError(f"{name} is not as it was written")
        parts[name] = data
    return _store(parts, manifest.files, manifest.reading)


def _checksum(file: IO[bytes]) -> int:
    # Read piece by piece: of a mapped file, all that was looked at would stay in memory.
    checksum = 0
    while data := file.read(_WRITE_SIZE):
        checksum = zlib.crc32(data, checksum)
    return checksum


def _mapped(file: IO[bytes]) -> memoryview:
    if not os.fstat(file.fileno()).st_size:
        return memoryview(b"")
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _store(parts: Mapping[str, memoryview], files: tuple[str, ...], reading: Reading) -> RowStore:
    names = [name.removesuffix(".values") for name in parts if name.endswith(".values")]
    values = {name: _numbers(parts[f"{name}.values"], "i") for name in names}
    ends = {name: _numbers(parts[f"{name}.ends"], "q") for name in names}
    return RowStore(values, ends, files, reading, parts[_FIGURES], _numbers(parts[_USED], "i"))


def _numbers(data: memoryview, kind: str) -> memoryview:
    # A view of nothing cannot be cast.
    return data.cast(kind) if len(data) else memoryview(array(kind))  # type: ignore[call-overload]


def _read_manifest(folder: Path) -> _Manifest:
    try:
        return _manifest(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BrokenStoreError(f"{MANIFEST} cannot be read ({error})") from error


def _manifest(content: Mapping[str, Any]) -> _Manifest:
    raw = content["reading"]
    bad = tuple(BadRowCount(item["count"], tuple(map(_bad_row, item["examples"]))) for item in raw["bad"])
    reading = Reading(raw["format"], bad, raw["is_partial"])
    return _Manifest(content["key"], tuple(content["columns"]), tuple(content["files"]), reading, content["parts"])


def _bad_row(content: Mapping[str, Any]) -> BadRow:
    return BadRow(**{**content, "source": SourceReference(**content["source"])})
