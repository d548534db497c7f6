"""Tokenizes by pieces whose ids are remembered: many times faster than the tokenizer itself where words come again.

Byte-level BPE splits a text into words by a regular expression before it merges anything, so that words can be
tokenized one by one. Which expression is read from the tokenizer; for those that are known here, there is a simple
expression that cuts a text at some of the places where the tokenizer certainly cuts too, however the text goes on.
Special tokens are cut out first, as the tokenizer does. A tokenizer of any other kind is refused (`piece_tokenizer`).
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from trainer.data.encoded_row import TOKEN_BYTES, packed
from trainer.data.tokenization import Spans, Tokenization, span_in

_CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_END = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_LINE_EXPRESSIONS = {
    # GPT-4, Llama 3, Phi 4, DeepSeek's distillations
    rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_END}",
    # Qwen 2, 2.5 and 3
    rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_END}",
    # our demo model: as Qwen 2, and every Han character is a word
    r"'(?:s|t|re|ve|m|ll|d)|\p{Han}|[^\r\n\p{L}\p{N}]?[\p{L}&&[^\p{Han}]]+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _END,
    # Qwen 3.5
    rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_END}",
}
_SLASH_EXPRESSIONS = {
    # GPT-4o, gpt-oss, Llama 4, Phi 4 mini: as above, but a slash may follow line breaks after punctuation
    rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_CONTRACTION}?|[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*"
    rf"{_CONTRACTION}?|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_END}",
    # Mistral's newer ones
    rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+|[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*"
    rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_END}",
}

_FLAT = r"\t\x0b\x0c \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SPACE = rf"{_FLAT}\r\n"
"""White space as the tokenizer's expressions know it (Unicode's); Python counts four control characters more."""

# All expressions end a run of letters in front of white space and of these marks, and none looks back.
_WORD = rf"[A-Za-z]++(?![^,.;:!?{_SPACE}])"
# No word of GPT-2 has white space behind other characters: a cut before any white space that follows a word is safe.
_GPT2_CUTS = re.compile(rf"[{_SPACE}]*+(?:{_WORD}|[^{_SPACE}]+)|[{_SPACE}]+")
# In the others, line breaks go with punctuation in front of them, and white space never reaches over a line break: a
# cut is safe before white space other than a line break, and behind the last line break of a run of white space.
_LINE_CUTS = re.compile(rf"[{_FLAT}]*+(?:{_WORD}|[^{_SPACE}]+(?:[{_SPACE}]*[\r\n])?)|[{_SPACE}]*[\r\n]|[{_SPACE}]+")
_SLASH_AFTER_BREAK = re.compile(r"[\r\n]/")

_TRIAL = 500_000
"""Characters after which the short way must have proved worth it: of less than half of them the pieces were new."""

_LONGEST_REMEMBERED = 48
_MOST_REMEMBERED = 200_000
"""Pieces in memory at once, about 40 MB; then all are forgotten, because what comes is other text."""


class _Memory(dict[str, bytes]):
    """Pieces and their packed ids; what is missing is tokenized."""

    def __init__(self, backend: Tokenizer, special: dict[str, bytes]) -> None:
        super().__init__(special)
        self._backend = backend
        self._special = special
        self.new_characters = 0

    def __missing__(self, piece: str) -> bytes:
        self.new_characters += len(piece)
        ids = packed(self._backend.encode(piece, add_special_tokens=False).ids)
        if len(piece) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
                self.update(self._special)
            self[piece] = ids
        return ids


@dataclass(frozen=True, slots=True)
class _Places:
    """Where pieces stand in a text."""

    borders: tuple[int, ...]
    """The characters at which special tokens, and what stands between them, begin; and the end of the text."""
    firsts: tuple[int, ...]
    """For each of these the number of its first piece."""
    pieces: Sequence[str]

    def find(self, mark: int) -> tuple[int, int]:
        """The piece that holds a character, and the place of the character in it."""
        part = bisect_right(self.borders, mark) - 1
        piece, inside = self.firsts[part], mark - self.borders[part]
        # Answers begin and end close behind a special token, or at one.
        while inside and inside >= len(self.pieces[piece]):
            inside -= len(self.pieces[piece])
            piece += 1
        return piece, inside


class PieceTokenizer:
    """Tokenizes texts piece by piece."""

    def __init__(
        self, backend: Tokenizer, cuts: re.Pattern[str], unsafe: re.Pattern[str] | None, *, composes: bool
    ) -> None:
        """`unsafe` finds texts that cannot be cut; `composes` says that the tokenizer normalizes to NFC."""
        self._backend = backend
        self._cuts = cuts
        self._unsafe = unsafe
        self._composes = composes
        added = {token.content: identifier for identifier, token in backend.get_added_tokens_decoder().items()}
        longest_first = sorted(added, key=len, reverse=True)
        self._special = re.compile(f"({'|'.join(map(re.escape, longest_first))})" if added else "(?!)")
        self._memory = _Memory(backend, {text: packed([identifier]) for text, identifier in added.items()})
        self._inner: dict[tuple[str, int], tuple[int, int]] = {}
        self._characters = 0

    @property
    def remembered(self) -> int:
        """Pieces in memory."""
        return len(self._memory)

    def tokenize(self, text: str, answers: Spans) -> Tokenization | None:
        """The tokens of a text, with `answers` as positions of characters in rising order; None: it cannot be cut, or
        words come again so rarely (as in Chinese) that the tokenizer itself is faster.
        """
        if self._characters > _TRIAL and 2 * self._memory.new_characters > self._characters:
            return None
        self._characters += len(text)
        if not text.isascii() and self._composes and not unicodedata.is_normalized("NFC", text):
            return None
        if self._unsafe is not None and self._unsafe.search(text):
            return None
        find = self._cuts.findall
        pieces: list[str] = []
        borders, firsts = [], []
        position = 0
        for number, part in enumerate(self._special.split(text)):
            borders.append(position)
            firsts.append(len(pieces))
            position += len(part)
            if number % 2:
                pieces.append(part)
            elif part:
                pieces += find(part)
        ids = [*map(self._memory.__getitem__, pieces)]
        places = _Places((*borders, position), (*firsts, len(pieces)), pieces)
        return Tokenization(b"".join(ids), self._token_spans(places, ids, answers) if answers else ())

    def _token_spans(self, places: _Places, ids: Sequence[bytes], answers: Spans) -> Spans:
        """The tokens of each answer: by counting up to the piece it begins or ends in, and looking inside of that."""
        spans: list[tuple[int, int]] = []
        counted = tokens = 0
        for answer in answers:
            marks = []
            for is_end, mark in enumerate(answer):
                piece, inside = places.find(mark)
                tokens += sum(map(len, ids[counted:piece])) // TOKEN_BYTES
                counted = piece
                marks.append(tokens + (self._inside(places.pieces[piece], inside)[is_end] if inside else 0))
            spans.append((marks[0], marks[1]))
        return spans

    def _inside(self, piece: str, place: int) -> tuple[int, int]:
        """The tokens of a piece in front of an answer that begins, and of one that ends, at this character."""
        key = (piece, place)
        if key not in self._inner:
            offsets = self._backend.encode(piece, add_special_tokens=False).offsets
            if len(self._inner) >= _MOST_REMEMBERED:
                self._inner.clear()
            self._inner[key] = span_in(offsets, place, place)
        return self._inner[key]


def piece_tokenizer(backend: Tokenizer) -> PieceTokenizer | None:
    """The short way for a tokenizer, or None where it is not known to be one."""
    content = json.loads(backend.to_str())
    model, added = content["model"], content["added_tokens"]
    if model.get("type") != "BPE" or any(
        model.get(name) for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk")
    ):
        return None
    normalizer = content["normalizer"]
    if normalizer is not None and normalizer != {"type": "NFC"}:
        return None
    if any(token["lstrip"] or token["rstrip"] or token["single_word"] for token in added):
        return None
    if normalizer is not None and any(token["normalized"] for token in added):
        return None
    cuts = _cuts(content["pre_tokenizer"])
    return None if cuts is None else PieceTokenizer(backend, *cuts, composes=normalizer is not None)


def _cuts(pre_tokenizer: Any) -> tuple[re.Pattern[str], re.Pattern[str] | None] | None:
    """How texts of a pre-tokenizer are cut, and which may not be."""
    if not isinstance(pre_tokenizer, dict):
        return None
    steps = pre_tokenizer["pretokenizers"] if pre_tokenizer["type"] == "Sequence" else [pre_tokenizer]
    if [step["type"] for step in steps[-1:]] != ["ByteLevel"] or steps[-1]["add_prefix_space"]:
        return None
    if steps[-1].get("use_regex", True):
        only_digits = len(steps) == 1 or (len(steps) == 2 and steps[0]["type"] == "Digits")
        return (_GPT2_CUTS, None) if only_digits else None
    if len(steps) != 2 or steps[0]["type"] != "Split":
        return None
    split = steps[0]
    expression = split["pattern"].get("Regex") if isinstance(split["pattern"], dict) else None
    if split["behavior"] != "Isolated" or split["invert"]:
        return None
    if expression in _LINE_EXPRESSIONS:
        return _LINE_CUTS, None
    return (_LINE_CUTS, _SLASH_AFTER_BREAK) if expression in _SLASH_EXPRESSIONS else None
