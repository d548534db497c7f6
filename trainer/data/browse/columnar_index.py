"""Any row of a parquet or arrow file by its number. Not for text files (`text_index`)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from trainer.data.messages import BadRow, RawRow, SourceReference
from trainer.data.sources.columnar import BROKEN_HINT, arrow_batches, first_line, parquet_file

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

_ROWS_AT_ONCE = 256


class _Groups(Protocol):
    """Parts of a file that can be read alone."""

    sizes: list[int]

    def rows(self, group: int, first: int, count: int) -> list[dict[str, object]]:
        """Rows of one part."""


class ColumnarIndex:
    """The rows of one parquet or arrow file; their number stands in the file.

    Raises: UserError when it is no such file.
    """

    is_complete = True
    share = 1.0

    def __init__(self, path: Path) -> None:
        self._file = str(path)
        self._groups: _Groups = _ParquetGroups(path) if path.suffix.lower() == ".parquet" else _ArrowGroups(path)
        self._ends = list(accumulate(self._groups.sizes))
        self._block: list[dict[str, object]] = []
        self._block_start = 0

    @property
    def rows(self) -> int:
        """All rows of the file."""
        return self._ends[-1] if self._ends else 0

    def step(self) -> None:
        """Nothing is left to be found."""

    def read(self, row: int) -> RawRow | BadRow:
        """The row of this number (from 0)."""
        import pyarrow

        source = SourceReference(self._file, row + 1)
        if not 0 <= row - self._block_start < len(self._block):
            group = bisect_right(self._ends, row)
            before = self._ends[group - 1] if group else 0
            first = (row - before) // _ROWS_AT_ONCE * _ROWS_AT_ONCE
            try:
                self._block = self._groups.rows(group, first, _ROWS_AT_ONCE)
            except (pyarrow.ArrowException, OSError, ValueError) as error:
                text = f"this part of the file is broken: {first_line(error)}"
                return BadRow("broken_file", text, BROKEN_HINT, source)
            self._block_start = before + first
        return RawRow(self._block[row - self._block_start], source)

    def text(self, row: int) -> None:
        """Rows of such files are no text."""

    def close(self) -> None:
        """Let go of the file."""
        self._groups = _NoGroups()


class _NoGroups:
    def __init__(self) -> None:
        self.sizes: list[int] = []

    def rows(self, group: int, first: int, count: int) -> list[dict[str, object]]:
        raise ValueError("the file is closed")


class _ParquetGroups:
    """The row groups of a parquet file, each decoded from its beginning as far as needed."""

    def __init__(self, path: Path) -> None:
        self._opened: ParquetFile = parquet_file(path)
        metadata = self._opened.metadata
        self.sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        self._group = -1
        self._next = 0
        self._batches: Iterator[pyarrow.RecordBatch] = iter(())

    def rows(self, group: int, first: int, count: int) -> list[dict[str, object]]:
        if group != self._group or first < self._next:
            self._batches = self._opened.iter_batches(batch_size=count, row_groups=[group], use_threads=False)
            self._group, self._next = group, 0
        for batch in self._batches:
            start, self._next = self._next, self._next + batch.num_rows
            if start <= first < self._next:
                return list(batch.slice(first - start).to_pylist())
        raise ValueError(f"row {first + 1} of row group {group + 1} is missing")


class _ArrowGroups:
    """The batches of an arrow file, which lie in memory as they do on the disk."""

    def __init__(self, path: Path) -> None:
        self._batches = list(arrow_batches(path))
        self.sizes = [batch.num_rows for batch in self._batches]

    def rows(self, group: int, first: int, count: int) -> list[dict[str, object]]:
        return list(self._batches[group].slice(first, count).to_pylist())
