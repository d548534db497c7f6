"""One JSON text as one row, or as what is wrong with it. Not for finding where in a file it stands."""

from __future__ import annotations

import json
from typing import Any

from trainer.data.messages import BadRow, RawRow, SourceReference

_KINDS = {list: "array", str: "string", int: "number", float: "number", bool: "truth value", type(None): "null"}
_CUT_OFF = "The file was cut off here: complete the row or remove it"
_ONE_LINE = "Each line must hold one whole JSON object; rows over several lines belong into a .json file"


TOO_LONG_NUMBER = "a number has more digits than can be read"


class DuplicateKeyError(ValueError):
    """A key stands twice in one object, so that one of its two values would be lost."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        raise DuplicateKeyError(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return value


decode = json.JSONDecoder(object_pairs_hook=_object).raw_decode
"""The value at a position of a text, and where it ends.

Raises: JSONDecodeError, RecursionError, and DuplicateKeyError."""
decode_any = json.JSONDecoder().raw_decode
"""The same, but of two values of one key the last one counts."""


def parse_row(data: bytes, source: SourceReference) -> RawRow | BadRow:
    """The row that is the whole of `data`, white space around it aside."""
    try:
        text = data.decode().strip()
        value, end = decode(text)
    except UnicodeDecodeError as error:
        return not_utf8(source, error.object[error.start])
    except (ValueError, RecursionError) as error:
        return not_json(text, error, source)
    if end < len(text):
        return BadRow("invalid_json", f"not valid JSON: more text after the row (column {end + 1})", _ONE_LINE, source)
    return RawRow(value, source) if type(value) is dict else not_an_object(value, source)


def not_an_object(value: object, source: SourceReference) -> BadRow:
    """A value that is valid JSON and no row."""
    hint = 'Write {"instruction": ..., "output": ...}'
    if isinstance(value, list) and value and isinstance(value[0], dict):
        hint += "; if this is an array of rows, name the file .json"
    return BadRow("not_an_object", f"the row is a JSON {_KINDS[type(value)]}, not an object", hint, source)


def not_utf8(source: SourceReference, byte: int) -> BadRow:
    """Text with a byte that UTF-8 has not at this place."""
    hint = "Save the file as UTF-8, for example with iconv -f GBK -t UTF-8 (-f LATIN1 for Western text)"
    return BadRow("invalid_encoding", f"not UTF-8 text (byte 0x{byte:02x})", hint, source)


def not_json(text: str, error: ValueError | RecursionError, source: SourceReference) -> BadRow:
    """A line that could not be decoded, with the cause in words."""
    if isinstance(error, DuplicateKeyError):
        return duplicate_key(error, source)
    if isinstance(error, RecursionError):
        return BadRow("invalid_json", "nested too deeply", "Flatten the row", source)
    if "\0" in text:
        hint = "A full disk or a crash does this to files: remove the line, or write the file again"
        return BadRow("invalid_json", "the line holds null bytes (0x00)", hint, source)
    if not isinstance(error, json.JSONDecodeError):
        return BadRow("invalid_json", TOO_LONG_NUMBER, "Write long numbers as strings", source)
    if text in ("{", "["):
        return BadRow("invalid_json", "not valid JSON: the line holds only a part of the row", _ONE_LINE, source)
    hint = _CUT_OFF if _ends_too_early(text, error) else _ONE_LINE
    return BadRow("invalid_json", f"not valid JSON: {in_words(error, error.colno)}", hint, source)


def duplicate_key(error: DuplicateKeyError, source: SourceReference) -> BadRow:
    """A row in which a key stands twice."""
    key = error.key.encode("utf-8", "backslashreplace").decode()
    text = f"the key {key!r} stands twice in one object"
    return BadRow("duplicate_keys", text, "Only one of the two values could be used: remove or rename one", source)


def in_words(error: json.JSONDecodeError, column: int) -> str:
    """What the decoder found, and where on the line."""
    return f"{error.msg.removesuffix(' at')} at column {column}"


def _ends_too_early(text: str, error: json.JSONDecodeError) -> bool:
    """Whether what stands where the error is could be the beginning of something valid."""
    rest = text[error.pos :].rstrip()
    return is_cut_off(text, error) and (
        error.msg.startswith(("Unterminated string", "Invalid \\"))
        or any(word.startswith(rest) for word in ("true", "false", "null", "NaN", "-Infinity", "Infinity"))
    )


def is_cut_off(text: str, error: json.JSONDecodeError) -> bool:
    """Whether more text might have made the JSON valid: the error is where the text ends, or close to it."""
    return error.msg.startswith("Unterminated string") or error.pos >= len(text.rstrip()) - _LONGEST_TOKEN


_LONGEST_TOKEN = len("\\ud83d\\ude00")
