"""What reading and encoding the data came to: counts, lengths, bad rows. Not for doing it (`pipeline`)."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from trainer.config import Finding
from trainer.data.encode import EncodedRow
from trainer.data.findings import report_findings
from trainer.data.messages import BadRow

EXAMPLES = 3
"""Bad rows that are kept as examples of each reason."""


@dataclass(frozen=True)
class BadRows:
    """The bad rows of one reason."""

    reason: str
    count: int
    examples: tuple[BadRow, ...]


@dataclass(frozen=True)
class Lengths:
    """Tokens a row, before rows were cut."""

    minimum: int = 0
    median: int = 0
    p95: int = 0
    p99: int = 0
    maximum: int = 0

    @classmethod
    def of(cls, values: Sequence[int]) -> Lengths:
        """The figures of `values`: the smallest number that a share of them is not above."""
        if not values:
            return cls()
        ordered = sorted(values)
        median, p95, p99 = (ordered[-(-percent * len(ordered) // 100) - 1] for percent in (50, 95, 99))
        return cls(ordered[0], median, p95, p99, ordered[-1])


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
    lengths: Lengths = Lengths()
    cutoff_len: int = 0
    tokens: int = 0
    """Tokens of the rows that are used, after the cut."""
    trained_tokens: int = 0
    truncated: int = 0
    """Rows that were cut."""
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
    seconds: float = field(default=0.0, compare=False)

    @property
    def rows_bad(self) -> int:
        """Bad rows of all reasons."""
        return sum(item.count for item in self.bad)

    def findings(self, *, on_bad_row: str = "stop", key: str = "data.dataset", dataset: str = "") -> list[Finding]:
        """What of this the user should know before the training starts; see `report_findings`."""
        return report_findings(self, on_bad_row=on_bad_row, key=key, dataset=dataset)


class ReportBuilder:
    """Counts while rows go by."""

    def __init__(self, cutoff_len: int) -> None:
        self._cutoff_len = cutoff_len
        self._bad: Counter[str] = Counter()
        self._examples: dict[str, list[BadRow]] = {}
        self._lengths = array("i")
        self._seen: set[int] = set()
        self._datasets: list[DatasetSummary] = []
        self.rows_read = 0
        self.rows_used = 0
        self._tokens = self._trained = self._truncated = self._labels_lost = self._ends_lost = 0
        self._unlabelled = self._unlabelled_by_cut = self._endless = self._duplicates = 0

    def bad(self, row: BadRow) -> None:
        """Counts a bad row."""
        self.rows_read += 1
        self._bad[row.reason] += 1
        examples = self._examples.setdefault(row.reason, [])
        if len(examples) < EXAMPLES:
            examples.append(row)

    def converted(self) -> None:
        """Counts a good row that was not encoded."""
        self.rows_read += 1
        self.rows_used += 1

    def encoded(self, row: EncodedRow) -> bool:
        """Counts an encoded row; says whether there is anything to learn in it."""
        self.rows_read += 1
        self._lengths.append(row.full_length)
        self._truncated += row.full_length > len(row.input_ids)
        self._labels_lost += row.labels_lost
        if not row.trained:
            self._unlabelled += 1
            self._unlabelled_by_cut += row.labels_lost > 0
            return False
        self.rows_used += 1
        self._tokens += len(row.input_ids)
        self._trained += row.trained_count
        self._ends_lost += row.end_lost
        self._endless += row.endless
        if row.text_hash in self._seen:
            self._duplicates += 1
        self._seen.add(row.text_hash)
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
            lengths=Lengths.of(self._lengths),
            cutoff_len=self._cutoff_len,
            tokens=self._tokens,
            trained_tokens=self._trained,
            truncated=self._truncated,
            labels_lost=self._labels_lost,
            ends_lost=self._ends_lost,
            unlabelled=self._unlabelled,
            unlabelled_by_cut=self._unlabelled_by_cut,
            endless=self._endless,
            duplicates=self._duplicates,
            seconds=seconds,
        )
