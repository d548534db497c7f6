"""`trimtab data check`: every row read, rendered and tokenized as the trainer does it, and what came of it."""

from __future__ import annotations

from argparse import Namespace

from trainer.config import Recipe
from trainer.data.check import CheckedData, check_data
from trainer.data.inspect_json import reason_title
from trainer.data.lengths import Histogram
from trainer.data.report import BadRows, DataReport
from trainer.data.report_json import finding_json, report_json
from tui.commands import output
from tui.commands.check import SEVERITIES, print_findings
from tui.commands.data_recipe import recipe_of
from tui.commands.progress_bar import ProgressBar
from tui.locale import find, language, text

_BAR = "█"
_BAR_WIDTH = 40
# Rows shorter than this share of a cell still get a mark.
_LEAST_BAR = "▏"


def check_command(arguments: Namespace) -> int:
    """Check data sets and print the report; exit 1 when nothing usable is left or the policy says stop."""
    recipe = recipe_of(arguments)
    with ProgressBar() as bar:
        checked = check_data(recipe, progress=bar.show)
    if arguments.json:
        report = report_json(checked.report, recipe.train.per_device_train_batch_size, recipe.method.stage)
        output.print_json(
            {"ok": checked.good, **report, "findings": [finding_json(found) for found in checked.findings]}
        )
    else:
        print_report(checked, recipe)
    return 0 if checked.good else 1


def print_report(checked: CheckedData, recipe: Recipe) -> None:
    """Print the figures, the bad rows, the histogram and the findings."""
    report = checked.report
    facts = output.Facts()
    for item in report.datasets:
        sizes = text("data_commands.set_rows", used=f"{item.rows_used:,}", read=f"{item.rows_read:,}")
        named = f"{item.name}: {item.format}" if item.format else item.name
        facts.add(text("data_commands.fact_set"), named, sizes)
    counts = {"read": report.rows_read, "used": report.rows_used, "bad": report.rows_bad}
    facts.add(text("data_commands.fact_rows"), text("data_commands.rows", **_numbers(counts)))
    if report.rows_by_length:
        _add_figures(facts, report, recipe)
    facts.add(text("data_commands.fact_time"), _time(report))
    facts.print()
    if report.rows_by_length:
        print()
        print_histogram(report.histogram(), report.cutoff_len)
    if report.bad:
        print()
        _print_bad(report)
    others = [found for found in checked.findings if not found.id.startswith("data_bad_rows")]
    others.sort(key=lambda found: SEVERITIES.index(found.severity))
    if others:
        print()
        print_findings(others)
    print()
    print(output.paint(_verdict(checked), "green" if checked.good else "red"))


def _verdict(checked: CheckedData) -> str:
    report = checked.report
    if checked.good:
        return text("data_commands.check_good", used=f"{report.rows_used:,}")
    if not report.rows_used:
        return text("data_commands.check_bad")
    errors = sum(found.severity == "error" and found.id != "data_bad_rows" for found in checked.findings)
    if errors:
        return text("data_commands.check_refused", errors=f"{errors:,}")
    return text("data_commands.check_stops", bad=f"{report.rows_bad:,}")


def _add_figures(facts: output.Facts, report: DataReport, recipe: Recipe) -> None:
    lengths = report.lengths
    numbers = {"min": lengths.minimum, "median": lengths.median, "p95": lengths.p95, "p99": lengths.p99}
    facts.add(
        text("data_commands.fact_lengths"),
        text("data_commands.lengths", max=f"{lengths.maximum:,}", **_numbers(numbers)),
    )
    facts.add("cutoff_len", *_cut(report))
    if report.rows_used:
        share = _percent(report.trained_tokens, report.tokens)
        tokens = _numbers({"tokens": report.tokens, "trained": report.trained_tokens})
        facts.add(text("data_commands.fact_tokens"), text("data_commands.tokens", share=share, **tokens))
        batch_size = recipe.train.per_device_train_batch_size
        waste = report.padding(batch_size)
        facts.add(
            text("data_commands.fact_padding"),
            text("data_commands.padding", batch=batch_size, share=f"{waste.unpacked:.0%}"),
            text("data_commands.packed", share=f"{waste.packed:.0%}", sequences=f"{waste.sequences:,}"),
        )
        ends = _numbers({"count": report.with_end, "rows": report.rows_used})
        share = _percent(report.with_end, report.rows_used)
        facts.add(text("data_commands.fact_ends"), text("data_commands.ends", share=share, **ends))
    facts.add(text("data_commands.fact_empty"), f"{report.bad_of('empty_answer'):,}")
    facts.add(text("data_commands.fact_roles"), f"{report.bad_of('roles_out_of_order'):,}")
    facts.add(text("data_commands.fact_duplicates"), f"{report.duplicates:,}")
    facts.add(text("data_commands.fact_unlabelled"), f"{report.unlabelled:,}")
    if recipe.method.stage == "kto":
        classes = _numbers({"good": report.desirable, "bad": report.undesirable})
        facts.add("kto", text("data_commands.kto", **classes))


