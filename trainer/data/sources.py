"""Reads JSON arrays and JSON lines row by row, knowing the line of each. Not for what the rows mean (`formats`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainer.data.messages import BadRow, RawRow, SourceReference
from trainer.errors import UserError

SUFFIXES = (".json", ".jsonl")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = " \t\r\n"


def read_rows(path: Path) -> Iterator[RawRow | BadRow]:
    """All rows of a `.json` or `.jsonl` file in order; a row that is no JSON object comes as a `BadRow`.

    JSON lines are streamed; an array is held as text while it is read. A `.json` file whose first character is not
    `[` is read as JSON lines, because many files of that name are.

    Raises: UserError when the file cannot be opened or holds no row at all.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"files of type {path.suffix or 'no extension'!r} cannot be read",
            file=path,
            hint="Use .json (an array of rows) or .jsonl (one row a line)",
        )
    try:
        is_array = path.suffix.lower() == ".json" and _first_character(path) == b"["
        rows = _read_array(path) if is_array else _read_lines(path)
        empty = True
        for row in rows:
            empty = False
            yield row
    except OSError as error:
        raise UserError(error.strerror or str(error), file=path, hint="Check the path and its permissions") from error
    if empty:
        raise UserError("the file holds no rows", file=path, hint="Put one JSON object a row into it")


def _first_character(path: Path) -> bytes:
    with path.open("rb") as stream:
        head = stream.read(4096).removeprefix(_BYTE_ORDER_MARK)
        while head and not head.strip():
            head = stream.read(4096)
    return head.strip()[:1]


def _read_lines(path: Path) -> Iterator[RawRow | BadRow]:
    file = str(path)
    row = 0
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            line = raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw
            if not line.strip():
                continue
            row += 1
            source = SourceReference(file, row, number)
            try:
                value = json.loads(line.rstrip(b"\r\n").decode("utf-8"))
            except UnicodeDecodeError as error:
                yield _not_utf8(source, error)
            except json.JSONDecodeError as error:
                yield BadRow(
                    "invalid_json",
                    f"not valid JSON: {error.msg} (column {error.colno})",
                    "Each line must hold one whole JSON object",
                    source,
                )
            except RecursionError:
                yield _too_deep(source)
            else:
                yield _as_row(value, source)


def _read_array(path: Path) -> Iterator[RawRow | BadRow]:
    file = str(path)
    data = path.read_bytes().removeprefix(_BYTE_ORDER_MARK)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        yield _not_utf8(SourceReference(file, 0, line), error, fatal=True)
        return
    del data
    decode = json.JSONDecoder().raw_decode
    position = _skip_space(text, text.index("[") + 1)
    if text.startswith("]", position):
        return
    row, line, counted = 0, 1, 0
    while True:
        row += 1
        line += text.count("\n", counted, position)
        counted = position
        source = SourceReference(file, row, line)
        try:
            value, end = decode(text, position)
        except json.JSONDecodeError as error:
            yield _broken_array(source, error)
            return
        except RecursionError:
            yield _too_deep(source, fatal=True)
            return
        yield _as_row(value, source)
        position = _skip_space(text, end)
        if text.startswith("]", position):
            return
        if not text.startswith(",", position):
            missing = "the array is not closed" if position >= len(text) else "a comma is missing between two rows"
            place = SourceReference(file, row, line + text.count("\n", counted, position))
            hint = "The rows after it cannot be read; mend it or use .jsonl"
            yield BadRow("invalid_json", f"not valid JSON: {missing}", hint, place, fatal=True)
            return
        position = _skip_space(text, position + 1)
        if text.startswith("]", position):
            place = SourceReference(file, row, line + text.count("\n", counted, position))
            hint = "Remove the comma; all rows were read"
            yield BadRow("invalid_json", "not valid JSON: a comma stands after the last row", hint, place, fatal=True)
            return


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _as_row(value: Any, source: SourceReference) -> RawRow | BadRow:
    if isinstance(value, dict):
        return RawRow(value, source)
    kind = type(value).__name__
    return BadRow("not_an_object", f"the row is a JSON {kind}, not an object", 'Write {"instruction": ...}', source)


def _not_utf8(source: SourceReference, error: UnicodeDecodeError, *, fatal: bool = False) -> BadRow:
    byte = error.object[error.start]
    text = f"not UTF-8 text (byte 0x{byte:02x})"
    return BadRow("invalid_encoding", text, "Save the file as UTF-8 (iconv -f GBK -t UTF-8)", source, fatal)


def _too_deep(source: SourceReference, *, fatal: bool = False) -> BadRow:
    return BadRow("invalid_json", "nested too deeply", "Flatten the row", source, fatal)


def _broken_array(source: SourceReference, error: json.JSONDecodeError) -> BadRow:
    place = SourceReference(source.file, source.row, error.lineno)
    text = f"not valid JSON: {error.msg} (column {error.colno}, in row {source.row})"
    return BadRow("invalid_json", text, "The rows after it cannot be read; mend it or use .jsonl", place, fatal=True)
