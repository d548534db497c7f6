"""Names of data sets: lists of them, and the one that was meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from itertools import islice

_NAMES_SHOWN = 10
_TAKEN = ",/*?[="


def split_names(names: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """`"a, b"` or a list of names, as a tuple."""
    if names is None:
        return ()
    parts = names.split(",") if isinstance(names, str) else names
    return tuple(part.strip() for part in parts if part.strip())


def is_usable(name: str) -> bool:
    """Whether a data set of this name can be named everywhere: in lists, in `dataset=a,b`, as a word of a command."""
    is_word = name == name.strip() and name.isprintable() and not name.startswith("-")
    return bool(name) and is_word and not any(character in _TAKEN for character in name)


def near_match(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """`Did you mean X?` for the closest known name, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"Did you mean {close[0]}?" if close else ""


def shortened(names: Collection[str]) -> str:
    """The first names as a list in words, and how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(islice(names, _NAMES_SHOWN)) + (f" and {more} more" if more > 0 else "")
