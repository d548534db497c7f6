"""The rows of one or more data files by number, while they are still being found. Not for what the rows mean."""

from __future__ import annotations

import threading
import time
import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trainer.data.browse.columnar_index import ColumnarIndex
from trainer.data.browse.text_index import TextIndex
from trainer.data.messages import BadRow, RawRow, SourceReference
from trainer.data.sources.opening import COLUMN_SUFFIXES, cannot_open, check_file
from trainer.errors import UserError


class _Index(Protocol):
    """The rows of one file."""

    is_complete: bool

    @property
    def rows(self) -> int: ...
    @property
    def share(self) -> float: ...
    def step(self) -> None: ...
    def read(self, row: int) -> RawRow | BadRow: ...
    def text(self, row: int) -> str | None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class SearchStep:
    """What a slice of a search came to."""

    found: int | None
    """The row that has the text."""
    go_on_at: int | None
    """Where to search on; None: there is nothing left to search, or the text was found."""


class RowBrowser:
    """Rows by number (from 0) over all files, readable as soon as they are found. Safe to use from several threads.

    Call `extend` until `is_complete`; in between, `read` gives any of the `known` rows. A file that cannot be read is
    one bad row.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._indexes: list[_Index] = []
        self._starts: list[int] = []
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def known(self) -> int:
        """Rows found so far."""
        return self._starts[-1] + self._indexes[-1].rows if self._indexes else 0

    @property
    def is_complete(self) -> bool:
        """Whether all rows of all files were found."""
        return len(self._indexes) == len(self._files) and all(index.is_complete for index in self._indexes[-1:])

    @property
    def share(self) -> float:
        """How much of the files was looked at, from 0 to 1, each file counting the same."""
        if not self._files:
            return 1.0
        current = self._indexes[-1].share if self._indexes else 0.0
        return (max(len(self._indexes) - 1, 0) + current) / len(self._files)

    def extend(self, seconds: float) -> bool:
        """Find more rows for about so long; whether all were found."""
        deadline = time.monotonic() + seconds
        while not self.is_complete and not self._is_closed:
            with self._lock:
                self._step()
            if time.monotonic() >= deadline:
                break
        return self.is_complete

    def read(self, first: int, count: int) -> list[RawRow | BadRow]:
        """Up to `count` rows from number `first` on, as far as they are known."""
        with self._lock:
            return [self._row(number) for number in range(max(first, 0), min(first + count, self.known))]

    def text(self, number: int) -> str | None:
        """A known row as it stands in the file, to show one that cannot be read; None where the file is no text."""
        with self._lock:
            place = bisect_right(self._starts, number) - 1
            return self._indexes[place].text(number - self._starts[place])

    def search(self, text: str, first: int, seconds: float, *, backwards: bool = False) -> SearchStep:
        """Look for `text` in any value of the known rows from number `first` on, for about so long.

        Upper and lower case are the same. Bad rows are searched by what is wrong with them.
        """
        deadline = time.monotonic() + seconds
        wanted = text.casefold()
        number, way = first, -1 if backwards else 1
        while 0 <= number < self.known:
            row = self.read(number, 1)[0]
            if _contains(row.text if isinstance(row, BadRow) else row.value, wanted):
                return SearchStep(number, None)
            number += way
            if time.monotonic() >= deadline:
                break
        return SearchStep(None, number if 0 <= number < self.known or self._may_follow(number) else None)

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            self._is_closed = True
            for index in self._indexes:
                index.close()

    def _may_follow(self, number: int) -> bool:
        """Whether a row of this number may still be found."""
        return number >= self.known and not self.is_complete

    def _step(self) -> None:
        if self.is_complete or self._is_closed:
            return
        if not self._indexes or self._indexes[-1].is_complete:
            start = self.known
            self._indexes.append(_index(self._files[len(self._indexes)]))
            self._starts.append(start)
        self._indexes[-1].step()

    def _row(self, number: int) -> RawRow | BadRow:
        place = bisect_right(self._starts, number) - 1
        return self._indexes[place].read(number - self._starts[place])


def _index(path: Path) -> _Index:
    try:
        check_file(path)
        index: _Index = ColumnarIndex(path) if path.suffix.lower() in COLUMN_SUFFIXES else TextIndex(path)
        index.step()
    except UserError as error:
        return _Unreadable(path, error)
    except (OSError, EOFError, zlib.error) as error:
        return _Unreadable(path, cannot_open(path, error))
    return index


class _Unreadable:
    """A file that cannot be read, as one bad row."""

    is_complete = True
    rows = 1
    share = 1.0

    def __init__(self, path: Path, error: UserError) -> None:
        source = SourceReference(str(path), 0, error.line or 0)
        self._row = BadRow("unreadable_file", error.message, error.hint or "Check the file", source, fatal=True)

    def step(self) -> None:
        """Nothing is left to be found."""

    def read(self, row: int) -> BadRow:
        """What is wrong with the file."""
        return self._row

    def text(self, row: int) -> None:
        """It has none."""

    def close(self) -> None:
        """Nothing is open."""


def _contains(value: Any, wanted: str) -> bool:
    if isinstance(value, str):
        return wanted in value.casefold()
    if isinstance(value, Mapping):
        return any(_contains(part, wanted) for part in value.values())
    if isinstance(value, list | tuple):
        return any(_contains(part, wanted) for part in value)
    return value is not None and wanted in str(value).casefold()
