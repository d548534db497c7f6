"""Sentences that the trainer side makes (findings, how a run ended) in the language in force."""

from __future__ import annotations

from collections.abc import Mapping

from tui.locale import find, language


def localized(identifier: str, values: Mapping[str, object], english: str) -> str:
    """The catalogue's sentence `findings.<identifier>` with its values; the English one where it has none."""
    pattern = find(f"findings.{identifier}") if identifier and language() != "en" else None
    if pattern is None:
        return english
    try:
        return pattern.format(**values)
    except (KeyError, IndexError, ValueError):  # a placeholder that was not filled
        return english
