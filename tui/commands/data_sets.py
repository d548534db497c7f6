"""`trimtab data list` and `show`: which data sets there are, what their rows look like, what they can be used for."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from trainer.data.formats import RowFormat, fits, row_format, stages_for
from trainer.data.hub import NotDownloadedError, entry_files
from trainer.data.inspect_json import format_json, listing_json, problem_json
from trainer.data.inspect_sets import ListedSet, list_sets, sample_rows, total_size
from trainer.data.messages import BadRow, RawRow
from trainer.data.pipeline import locate
from trainer.data.registry import DatasetEntry
from trainer.data.registry.remote_names import ONLINE
from trainer.data.sources import read_rows
from trainer.errors import UserError
from tui.commands import output
from tui.commands.data_recipe import number_of, stage_of
from tui.locale import text

_ROWS_SHOWN = 3
_LINES_OF_A_VALUE = 6
_UNITS = ("B", "kB", "MB", "GB", "TB")


def list_command(arguments: Namespace) -> int:
    """List the registered data sets of a folder, and say which ones the stage can use."""
    stage = stage_of(arguments.stage)
    listing = list_sets(arguments.dir or "data", stage)
    if not listing.sets and listing.problems:
        raise UserError("; ".join(listing.problems))
    if listing.info_file is None and str(listing.folder) != ONLINE and not listing.folder.is_dir():
        raise UserError(
            text("data_commands.no_folder"), file=arguments.dir, hint=text("data_commands.no_registry_hint")
        )
    if arguments.json:
        output.print_json(listing_json(listing))
        return 0
    for problem in listing.problems:
        print(f"{output.paint(text('command_line.severity_error'), 'red')}: {problem}")
    if not listing.sets:
        print(text("data_commands.nothing_registered", folder=listing.folder))
        return 0
    table = output.Table([text(f"data_commands.column_{name}") for name in ("set", "use", "size", "format")])
    for item in listing.sets:
        table.add(item.name, _use(item, stage), size_text(item.size), _format_text(item))
    table.print()
    print(output.paint(text("data_commands.list_of", folder=listing.folder, stage=stage), "dim"))
    return 0


def _use(item: ListedSet, stage: str) -> str:
    if item.problem is not None:
        return text("data_commands.use_broken")
    if item.format is None:
        return text("data_commands.use_not_here")
    return text("data_commands.use_fits", stage=stage) if item.unfit is None else "/".join(item.stages)


def _format_text(item: ListedSet) -> str:
    if item.problem is not None:
        return item.problem
    return item.source if item.format is None else item.format.describe()


def size_text(size: int | None) -> str:
    """Bytes as `12 kB`; nothing when they are not known."""
    if size is None:
        return ""
    amount, unit = float(size), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if amount >= 10 or not unit else f"{amount:.1f} {_UNITS[unit]}"


def show_command(arguments: Namespace) -> int:
    """Tell what one data set is, how its rows are read, and print some of them as they stand in the file."""
    count = number_of("--rows", arguments.rows, _ROWS_SHOWN)
    first = number_of("--from", getattr(arguments, "from"), 1)
    stage = stage_of(arguments.stage)
    entry = _entry(arguments)
    found = row_format(entry, sample_rows(entry.files), None)
    rows = list(islice(_rows(entry), first - 1, first - 1 + count))
    if arguments.json:
        output.print_json(
            {
                "set": entry.name,
                "files": entry.files,
                "size": total_size(entry.files),
                "format": format_json(found),
                "columns": found.found,
                "stages": stages_for(found),
                "unfit": fits(found, stage),
                "rows": [_row_json(row) for row in rows],
            }
        )
        return 0
    _print_head(entry, found, stage)
    for row in rows:
        print()
        print_raw(row)
    if not rows:
        raise UserError(text("data_commands.no_such_row", row=first), field="--from", value=first)
    return 0


def _entry(arguments: Namespace) -> DatasetEntry:
    """The data set with its files on this machine.

    Raises: UserError when it is not known, or not here and not to be fetched.
    """
    entry = locate(arguments.set, arguments.dir or "data")

    def fetching(file: str, number: int, count: int) -> None:
        print(text("data_commands.downloading", file=file, number=number, count=count), file=sys.stderr)

    try:
        files = entry_files(entry, download=arguments.download, progress=fetching)
    except NotDownloadedError as error:
        words = output.as_words(entry.name, dataset_dir=arguments.dir)
        hint = text("data_commands.not_downloaded_hint", words=words)
        raise UserError(text("data_commands.not_downloaded", source=entry.hub), hint=hint) from error
    return replace(entry, files=files)


def _rows(entry: DatasetEntry) -> Iterator[RawRow | BadRow]:
    return (row for file in entry.files for row in read_rows(file))


def _row_json(row: RawRow | BadRow) -> dict[str, Any]:
    source = row.source
    place = {"file": source.file, "row": source.row, "line": source.line}
    if isinstance(row, BadRow):
        return {**place, "value": None, "problem": problem_json(row)}
    return {**place, "value": row.value, "problem": None}


def _print_head(entry: DatasetEntry, found: RowFormat, stage: str) -> None:
    print(output.paint(entry.name, "bold"))
    table = output.Facts()
    files = [str(file) for file in entry.files]
    more = [] if len(files) <= _ROWS_SHOWN else [text("data_commands.more_files", count=len(files) - _ROWS_SHOWN)]
    size = text("data_commands.total_size", size=size_text(total_size(entry.files)))
    table.add(text("data_commands.fact_files"), *files[:_ROWS_SHOWN], *more, size)
    table.add(text("data_commands.fact_format"), found.describe())
    usage = text("data_commands.for_stages", stages=", ".join(stages_for(found)))
    table.add(text("data_commands.fact_use"), fits(found, stage) or usage)
    for one in found.mapping:
        if one.is_present and (not one.is_tag):
            origin = "" if not one.is_detected else text("data_commands.detected")
            table.add(one.key, f"{one.name} {origin}".strip())
    if found.unused:
        table.add(text("data_commands.fact_unused"), ", ".join(found.unused))
    table.print()


def print_raw(row: RawRow | BadRow) -> None:
    """Print a row as it stands in the file, long values shortened; a bad one with what is wrong."""
    print(output.paint(str(row.source), "cyan"))
    if isinstance(row, BadRow):
        print(f"{output.paint(text('command_line.severity_error'), 'red')}: {row.text}. {row.hint}")
        return
    for name, value in row.value.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        print_shortened(f"{name}: ", shown)


def print_shortened(label: str, value: str) -> None:
    """Print a value under its label, a few lines of it."""
    label, value = output.harmless(label), output.harmless(value)
    width = min(output.terminal_width(), 120)
    limit = _LINES_OF_A_VALUE * width
    lines = [line for part in value[:limit].splitlines() for line in output.wrap(part, width - 2) or [""]]
    if output.cells(label) + output.cells(value[:limit]) <= width and len(lines) <= 1:
        print(output.paint(label, "bold") + "".join(lines))
        return
    print(output.paint(label.rstrip(), "bold"))
    for line in lines[:_LINES_OF_A_VALUE]:
        print(f"  {line}")
    shown = sum(len(line) for line in lines[:_LINES_OF_A_VALUE])
    if len(lines) > _LINES_OF_A_VALUE or len(value) > limit:
        print("  " + output.paint(text("data_commands.more_characters", count=f"{len(value) - shown:,}"), "dim"))
