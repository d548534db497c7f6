"""`trimtab data preview` and `encode`: one row in all ways of looking at it; all rows as the trainer gets them."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from trainer.data.check import data_tokenizer
from trainer.data.encoded_row import text_of
from trainer.data.hub import NotDownloadedError, entry_files
from trainer.data.inspect_json import problem_json
from trainer.data.inspect_row import RowPart, RowView
from trainer.data.inspect_set import OpenedSet, open_set
from trainer.data.pipeline import PipelineOptions, encode_datasets, locate
from trainer.data.registry import split_names
from trainer.errors import UserError
from tui.commands import output
from tui.commands.data_recipe import number_of, recipe_of
from tui.commands.progress_bar import ProgressBar
from tui.locale import text

_TOKENS_SHOWN = 600
_CHARACTERS_SHOWN = 6000
_SEARCH_SECONDS = 1.0
_MARKS = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t", " ": "␣"})


def preview_command(arguments: Namespace) -> int:
    """Show one row raw, rendered and as tokens; exit 1 when it is not trained on."""
    recipe = recipe_of(arguments)
    names = split_names(recipe.data.dataset)
    if len(names) != 1:
        raise UserError(text("data_commands.expected_one_set", count=len(names)))
    opened = open_set(names[0], recipe)
    view = _view(opened, number_of("--row", arguments.row, 1))
    if arguments.json:
        output.print_json(_view_json(opened, view))
    else:
        _print_view(opened, view, ids=arguments.ids)
    if view.problem is None and opened.no_tokens is not None:
        raise UserError(opened.no_tokens)
    return 0 if view.problem is None else 1


def _view(opened: OpenedSet, number: int) -> RowView:
    """The row of this number, counted from 1.

    Raises: UserError when there are fewer.
    """
    while opened.rows.known < number and not opened.rows.extend(_SEARCH_SECONDS):
        pass
    view = opened.view(number - 1)
    if view is None:
        raise UserError(text("data_commands.no_such_row", row=number), field="--row", value=number)
    return view


def _view_json(opened: OpenedSet, view: RowView) -> dict[str, object]:
    return {
        "set": opened.name,
        "file": view.source.file,
        "row": view.source.row,
        "line": view.source.line,
        "raw": view.raw,
        "problem": None if view.problem is None else problem_json(view.problem),
        "parts": {
            name: {
                "text": part.text,
                "answers": part.answers,
                "tokens": [
                    [opened.token(identifier), identifier, int(label == identifier)]
                    for identifier, label in zip(part.ids, part.labels, strict=True)
                ],
                "trained": part.trained,
            }
            for name, part in view.parts.items()
        },
        "full_length": view.full_length,
        "cut": view.is_cut,
        "end_lost": view.end_lost,
        "has_end": view.has_end,
        "tag": view.tag,
    }


def _print_view(opened: OpenedSet, view: RowView, *, ids: bool) -> None:
    _print_heading(text("data_commands.part_raw"))
    print(output.paint(str(view.source), "cyan"))
    _print_rendered(RowPart(view.raw, ()))
    for name, part in view.parts.items():
        _print_heading(text(f"data_commands.part_{name}"))
        _print_rendered(part)
        if part.ids:
            kept = {"total": f"{len(part.ids):,}", "trained": f"{part.trained:,}"}
            counts = text("data_commands.token_counts", **kept)
            if view.is_cut:
                cut = {"total": f"{view.full_length:,}", "kept": kept["total"], "trained": kept["trained"]}
                counts = text("data_commands.token_cut", **cut)
            _print_heading(f"{text('data_commands.part_tokens')}: {counts}")
            _print_tokens(opened, part, ids=ids)
    notes = []
    if view.tag is not None:
        notes.append(text("data_commands.tag_good" if view.tag else "data_commands.tag_bad"))
    notes += [text("data_commands.end_lost")] if view.end_lost else []
    notes += [] if view.has_end else [text("data_commands.no_end")]
    if view.problem is not None:
        label = output.paint(text("command_line.severity_error"), "red")
        notes.append(f"{label}: {view.problem.text}. {view.problem.hint}")
    for note in notes:
        print()
        print(note)


def _print_heading(words: str) -> None:
    print()
    print(output.paint(f"--- {words}", "cyan"))


def _print_rendered(part: RowPart) -> None:
    """The text with its answers green; a very long one is cut."""
    position = 0
    shown = part.text[:_CHARACTERS_SHOWN]
    parts: list[str] = []
    for first, end in part.answers:
        parts += (output.harmless(shown[position:first]), *_painted(shown[first:end]))
        position = end
    parts.append(output.harmless(shown[position:]))
    print("".join(parts).rstrip("\n"))
    if len(part.text) > len(shown):
        print(output.paint(text("data_commands.more_characters", count=f"{len(part.text) - len(shown):,}"), "dim"))


def _painted(words: str) -> list[str]:
    """Line by line, so that a pager or a cut line does not lose the colour."""
    lines = output.harmless(words).splitlines(keepends=True)
    return [output.paint(line, "green") if line.strip() else line for line in lines]


def _print_tokens(opened: OpenedSet, part: RowPart, *, ids: bool) -> None:
    """Tokens with "|" between them; runs that are learned stand in brackets."""
    width = min(output.terminal_width(), 120)
    line, used, was_trained = "", 0, False
    for number, identifier in enumerate(part.ids[:_TOKENS_SHOWN]):
        is_trained = part.labels[number] == identifier
        ends = is_trained and (number + 1 == len(part.ids) or part.labels[number + 1] != part.ids[number + 1])
        word = output.harmless(opened.token(identifier).translate(_MARKS)) + (f":{identifier}" if ids else "")
        word = f"{'' if was_trained or not is_trained else '['}{word}{']' if ends else '|'}"
        if used and used + output.cells(word) > width:
            print(line)
            line, used = "", 0
        line += output.paint(word, "green") if is_trained else word
        used += output.cells(word)
        was_trained = is_trained
    print(line)
    if len(part.ids) > _TOKENS_SHOWN:
        print(output.paint(text("data_commands.more_tokens", count=f"{len(part.ids) - _TOKENS_SHOWN:,}"), "dim"))


def encode_command(arguments: Namespace) -> int:
    """Write the token ids and labels of all rows, one JSON object a line; exit 1 when there are none."""
    recipe = recipe_of(arguments)
    names, options = split_names(recipe.data.dataset), PipelineOptions.of(recipe)
    tokenizer = data_tokenizer(recipe)
    file = _output_file(arguments.output, names, options.dataset_dir)
    with ProgressBar() as bar:
        encoded = encode_datasets(names, tokenizer, options, lambda done, total: bar.show(names[0], done, total))
    with _destination(file) as stream:
        for example in encoded.rows:
            values: dict[str, object] = dict(example.columns)
            if "expected" in example.columns:
                values["expected"] = text_of(example.columns["expected"])
            if example.kto_tag is not None:
                values["kto_tag"] = example.kto_tag
            source = example.source
            values |= {"file": source.file, "row": source.row, "line": source.line}
            stream.write(json.dumps(values, ensure_ascii=True, separators=(",", ":")) + "\n")
    report = encoded.report
    if arguments.output is not None:
        left = report.rows_read - report.rows_used - report.rows_bad
        counts = {"rows": f"{report.rows_used:,}", "bad": f"{report.rows_bad:,}", "left": f"{left:,}"}
        print(text("data_commands.encoded", file=arguments.output, **counts))
    return 0 if report.rows_used else 1


def _output_file(name: str | None, sets: Sequence[str], dataset_dir: str) -> Path | None:
    """The file to write, which may be a device or a pipe; None: standard output.

    Raises: UserError for one that cannot be written, before the work of encoding, and for one that the rows are in.
    """
    if name is None or name == "-":
        return None
    hint = text("data_commands.output_hint")
    # What a device's link leads to may have no path; a link to a file is kept, and the file behind it replaced.
    file = Path(name) if _is_device(Path(name)) else Path(os.path.realpath(name))
    if not file.parent.is_dir():
        raise UserError(text("data_commands.no_folder"), file=file.parent, hint=hint)
    if file.is_dir():
        raise UserError(text("data_commands.output_is_folder"), file=name, hint=hint)
    if file.is_file() and any(source.samefile(file) for source in _sources(sets, dataset_dir)):
        raise UserError(text("data_commands.output_is_source"), file=name, hint=hint)
    if not os.access(file if _is_device(file) else file.parent, os.W_OK):
        raise UserError(text("data_commands.output_not_writable"), file=name, hint=hint)
    return file


def _is_device(file: Path) -> bool:
    return file.exists() and not file.is_file() and not file.is_dir()


@contextmanager
def _destination(file: Path | None) -> Iterator[IO[str]]:
    """Standard output, or a file that is whole or not there; a device or pipe is written as it is.

    Raises: UserError when it cannot be written to the end.
    """
    if file is None:
        yield sys.stdout
        return
    is_device = _is_device(file)
    staging = file if is_device else file.with_name(f".{file.name}.partial")
    try:
        with staging.open("w", encoding="utf-8") as stream:
            yield stream
        if not is_device:
            staging.replace(file)
    except BrokenPipeError:
        raise
    except OSError as error:
        hint = text("data_commands.output_hint")
        raise UserError(error.strerror or str(error), file=file, hint=hint) from error
    finally:
        if not is_device:
            staging.unlink(missing_ok=True)


def _sources(sets: Sequence[str], dataset_dir: str) -> Iterator[Path]:
    """The files on this machine that the rows are read from."""
    for name in sets:
        with suppress(NotDownloadedError):
            yield from (file for file in entry_files(locate(name, dataset_dir), download=False) if file.exists())
