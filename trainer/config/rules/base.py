"""What a rule is, and how it makes findings. Not the rules, not their texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

from trainer.config.finding import Finding, Severity
from trainer.config.hardware import Hardware
from trainer.config.recipe import Recipe
from trainer.config.rules.messages import MESSAGES

Rule = Callable[[Recipe, Hardware | None], Iterator[Finding]]
"""Reads a recipe (and the machine, when it is known) and yields what is wrong."""


def found(
    rule: str, severity: Severity, *fields: str, change: Mapping[str, object] | None = None, **values: object
) -> Finding:
    """A finding with its English text; `values` fill the placeholders."""
    text = MESSAGES[rule].format(**values)
    return Finding(rule, severity, fields, text, dict(values), dict(change or {}))


def error(rule: str, *fields: str, change: Mapping[str, object] | None = None, **values: object) -> Finding:
    """A finding that keeps a run from starting."""
    return found(rule, "error", *fields, change=change, **values)


def warning(rule: str, *fields: str, change: Mapping[str, object] | None = None, **values: object) -> Finding:
    """A finding that the user should look at."""
    return found(rule, "warning", *fields, change=change, **values)


def exclusive(rule: str, recipe: Recipe, keys: tuple[str, ...]) -> Iterator[Finding]:
    """An error for each two of the switches `keys` that are both on; the change turns the latter off."""
    for one, other in combinations([key for key in keys if recipe.value(key)], 2):
        names = {"first": one.partition(".")[2], "second": other.partition(".")[2]}
        yield error(rule, one, other, change={other: False}, **names)
