"""A stretch of a row as runs of text with their roles: keys of the raw row, answers of the rendered one. Pure."""

from __future__ import annotations

import re

from tui.data_answers import Piece
from tui.widgets.pane import Piece as Words
from tui.widgets.token_view import fences

_KEY = re.compile(r'^(\s*)("(?:[^"\\]|\\.)*")(?=:)', re.MULTILINE)


def words_of_piece(piece: Piece) -> list[Words]:
    """The text with its roles: keys of the raw row, answers of the rendered one."""
    return _raw_words(piece.text) if piece.what == "raw" else _rendered_words(piece)


def _raw_words(shown: str) -> list[Words]:
    words: list[Words] = []
    at = 0
    for key in _KEY.finditer(shown):
        words += [(shown[at : key.start(2)], "foreground"), (key[2], "primary")]
        at = key.end(2)
    return [(said, role) for said, role in [*words, (shown[at:], "foreground")] if said]


def _rendered_words(piece: Piece) -> list[Words]:
    """What is learned is bright, underlined and fenced; the rest is quiet."""
    before, behind = fences()
    words: list[Words] = []
    at, end = piece.offset, piece.offset + len(piece.text)
    for first, last in piece.answers:
        first_here, last_here = max(first, at), min(last, end)
        words.append((piece.text[at - piece.offset : first_here - piece.offset], "muted"))
        if first >= piece.offset:
            words.append((before, "*success"))
        learned = piece.text[first_here - piece.offset : last_here - piece.offset]
        words.append((learned.removesuffix("\n"), "_success"))
        if last <= end:
            words.append((behind, "*success"))
        if learned.endswith("\n"):
            words.append(("\n", "_success"))
        at = last_here
    words.append((piece.text[at - piece.offset :], "muted"))
    return [(said, role) for said, role in words if said]