def _cut(report: DataReport) -> list[str]:
    over = report.dropped or report.truncated
    if not over:
        return [text("data_commands.nothing_cut", cutoff=f"{report.cutoff_len:,}")]
    lines = [text(f"data_commands.over_{report.on_long_row}", cutoff=f"{report.cutoff_len:,}", count=f"{over:,}")]
    if report.truncated and not report.dropped:
        lost = {"ends": report.ends_lost, "labels": report.labels_lost, "gone": report.unlabelled_by_cut}
        lines.append(text("data_commands.cut", **_numbers(lost)))
    return lines


def _time(report: DataReport) -> str:
    speed = report.rows_read / report.seconds if report.seconds else 0.0
    return text("data_commands.time", seconds=f"{report.seconds:.2f}", speed=f"{speed:,.0f}")


def _numbers(values: dict[str, int]) -> dict[str, str]:
    return {name: f"{value:,}" for name, value in values.items()}


def _percent(part: int, whole: int) -> str:
    """A share that says 100 % only when it is all."""
    share = part / whole if whole else 0.0
    return f"{min(share, 0.999):.1%}" if part < whole else "100%"


def print_histogram(histogram: Histogram, cutoff_len: int) -> None:
    """Print a bar for each range of lengths, with a line where `cutoff_len` cuts."""
    ranges = zip(histogram.edges, histogram.edges[1:], strict=False)
    labels = [f"{first:,}-{end - 1:,}" if end - 1 > first else f"{first:,}" for first, end in ranges]
    count_width = max((len(f"{count:,}") for count in histogram.counts), default=0)
    label_width = max(map(len, labels), default=0)
    room = max(min(output.terminal_width() - label_width - count_width - 3, _BAR_WIDTH), 1)
    most = max(histogram.counts, default=1)
    print(text("data_commands.histogram"))
    marked = False
    for label, first, count in zip(labels, histogram.edges, histogram.counts, strict=False):
        if not marked and first >= cutoff_len:
            _print_cutoff(label_width, room, cutoff_len)
            marked = True
        bar = _BAR * round(count / most * room) or (_LEAST_BAR if count else "")
        print(f"{label:>{label_width}} {count:>{count_width},} {bar}".rstrip())
    if not marked and cutoff_len < histogram.edges[-1]:
        _print_cutoff(label_width, room, cutoff_len)


def _print_cutoff(label_width: int, room: int, cutoff_len: int) -> None:
    mark = f"{cutoff_len:,}"
    line = f"{mark:>{label_width}} {'-' * max(room // 2, 4)} cutoff_len"
    print(output.paint(output.cut(line, output.terminal_width()), "yellow"))


def _print_bad(report: DataReport) -> None:
    print(text("data_commands.bad_rows"))
    for item in report.bad:
        head = f"{item.count:,} x {title_of(item)}"
        print(output.paint(f"  {head}", "yellow"))
        for row in item.examples:
            _print_wrapped(f"{row.source}: {row.text}")
        if item.count > len(item.examples):
            _print_wrapped(text("data_commands.and_more", count=f"{item.count - len(item.examples):,}"))
        for hint in dict.fromkeys(row.hint for row in item.examples):
            _print_wrapped(text("data_commands.remedy", hint=hint))


def title_of(item: BadRows) -> str:
    """The title of a reason in the language in force."""
    own = find(f"reasons.{item.reason}") if language() != "en" else None
    return own or reason_title(item.reason)


def _print_wrapped(line: str) -> None:
    for part in output.wrap(line, min(output.terminal_width(), 120) - 4):
        print(f"    {part}")
