"""Keeps secrets of the environment out of the run's log and events, whoever prints them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import TextIO

_SECRET_NAME = re.compile(r"(TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIAL)S?$", re.IGNORECASE)
# Shorter values would blank out ordinary words.
_SHORTEST = 8


def redacted(text: str) -> str:
    """The text with `[redacted]` in the place of each secret of the environment."""
    values = {value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= _SHORTEST}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "[redacted]")
    return text


def redacted_values(values: Mapping[str, object]) -> dict[str, object]:
    """The same for the values that a text is made from."""
    return {name: redacted(value) if isinstance(value, str) else value for name, value in values.items()}


class _Redacting:
    """A text stream that leaves out secrets."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redacted(text))
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def redact_output() -> None:
    """From now on, leave secrets out of what Python prints to stdout and stderr."""
    sys.stdout = _Redacting(sys.stdout)
    sys.stderr = _Redacting(sys.stderr)
