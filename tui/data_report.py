"""The report of a check as rows for a list: facts, histogram, rows left out, advice. Pure; reads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.cells import cell_len, set_cell_size

from tui.data_answers import Example, Report
from tui.forms.explain import change_text, finding_text
from tui.locale import text
from tui.widgets.glyphs import ascii_only
from tui.widgets.histogram import histogram_rows
from tui.widgets.measures import count
from tui.widgets.row_list import ListRow
from tui.widgets.wrapping import wrapped

BAD = "bad"
"""Keys of rows that show an example: `bad:<number of the reason>:<number of the example>`."""
_SIGNS = {"error": "!", "warning": "?", "info": "i"}
_ROLES = {"error": "error", "warning": "warning", "info": "muted"}
_COUNTED = (
    "duplicates",
    "unlabelled",
    "unlabelled_by_cut",
    "truncated",
    "dropped",
    "labels_lost",
    "ends_lost",
)
"""Counts that are told when they are not zero; rows that are bad for a reason are listed by it."""


def report_rows(report: Report, width: int) -> list[ListRow]:
    """All of a report, in rows of at most `width` cells."""
    return list(_Teller(report, max(12, width)).rows())


def example_of(report: Report, key: str) -> Example | None:
    """The bad row that a row of the list stands for."""
    kind, _, place = key.partition(":")
    if kind != BAD:
        return None
    reason, _, number = place.partition(":")
    return report.bad[int(reason)].examples[int(number)]


class _Teller:
    def __init__(self, report: Report, width: int) -> None:
        self._report = report
        self._width = width

    def rows(self) -> Iterator[ListRow]:
        report = self._report
        yield from self._verdict()
        for finding in report.findings:
            sign, role = _SIGNS.get(finding.severity, "i"), _ROLES.get(finding.severity, "muted")
            yield from self._said(f"{sign} {finding_text(finding)}", role)
            if finding.change:
                yield from self._said(f"  f  {text('data_screen.fix_with', change=change_text(finding))}", f"*{role}")
        if len(report.sets) > 1:
            yield from self._head("data_screen.report_sets")
            for one in report.sets:
                used = text("data_screen.report_used", used=count(one.rows_used), read=count(one.rows_read))
                partial = text("data_screen.report_partial") if one.partial else ""
                yield from self._fact(one.name, f"{used}  {one.format}  {partial}".rstrip())
        yield from self._lengths()
        yield from self._tokens()
        yield from self._left_out()

    def _verdict(self) -> Iterator[ListRow]:
        report = self._report
        said = text("data_screen.report_used", used=count(report.rows_used), read=count(report.rows_read))
        if report.rows_bad:
            said += " · " + text("data_screen.report_bad", rows=count(report.rows_bad))
        said += f" · {report.seconds:.1f} s"
        role = "error" if not report.ok else "warning" if report.rows_bad else "success"
        yield from self._said(f"{'!' if not report.ok else '?' if report.rows_bad else '+'} {said}", f"*{role}")
        if not report.ok:
            yield from self._said(text("data_screen.report_stops"), "error")

    def _lengths(self) -> Iterator[ListRow]:
        report = self._report
        if report.lengths is None:
            return
        yield from self._head("data_screen.report_lengths")
        words = [
            f"{text(f'data_screen.length_{name}')} {count(report.lengths[name])}"
            for name in ("minimum", "median", "p95", "p99", "maximum")
            if name in report.lengths
        ]
        yield from self._said("   ".join(words), "foreground")
        longer = report.counts.get("truncated", 0) + report.counts.get("dropped", 0)
        for row in histogram_rows(report.edges, report.bins, report.cutoff_len, longer, self._width):
            yield ListRow("", row)

    def _tokens(self) -> Iterator[ListRow]:
        report = self._report
        tokens, learned = report.counts.get("tokens", 0), report.counts.get("trained_tokens", 0)
        facts: list[tuple[str, str]] = []
        if tokens:
            share = f"{100 * learned / tokens:.0f}"
            facts.append(
                ("epoch", text("data_screen.fact_epoch_is", tokens=count(tokens), learned=count(learned), share=share))
            )
        if report.padding_unpacked is not None:
            facts.append(
                (
                    "padding",
                    text(
                        "data_screen.fact_padding_is",
                        unpacked=f"{report.padding_unpacked * 100:.0f}",
                        batch=report.batch_size,
                        packed=f"{(report.padding_packed or 0.0) * 100:.1f}",
                        sequences=count(report.sequences),
                    ),
                )
            )
        if report.answers:
            facts.append(
                (
                    "ends",
                    text(
                        "data_screen.fact_ends_is", ends=count(report.answers_with_end), answers=count(report.answers)
                    ),
                )
            )
        if report.desirable is not None:
            good, bad = count(report.desirable), count(report.undesirable or 0)
            facts.append(("judged", text("data_screen.fact_judged_is", desirable=good, undesirable=bad)))
        facts += [(name, count(report.counts[name])) for name in _COUNTED if report.counts.get(name)]
        if facts:
            yield from self._head("data_screen.report_tokens")
        for name, said in facts:
            yield from self._fact(text(f"data_screen.fact_{name}"), said)

    def _left_out(self) -> Iterator[ListRow]:
        report = self._report
        if not report.bad:
            return
        yield from self._head("data_screen.report_left_out")
        for number, reason in enumerate(report.bad):
            yield from self._said(f"{count(reason.count)}  {reason.title}", "*warning")
            for at, one in enumerate(reason.examples):
                words = f"  {one.place.replace(one.file, Path(one.file).name)}  {one.text}"
                yield ListRow(f"{BAD}:{number}:{at}", ((_fit(words, self._width), "foreground"),))
            if reason.examples and reason.examples[0].hint:
                yield from self._said(f"  {reason.examples[0].hint}", "muted")

    def _head(self, key: str) -> Iterator[ListRow]:
        rule = "-" if ascii_only() else "─"
        title = _fit(text(key), self._width)
        yield ListRow("", ())
        yield ListRow("", ((f"{title} ", "*primary"), (rule * max(0, self._width - cell_len(title) - 1), "faint")))

    def _fact(self, name: str, said: str) -> Iterator[ListRow]:
        room = min(24, self._width // 2)
        first, *more = wrapped(said, "foreground", max(8, self._width - room))
        yield ListRow("", ((set_cell_size(name, room), "muted"), *first))
        for row in more:
            yield ListRow("", ((" " * room, "muted"), *row))

    def _said(self, words: str, role: str) -> Iterator[ListRow]:
        for row in wrapped(words, role, self._width):
            yield ListRow("", row)


def _fit(words: str, room: int) -> str:
    if cell_len(words) <= room:
        return words
    return set_cell_size(words, max(0, room - 1)) + ("~" if ascii_only() else "…")
