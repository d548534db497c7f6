"""Rendered text to token ids, and which tokens hold the answers. Not for what is learned or cut (`encode`)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from tokenizers import Encoding

from trainer.data.encoded_row import TOKEN_BYTES, packed

Spans = Sequence[tuple[int, int]]
"""(first, end) positions, of characters or of tokens."""

_start_of = itemgetter(0)
_end_of = itemgetter(1)


@dataclass(slots=True)
class Tokenization:
    """The tokens of a text."""

    ids: bytes
    """Packed, see `encoded_row`."""
    spans: Spans
    """For each answer, the tokens that hold any of its characters."""

    def __len__(self) -> int:
        return len(self.ids) // TOKEN_BYTES


def tokenization(encoding: Encoding, answers: Spans, length: int) -> Tokenization:
    """The tokens of a text of `length` characters, with `answers` as positions of characters."""
    return Tokenization(packed(encoding.ids), [token_span(encoding, start, end, length) for start, end in answers])


def token_span(encoding: Encoding, start: int, end: int, length: int) -> tuple[int, int]:
    """The (first, end) positions of the tokens that hold any of the characters from `start` to `end`."""
    first = encoding.char_to_token(start)
    after = len(encoding) if end == length else encoding.char_to_token(end)
    if first is not None and after is not None:
        characters = None if end == length else encoding.token_to_chars(after)
        if characters is None or characters[0] >= end:
            return int(first), int(after)
    # A token reaches over the end of the answer, or characters are in no token; the whole list of offsets is slow.
    return span_in(encoding.offsets, start, end)


def span_in(offsets: Spans, start: int, end: int) -> tuple[int, int]:
    """The same from the characters of each token."""
    return bisect_right(offsets, start, key=_end_of), bisect_left(offsets, end, key=_start_of)
