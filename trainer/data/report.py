"""What reading and encoding the data came to: counts, lengths, bad rows. Not for doing it (`pipeline`)."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import chain
from typing import Self

from trainer.config import Finding
from trainer.data.encoded_row import RowFigures
from trainer.data.findings import report_findings
from trainer.data.lengths import Histogram, Lengths, histogram
from trainer.data.messages import BadRow, SourceReference
from trainer.data.packing import PaddingWaste, padding_waste

EXAMPLES = 3
"""Bad rows that are kept as examples of each reason."""

_HASH_GROUPS = 256
"""Hashes of rows are kept in so many arrays, 8 bytes each; only one of them at a time becomes a set."""


@dataclass(frozen=True)
class BadRows:
    """The bad rows of one reason."""

    reason: str
    count: int
    examples: tuple[BadRow, ...]


@dataclass(frozen=True)
class DatasetSummary:
    """One data set of several: what was read and how."""

    name: str
    format: str
    files: tuple[str, ...]
    rows_read: int
    rows_used: int
    is_partial: bool = False
    """There are more rows; reading was cut short."""


@dataclass(frozen=True)
class DataReport:
    """The figures of one pass over the rows."""

    rows_read: int = 0
    rows_used: int = 0
    bad: tuple[BadRows, ...] = ()
    datasets: tuple[DatasetSummary, ...] = ()
    rows_by_length: Mapping[int, int] = field(default_factory=dict)
    """How many rows have so many tokens before the cut, the shortest first."""
    used_by_length: Mapping[int, int] = field(default_factory=dict)
    """How many of the rows that are used have so many tokens after the cut."""
    cutoff_len: int = 0
    on_long_row: str = "truncate"
    tokens: int = 0
    """Tokens of the rows that are used, after the cut."""
    trained_tokens: int = 0
    truncated: int = 0
    """Rows that were cut."""
    dropped: int = 0
    """Rows left out because they are longer than `cutoff_len`."""
    labels_lost: int = 0
    """Tokens to be learned that the cut took away."""
    ends_lost: int = 0
    """Rows with an answer whose end was cut off."""
    unlabelled: int = 0
    """Rows dropped because they have nothing to learn."""
    unlabelled_by_cut: int = 0
    """Of these, the ones that had something to learn before the cut."""
    endless: int = 0
    """Rows with an answer after which the template writes no end-of-turn token."""
    duplicates: int = 0
    """Rows whose text stood there before; they are trained on all the same."""
    typed_tokens: int = 0
    """Rows whose own words hold special tokens."""
    typed_tokens_example: SourceReference | None = None
    """The first of these."""
    desirable: int = 0
    """Stage kto: rows whose answer is to be learned."""
    undesirable: int = 0
    """Stage kto: rows whose answer is to be avoided."""
    seconds: float = field(default=0.0, compare=False)

    @property
    def rows_bad(self) -> int:
        """Bad rows of all reasons."""
        return sum(item.count for item in self.bad)

    def bad_of(self, reason: str) -> int:
        """Bad rows of one reason."""
        return sum(item.count for item in self.bad if item.reason == reason)

    @property
    def with_end(self) -> int:
        """Rows in which every answer is learned with the token that ends it."""
        return self.rows_used - self.endless - self.ends_lost

    @cached_property
    def lengths(self) -> Lengths:
        """Tokens a row, before rows were cut."""
        return Lengths.of(self.rows_by_length)

    def histogram(self) -> Histogram:
        """Rows by length, in steps of round numbers."""
        return histogram(self.rows_by_length)

    def padding(self, batch_size: int) -> PaddingWaste:
        """What batches of so many rows waste on padding, with and without packing."""
        parts = ([length] * count for length, count in self.used_by_length.items())
        return padding_waste(array("i", chain.from_iterable(parts)), batch_size, self.cutoff_len)

    def findings(self, *, on_bad_row: str = "stop", key: str = "data.dataset", dataset: str = "") -> list[Finding]:
        """What of this the user should know before the training starts; see `report_findings`."""
        return report_findings(self, on_bad_row=on_bad_row, key=key, dataset=dataset)

    @classmethod
    def together(cls, reports: Sequence[Self]) -> Self:
        """One report of several, each of other rows; rows that stand in two of them are not counted as duplicates."""
        if not reports:
            return cls()
        numbers = [item.name for item in fields(cls) if isinstance(item.default, int | float)]
        sums = {name: sum(getattr(report, name) for report in reports) for name in numbers if name != "cutoff_len"}
        return replace(
            reports[0],
            **sums,
            bad=_together(chain.from_iterable(report.bad for report in reports)),
            datasets=tuple(chain.from_iterable(report.datasets for report in reports)),
            rows_by_length=_sum_of(report.rows_by_length for report in reports),
            used_by_length=_sum_of(report.used_by_length for report in reports),
        )


def _sum_of(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    total = Counter[int]()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def _together(groups: Iterable[BadRows]) -> tuple[BadRows, ...]:
    """Bad rows of several reports by reason, the most frequent first."""
    counts, examples = Counter[str](), dict[str, list[BadRow]]()
    for group in groups:
        counts[group.reason] += group.count
        examples.setdefault(group.reason, []).extend(group.examples)
    return tuple(BadRows(reason, count, tuple(examples[reason][:EXAMPLES])) for reason, count in counts.most_common())


class ReportBuilder:
    """Counts while rows go by."""

    def __init__(self, cutoff_len: int, on_long_row: str = "truncate", *, finds_duplicates: bool = True) -> None:
        """`finds_duplicates` remembers something of every row; without it a stream of any length can be counted."""
        self._finds_duplicates = finds_duplicates
        self._cutoff_len = cutoff_len
        self._on_long_row = on_long_row
        self._bad: Counter[str] = Counter()
        self._examples: dict[str, list[BadRow]] = {}
        self._lengths: Counter[int] = Counter()
        self._used_lengths: Counter[int] = Counter()
        self._hashes = [array("q") for _ in range(_HASH_GROUPS)]
        self._datasets: list[DatasetSummary] = []
        self.rows_read = 0
        self.rows_used = 0
        self._tokens = self._trained = self._truncated = self._dropped = self._labels_lost = self._ends_lost = 0
        self._unlabelled = self._unlabelled_by_cut = self._endless = 0
        self._tags: Counter[bool] = Counter()
        self._typed_tokens = 0
        self._typed_tokens_example: SourceReference | None = None

    def bad(self, row: BadRow) -> None:
        """Counts a bad row."""
        self.rows_read += 1
        self._bad[row.reason] += 1
        examples = self._examples.setdefault(row.reason, [])
        if len(examples) < EXAMPLES:
            examples.append(row)

    def bad_rows(self, count: int, examples: Sequence[BadRow]) -> None:
        """Counts bad rows of one reason, of which `examples` are the first."""
        for example in examples:
            self.bad(example)
        self.rows_read += count - len(examples)
        self._bad[examples[0].reason] += count - len(examples)

    def converted(self) -> None:
        """Counts a good row that was not encoded."""
        self.rows_read += 1
        self.rows_used += 1

    def encoded(self, row: RowFigures) -> bool:
        """Counts an encoded row; says whether it is used."""
        self.rows_read += 1
        self._lengths[row.full_length] += 1
        if row.left_out == "long":
            self._dropped += 1
            return False
        self._truncated += row.full_length > row.length
        self._labels_lost += row.labels_lost
        if row.left_out:
            self._unlabelled += 1
            self._unlabelled_by_cut += row.left_out == "no_room" or row.labels_lost > 0
            return False
        self.rows_used += 1
        self._used_lengths[row.length] += 1
        self._tokens += row.length
        self._trained += row.trained_count
        self._ends_lost += row.end_lost
        self._endless += row.endless
        if row.typed_tokens:
            self._typed_tokens += 1
            self._typed_tokens_example = self._typed_tokens_example or row.source
        if self._finds_duplicates:
            self._hashes[row.text_hash % _HASH_GROUPS].append(row.text_hash)
        if row.kto_tag is not None:
            self._tags[row.kto_tag] += 1
        return True

    def dataset(self, summary: DatasetSummary) -> None:
        """Notes a data set that was read to its end."""
        self._datasets.append(summary)

    def report(self, seconds: float) -> DataReport:
        """The figures so far."""
        bad = tuple(BadRows(reason, count, tuple(self._examples[reason])) for reason, count in self._bad.most_common())
        return DataReport(
            rows_read=self.rows_read,
            rows_used=self.rows_used,
            bad=bad,
            datasets=tuple(self._datasets),
            rows_by_length=dict(sorted(self._lengths.items())),
            used_by_length=dict(sorted(self._used_lengths.items())),
            cutoff_len=self._cutoff_len,
            on_long_row=self._on_long_row,
            tokens=self._tokens,
            trained_tokens=self._trained,
            truncated=self._truncated,
            dropped=self._dropped,
            labels_lost=self._labels_lost,
            ends_lost=self._ends_lost,
            unlabelled=self._unlabelled,
            unlabelled_by_cut=self._unlabelled_by_cut,
            endless=self._endless,
            duplicates=sum(len(hashes) - len(set(hashes)) for hashes in self._hashes),
            typed_tokens=self._typed_tokens,
            typed_tokens_example=self._typed_tokens_example,
            desirable=self._tags[True],
            undesirable=self._tags[False],
            seconds=seconds,
        )
