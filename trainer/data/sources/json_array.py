"""Rows of JSON that spans lines: an array of any size, or objects one after the other, read piece by piece.

After damage in a row the reading goes on with the next row that begins like the damaged one, if rows begin on lines of
their own. Not for JSON lines (`json_lines`).
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from trainer.data.messages import BadRow, RawRow, SourceReference
from trainer.data.sources.json_text import (
    TOO_LONG_NUMBER,
    DuplicateKeyError,
    decode,
    decode_any,
    duplicate_key,
    in_words,
    is_cut_off,
    not_an_object,
    not_utf8,
)

_SPACE = re.compile(r"[ \t\r\n]*")
_KEY = re.compile(r'\{\s*("(?:[^"\\]|\\.){1,200}")')
_RAW_BYTE = re.compile("[\udc80-\udcff]")
_BLOCK = 1 << 20
_LONGEST_BEGINNING = 4096
_LONGEST_FIRST_LINE = 1 << 24
_REST_LOST = "The rows after it cannot be read; mend it or use .jsonl"


def begins_with_document(stream: BinaryIO, kind: str) -> bool:
    """Whether a `.json` or `.jsonl` file is an array or holds rows over several lines; the position stays as it is.

    Many `.json` files are JSON lines, and some `.jsonl` files an array.
    """
    start = stream.tell()
    try:
        first = _line(stream)
        is_whole = _is_json(first)
        if first.startswith(b"["):
            # In JSON lines a row that is an array is a bad row; but a file that is one array was only misnamed.
            is_array = not _line(stream) if is_whole else first == b"[" or first.startswith(b"[{")
            return kind == ".json" or is_array
        return kind == ".json" and first.startswith(b"{") and not is_whole and not _line(stream).startswith(b"{")
    finally:
        stream.seek(start)


def _is_json(line: bytes) -> bool:
    try:
        return decode_any(line.decode("utf-8", "replace"))[1] > 0
    except (ValueError, RecursionError):
        return False


def _line(stream: BinaryIO) -> bytes:
    """The next line that is not blank, without the space around it; of an endless line its beginning."""
    while line := stream.readline(_LONGEST_FIRST_LINE):
        if not line.isspace():
            return line.strip()
    return b""


def scan_json(stream: BinaryIO, file: str) -> Iterator[tuple[int, RawRow | BadRow]]:
    """Each row with the byte at which it begins."""
    scanner = _Scanner(stream, file)
    scanner.skip_space()
    return scanner.array() if scanner.at("[") else scanner.documents()


class _Scanner:
    """A window of text that moves over the file, and the place of its position in lines and bytes."""

    def __init__(self, stream: BinaryIO, file: str) -> None:
        self._stream = stream
        self._file = file
        # Bytes that are no UTF-8 come as lone surrogates, so that they spoil one row and not the file.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._has_raw_bytes = False
        self._text = ""
        self._window_column = 1
        self._position = 0
        self._byte = stream.tell()
        self._line = 1
        self._row = 0
        self._is_at_row = False

    def array(self) -> Iterator[tuple[int, RawRow | BadRow]]:
        """The rows of an array whose bracket is at the position."""
        self._advance(self._position + 1)
        self.skip_space()
        if self.at("]"):
            return
        while True:
            row = self._next_row()
            yield row
            if isinstance(row[1], BadRow) and row[1].fatal:
                return
            if self._is_at_row:
                continue
            self.skip_space()
            if self.at(","):
                self._advance(self._position + 1)
                self.skip_space()
                if self.at("]"):
                    hint = "Remove the comma; all rows were read"
                    yield self._problem("not valid JSON: a comma stands after the last row", hint, fatal=True)
                    return
            elif self.at("]"):
                self._advance(self._position + 1)
                self.skip_space()
                if self._position < len(self._text):
                    hint = "Move the rows after the bracket into the array"
                    yield self._problem("not valid JSON: more text after the end of the array", hint, fatal=True)
                return
            elif self.at("{"):
                hint = "Put a comma after each row; the rows around it were read"
                yield self._problem("not valid JSON: a comma is missing between two rows", hint)
            else:
                is_end = self._position >= len(self._text)
                missing = "the array is not closed" if is_end else "a comma is missing between two rows"
                hint = "Put ] at the end, or find out what cut the file off" if is_end else _REST_LOST
                yield self._problem(f"not valid JSON: {missing}", hint, fatal=True)
                return

    def documents(self) -> Iterator[tuple[int, RawRow | BadRow]]:
        """Rows that follow each other with nothing but white space (or commas) between them."""
        while self._position < len(self._text):
            row = self._next_row()
            yield row
            if isinstance(row[1], BadRow) and row[1].fatal:
                return
            self.skip_space()
            if self.at(","):
                self._advance(self._position + 1)
                self.skip_space()

    def at(self, character: str) -> bool:
        """Whether the text goes on with this character."""
        return self._text.startswith(character, self._position)

    def skip_space(self) -> None:
        """Move to the next character that is no white space, or to the end of the file."""
        while True:
            match = _SPACE.match(self._text, self._position)
            self._advance(match.end() if match else self._position)
            if self._position < len(self._text) or not self._fill():
                return

    def _next_row(self) -> tuple[int, RawRow | BadRow]:
        """The row at the position, which moves behind it; after damage to where the reading can go on."""
        self._row += 1
        self._is_at_row = False
        source = SourceReference(self._file, self._row, self._line)
        byte = self._byte
        row: RawRow | BadRow
        try:
            value, end = self._value(decode)
            row = RawRow(value, source) if type(value) is dict else not_an_object(value, source)
        except DuplicateKeyError as error:
            try:
                end = self._value(decode_any)[1]
            except (ValueError, RecursionError) as damage:
                return byte, self._damaged(source, damage)
            row = duplicate_key(error, source)
        except (ValueError, RecursionError) as error:
            return byte, self._damaged(source, error)
        if self._has_raw_bytes and (raw := _RAW_BYTE.search(self._text, self._position, end)):
            self._advance(raw.start())
            row = not_utf8(replace(source, line=self._line), ord(raw.group()) - 0xDC00)
        self._advance(end)
        return byte, row

    def _value(self, decoder: Any) -> tuple[Any, int]:
        """What the decoder makes of the text at the position, with as much more text as it needs."""
        while True:
            try:
                value, end = decoder(self._text, self._position)
            except json.JSONDecodeError as error:
                if is_cut_off(self._text, error) and self._fill():
                    continue
                raise
            if end == len(self._text) and type(value) in (int, float) and self._fill():
                continue
            return value, int(end)

    def _damaged(self, source: SourceReference, error: ValueError | RecursionError) -> BadRow:
        """The bad row for the text at the position; moves on to the next row that begins in the same way."""
        text, hint, line = "nested too deeply", "Flatten the row", self._line
        if isinstance(error, json.JSONDecodeError):
            line += self._text.count("\n", self._position, error.pos)
            text = f"not valid JSON: {in_words(error, self._column(error.pos))} (row {source.row})"
            hint = "Mend this place"
            if error.pos < len(self._text) and self._text[error.pos] == "\0":
                text = f"null bytes (0x00) in row {source.row}"
                hint = "A full disk or a crash does this to files: remove them, or write the file again"
            elif is_cut_off(self._text, error):
                hint = "The file was cut off here: complete the row, or remove it and close the array"
        elif not isinstance(error, RecursionError):
            text, hint = TOO_LONG_NUMBER, "Write long numbers as strings"
        is_last = not self._go_to_next_row()
        if is_last and "cut off" not in hint:
            hint = f"{hint}. {_REST_LOST}"
        return BadRow("invalid_json", text, hint, replace(source, line=line), fatal=is_last)

    def _go_to_next_row(self) -> bool:
        """Move to the next line that begins like the row at the position: same indentation, same first key."""
        key = _KEY.match(self._text, self._position)
        indent = self._indentation()
        if key is None or indent is None:
            return False
        like_this = re.compile(rf"\n{indent}(?=\{{\s*{re.escape(key.group(1))})")
        while True:
            match = like_this.search(self._text, self._position)
            if match is not None:
                self._advance(match.end())
                self._is_at_row = True
                return True
            # The beginning of a row may lie across the border of two blocks.
            self._advance(max(self._position, len(self._text) - _LONGEST_BEGINNING))
            if not self._fill():
                return False

    def _indentation(self) -> str | None:
        """The blanks before the position, if nothing else stands before it on its line."""
        before = self._text[: self._position].rpartition("\n")
        known = bool(before[1]) or self._window_column == 1
        return before[2] if known and not before[2].strip(" \t") else None

    def _advance(self, position: int) -> None:
        """Move to a later position of the window, counting lines and bytes on the way."""
        passed = self._text[self._position : position]
        self._line += passed.count("\n")
        self._byte += len(passed) if passed.isascii() else len(passed.encode("utf-8", "surrogateescape"))
        self._position = position

    def _fill(self) -> bool:
        """Read on, and forget what lies before the line of the position. False at the end of the file.

        Reads as much as is there already, so that a long row is not decoded again and again.
        """
        start = self._text.rfind("\n", 0, self._position) + 1
        keep = start if self._position - start < _LONGEST_BEGINNING else self._position
        rest = self._text[keep:]
        data = self._stream.read(max(_BLOCK, len(rest)))
        more = self._decoder.decode(data, final=not data)
        if not data and not more:
            return False
        try:
            more.encode()
        except UnicodeEncodeError:
            self._has_raw_bytes = True
        self._window_column = self._column(keep)
        self._position -= keep
        self._text = rest + more
        return True

    def _column(self, position: int) -> int:
        """The column, from 1, of a place in the window."""
        line_start = self._text.rfind("\n", 0, position)
        return position - line_start if line_start >= 0 else self._window_column + position

    def _problem(self, text: str, hint: str, *, fatal: bool = False) -> tuple[int, BadRow]:
        """Damage between rows; it counts as a row, so that each number stands for one thing."""
        self._row += 1
        return self._byte, BadRow("invalid_json", text, hint, SourceReference(self._file, self._row, self._line), fatal)
