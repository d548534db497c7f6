"""The figures of a report against rows that are counted by hand, and what findings they become."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from trainer.data.encoded_row import RowFigures
from trainer.data.findings import one_class
from trainer.data.lengths import Histogram, Lengths, histogram
from trainer.data.messages import BadRow, SourceReference
from trainer.data.report import EXAMPLES, DataReport, DatasetSummary, ReportBuilder
from trainer.data.report_json import report_json


def figures(length: int, *, cutoff: int = 100, number: int = 1, **values: object) -> RowFigures:
    """A row of so many tokens, a quarter of them learned, cut at `cutoff`."""
    kept = min(length, cutoff)
    source = SourceReference("rows.jsonl", number, number)
    row = RowFigures(source, length, kept, kept // 4, text_hash=length)
    for name, value in values.items():
        setattr(row, name, value)
    return row


def bad(reason: str, number: int) -> BadRow:
    return BadRow(reason, f"row {number} is wrong", "Mend it", SourceReference("rows.jsonl", number, number))


def ids(report: DataReport, **options: str) -> list[tuple[str, str]]:
    return [(found.id, found.severity) for found in report.findings(**options)]


def test_every_row_is_counted_once() -> None:
    builder = ReportBuilder(100)
    assert builder.encoded(figures(40))
    assert builder.encoded(figures(40))
    assert builder.encoded(figures(200, labels_lost=25, end_lost=True))
    assert not builder.encoded(figures(300, left_out="unlabelled", labels_lost=10))
    assert not builder.encoded(figures(20, left_out="unlabelled"))
    assert not builder.encoded(figures(120, left_out="no_room"))
    assert builder.encoded(figures(60, endless=True))
    builder.bad(bad("no_answer", 7))
    report = builder.report(2.0)
    assert (report.rows_read, report.rows_used, report.rows_bad) == (8, 4, 1)
    assert (report.tokens, report.trained_tokens) == (40 + 40 + 100 + 60, 10 + 10 + 25 + 15)
    assert (report.truncated, report.labels_lost, report.ends_lost) == (3, 35, 1)
    assert (report.unlabelled, report.unlabelled_by_cut) == (3, 2)
    assert (report.duplicates, report.endless, report.with_end) == (1, 1, 2)
    assert report.lengths == Lengths(20, 60, 300, 300, 300)


def test_rows_left_out_for_their_length_are_no_cut_rows() -> None:
    builder = ReportBuilder(100, "drop")
    builder.encoded(figures(150, left_out="long"))
    builder.encoded(figures(50))
    report = builder.report(0.0)
    assert (report.dropped, report.truncated, report.rows_used, report.tokens) == (1, 0, 1, 50)
    assert ids(report) == [("data_dropped", "warning")]


def test_long_rows_are_an_error_where_the_recipe_says_so() -> None:
    builder = ReportBuilder(100, "error")
    builder.encoded(figures(150, left_out="long"))
    builder.encoded(figures(50))
    [finding] = builder.report(0.0).findings()
    assert (finding.id, finding.severity) == ("data_too_long", "error")
    assert "1 of 2 rows" in finding.text
    assert finding.change == {"data.cutoff_len": 192}


def kto_report(*tags: bool, partial: bool = False) -> DataReport:
    builder = ReportBuilder(100)
    for number, tag in enumerate(tags):
        builder.encoded(figures(50 + number, kto_tag=tag))
    builder.dataset(DatasetSummary("judged", "alpaca", (), len(tags), len(tags), partial))
    return builder.report(0.0)


@pytest.mark.parametrize(("tags", "expected"), [((True, True), "true"), ((False,), "false")])
def test_kto_with_one_class_is_an_error(tags: tuple[bool, ...], expected: str) -> None:
    [finding] = one_class(kto_report(*tags))
    assert (finding.id, finding.severity) == ("data_kto_one_class", "error")
    assert finding.text.startswith(f"judged: every row is marked {expected} ({len(tags)} row")
    [early] = one_class(kto_report(*tags, partial=True))
    assert early.severity == "warning"


def test_kto_with_both_classes_is_good() -> None:
    report = kto_report(True, False)
    assert (report.desirable, report.undesirable) == (1, 1)
    assert one_class(report) == []
    assert one_class(DataReport.together([kto_report(True), kto_report(False)])) == []
    assert report_json(report, 2, "kto")["kto"] == {"desirable": 1, "undesirable": 1}
    assert report_json(report, 2, "sft")["kto"] is None


def test_a_few_examples_of_each_reason_are_kept() -> None:
    builder = ReportBuilder(100)
    for number in range(1, 11):
        builder.bad(bad("no_answer" if number % 5 else "empty_answer", number))
    first, second = builder.report(0.0).bad
    assert (first.reason, first.count, len(first.examples)) == ("no_answer", 8, EXAMPLES)
    assert [row.source.row for row in second.examples] == [5, 10]


def test_reports_of_several_sets_become_one() -> None:
    reports = []
    for name, lengths, reason in (("one", (10, 10, 90), "no_answer"), ("two", (10, 500), "empty_answer")):
        builder = ReportBuilder(100)
        for length in lengths:
            builder.encoded(figures(length))
        builder.bad(bad(reason, 4))
        builder.bad(bad("no_answer", 5))
        builder.dataset(DatasetSummary(name, "alpaca", (), len(lengths) + 2, len(lengths)))
        reports.append(builder.report(1.0))
    whole = DataReport.together(reports)
    assert (whole.rows_read, whole.rows_used, whole.cutoff_len, whole.seconds) == (9, 5, 100, 2.0)
    assert whole.rows_by_length == {10: 3, 90: 1, 500: 1}
    assert whole.used_by_length == {10: 3, 90: 1, 100: 1}
    assert [(item.reason, item.count) for item in whole.bad] == [("no_answer", 3), ("empty_answer", 1)]
    assert [item.name for item in whole.datasets] == ["one", "two"]
    assert DataReport.together([]) == DataReport()


def test_padding_is_counted_over_the_rows_that_are_used() -> None:
    builder = ReportBuilder(100)
    for _ in range(10):
        builder.encoded(figures(100))
    builder.encoded(figures(5, left_out="unlabelled"))
    waste = builder.report(0.0).padding(4)
    assert (waste.unpacked, waste.packed, waste.sequences) == (0.0, 0.0, 10)


@pytest.mark.parametrize("seed", range(5))
def test_quantiles_are_those_of_the_sorted_lengths(seed: int) -> None:
    values = sorted(random.Random(seed).choices(range(1, 300), k=1 + 37 * seed))
    lengths = Lengths.of(Counter(values))
    median, p95, p99 = (values[-(-percent * len(values) // 100) - 1] for percent in (50, 95, 99))
    assert lengths == Lengths(values[0], median, p95, p99, values[-1])


def test_a_histogram_counts_every_row_in_round_steps() -> None:
    shown = histogram(Counter([13, 18, 19, 20, 21, 60, 97]))
    assert shown.edges == tuple(range(10, 101, 5))
    assert shown.counts == (1, 2, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1)
    assert histogram({16: 2}) == Histogram((16, 17), (2,))


def test_one_long_row_does_not_squeeze_the_others_into_one_bar() -> None:
    lengths = Counter(dict.fromkeys(range(1, 200), 10))
    lengths[100_000] = 1
    shown = histogram(lengths)
    assert sum(shown.counts) == sum(lengths.values())
    assert len(shown.counts) > 15
    assert (shown.edges[-1], shown.counts[-1]) == (100_001, 1)


def test_nothing_measured_is_nothing_to_draw() -> None:
    assert histogram({}).counts == ()
    empty = report_json(DataReport(), 8, "sft")
    assert (empty["lengths"], empty["histogram"], empty["padding"], empty["ends"]) == (None, None, None, None)


def test_a_report_as_json_has_the_names_of_the_protocol() -> None:
    builder = ReportBuilder(100)
    builder.encoded(figures(40))
    builder.encoded(figures(200, labels_lost=25, end_lost=True))
    builder.bad(bad("empty_answer", 3))
    builder.bad(bad("roles_out_of_order", 4))
    found = report_json(builder.report(0.5), 8, "sft")
    assert (found["empty_answers"], found["roles_out_of_order"], found["rows_bad"]) == (1, 1, 2)
    assert found["bad"][0]["title"] == "empty answer"
    assert found["bad"][0]["examples"][0]["place"] == "rows.jsonl:3"
    assert found["ends"] == {"rows": 2, "with_end": 1, "share": 0.5}
    assert found["lengths"]["maximum"] == 200
    assert sum(found["histogram"]["counts"]) == 2
    assert found["padding"]["batch_size"] == 8
