"""What encoding makes of a row: its tokens by column, and what happened on the way. Not for making them (`encode`)."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trainer.data.messages import SourceReference

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "sft": ("input_ids", "labels"),
    "pt": ("input_ids", "labels"),
    "dpo": ("prompt_ids", "chosen_ids", "rejected_ids"),
    "rm": ("prompt_ids", "chosen_ids", "rejected_ids"),
    "kto": ("prompt_ids", "completion_ids"),
    "ppo": ("prompt_ids", "expected"),
    "grpo": ("prompt_ids", "expected"),
    "rloo": ("prompt_ids", "expected"),
}
"""The columns of an encoded row by stage. `expected` is text: the bytes of its UTF-8, each as a number."""

PROMPT_STAGES = ("ppo", "grpo", "rloo")
"""Stages that learn from answers of their own."""

LEFT_OUT = ("", "long", "no_room", "unlabelled")
"""Why a row is left out: it is not; `on_long_row = "drop"`; the prompt alone fills `cutoff_len`; nothing to learn."""

TOKEN_BYTES = 4
"""Token ids are kept as 32-bit integers in the machine's byte order."""


def packed(ids: Sequence[int]) -> bytes:
    """Token ids as they are kept."""
    return array("i", ids).tobytes()


def packed_text(text: str) -> bytes:
    """A text as it is kept in a column."""
    return packed(list(text.encode(errors="surrogatepass")))


def text_of(numbers: Sequence[int]) -> str:
    """The text that a column holds."""
    return bytes(list(numbers)).decode(errors="surrogatepass")


def unpacked(data: bytes | memoryview) -> list[int]:
    """Token ids as numbers."""
    ids = array("i")
    ids.frombytes(data)
    return ids.tolist()


@dataclass(slots=True)
class RowFigures:
    """What happened to one row; what the report counts."""

    source: SourceReference
    full_length: int
    """Tokens before the cut; of a ranked row, of the prompt and the longer answer."""
    length: int
    """Tokens after the cut."""
    trained_count: int
    """Tokens that are learned; of a ranked row, those of both answers."""
    text_hash: int
    """The same for rows of the same tokens: 64 bits, equal on every machine."""
    labels_lost: int = 0
    """Tokens to be learned that the cut took away."""
    left_out: str = ""
    """One of LEFT_OUT; empty: the row is used."""
    end_lost: bool = False
    """The cut took the end of an answer of which a part is left."""
    endless: bool = False
    """The template writes no end-of-turn token after some answer."""
    kto_tag: bool | None = None
    """Stage kto: whether the answer is to be learned (True) or avoided."""
    typed_tokens: bool = False
    """The row's own words hold special tokens."""


@dataclass(slots=True)
class EncodedRow(RowFigures):
    """A row as tokens, and what happened to it."""

    columns: Mapping[str, bytes] = field(default_factory=dict)
    """By the names of COLUMNS: packed token ids; `labels` are ids, or NOT_TRAINED where nothing is learned."""


_RECORD = struct.Struct("<iiiiiiiqB")
RECORD_SIZE = _RECORD.size
"""Bytes of one row's figures on disk."""


def pack_figures(row: RowFigures, file: int) -> bytes:
    """The figures of a row as they are kept; `file` is the number of its source file."""
    flags = LEFT_OUT.index(row.left_out) if row.left_out else 0
    flags |= (4 if row.end_lost else 0) | (8 if row.endless else 0) | (64 if row.typed_tokens else 0)
    if row.kto_tag is not None:
        flags |= 32 if row.kto_tag else 16
    source = row.source
    return _RECORD.pack(
        file,
        source.row,
        source.line,
        row.full_length,
        row.length,
        row.trained_count,
        row.labels_lost,
        row.text_hash,
        flags,
    )


def unpack_figures(data: bytes | memoryview, files: Sequence[str]) -> RowFigures:
    """The figures that `pack_figures` packed."""
    file, row, line, full, length, trained, lost, text_hash, flags = _RECORD.unpack(data)
    tag = None if not flags & 48 else bool(flags & 32)
    source = SourceReference(files[file], row, line)
    left_out = LEFT_OUT[flags & 3]
    marks = (bool(flags & 4), bool(flags & 8), tag, bool(flags & 64))
    return RowFigures(source, full, length, trained, text_hash, lost, left_out, *marks)
