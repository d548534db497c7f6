"""A report and its findings as JSON values, for `trimtab data check --json` and for the Data screen.

The names are those of docs/data-worker-protocol.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from trainer.config import Finding
from trainer.data.inspect_json import bad_row_json, reason_title
from trainer.data.report import DataReport


def report_json(report: DataReport, batch_size: int, stage: str) -> dict[str, Any]:
    """All figures of a report; `batch_size` is for the padding."""
    measured = bool(report.rows_by_length)
    histogram = report.histogram()
    share = report.with_end / report.rows_used if report.rows_used else None
    return {
        "rows_read": report.rows_read,
        "rows_used": report.rows_used,
        "rows_bad": report.rows_bad,
        "bad": [
            {
                "reason": item.reason,
                "title": reason_title(item.reason),
                "count": item.count,
                "examples": [bad_row_json(row) for row in item.examples],
            }
            for item in report.bad
        ],
        "sets": [
            {
                "name": item.name,
                "format": item.format,
                "files": list(item.files),
                "rows_read": item.rows_read,
                "rows_used": item.rows_used,
                "partial": item.is_partial,
            }
            for item in report.datasets
        ],
        "empty_answers": report.bad_of("empty_answer"),
        "roles_out_of_order": report.bad_of("roles_out_of_order"),
        "duplicates": report.duplicates,
        "typed_tokens": report.typed_tokens,
        "unlabelled": report.unlabelled,
        "unlabelled_by_cut": report.unlabelled_by_cut,
        "truncated": report.truncated,
        "dropped": report.dropped,
        "labels_lost": report.labels_lost,
        "ends_lost": report.ends_lost,
        "on_long_row": report.on_long_row,
        "cutoff_len": report.cutoff_len,
        "lengths": asdict(report.lengths) if measured else None,
        "histogram": {"edges": list(histogram.edges), "counts": list(histogram.counts)} if measured else None,
        "tokens": report.tokens,
        "trained_tokens": report.trained_tokens,
        "padding": {"batch_size": batch_size, **asdict(report.padding(batch_size))} if report.used_by_length else None,
        "ends": {"rows": report.rows_used, "with_end": report.with_end, "share": share} if measured else None,
        "kto": {"desirable": report.desirable, "undesirable": report.undesirable} if stage == "kto" else None,
        "seconds": round(report.seconds, 3),
    }


def finding_json(found: Finding) -> Mapping[str, Any]:
    """A finding as `trimtab check --json` prints it."""
    return {
        "id": found.id,
        "severity": found.severity,
        "fields": list(found.fields),
        "text": found.text,
        "values": found.values,
        "change": found.change,
    }
