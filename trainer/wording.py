"""Texts with their values filled in, where a word may depend on a number: `{count} {count:row|rows}`."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any


def filled(pattern: str, values: Mapping[str, object]) -> str:
    """The pattern with its placeholders filled; `{count:is|are}` is the first word for one (1 or "1"), else the second.

    Raises: KeyError for a placeholder without a value.
    """
    # Patterns without a choice of words are most of them, and `str.format` is many times faster.
    return _WORDS.vformat(pattern, (), values) if "|" in pattern else pattern.format(**values)


class _Words(Formatter):
    def format_field(self, value: Any, format_spec: str) -> Any:
        one, choice, many = format_spec.partition("|")
        if not choice:
            return super().format_field(value, format_spec)
        return one if str(value) == "1" else many


_WORDS = _Words()
