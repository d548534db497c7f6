"""Values by table and name become a Recipe; what does not fit becomes one line: file, line, what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trainer.config.parameter import find_parameter, near_hint
from trainer.config.recipe import Recipe
from trainer.errors import UserError


@dataclass(frozen=True)
class Origin:
    """Where a value was set."""

    path: Path
    line: int | None


def validated(values: Mapping[str, Mapping[str, object]], origins: Mapping[str, Origin]) -> Recipe:
    """The recipe of these values.

    Raises:
        UserError: the first value that does not fit, with its place when `origins` has it.
    """
    try:
        return Recipe.model_validate({table: dict(content) for table, content in values.items()})
    except ValidationError as error:
        raise as_user_error(error, origins) from error


def validated_in_part(
    values: Mapping[str, Mapping[str, object]], origins: Mapping[str, Origin]
) -> tuple[Recipe, list[UserError]]:
    """The recipe of the values that fit, and an error for each that does not."""
    kept = {table: dict(content) for table, content in values.items()}
    problems: list[UserError] = []
    while True:
        try:
            return Recipe.model_validate(kept), problems
        except ValidationError as error:
            wrong: dict[tuple[int | str, ...], ErrorDetails] = {}
            for details in error.errors():
                wrong.setdefault(details["loc"][:2], details)
            for place, details in wrong.items():
                problems.append(_user_error(details, origins))
                table = str(place[0])
                if len(place) == 1:
                    del kept[table]
                else:
                    # A rule over the whole table names no key that stands there.
                    kept[table].pop(str(place[1]), None)


def as_user_error(error: ValidationError, origins: Mapping[str, Origin] | None = None) -> UserError:
    """pydantic's finding in our words."""
    details = error.errors()
    more = len({each["loc"][:2] for each in details}) - 1
    return _user_error(details[0], origins or {}, f" ({more} more)" if more else "")


def _user_error(first: ErrorDetails, origins: Mapping[str, Origin], more: str = "") -> UserError:
    key = ".".join(str(part) for part in first["loc"][:2])
    origin = origins.get(key)
    file, line = (origin.path, origin.line) if origin else (None, None)
    if first["type"] == "extra_forbidden":
        table, _, name = key.partition(".")
        hint = near_hint(name or key, table)
        return UserError("unknown parameter" + more, file=file, line=line, field=key, hint=hint)
    expected, hint = _expected(key, first)
    return UserError(expected + more, file=file, line=line, field=key, value=first["input"], hint=hint)


def _expected(key: str, details: ErrorDetails) -> tuple[str, str | None]:
    found = find_parameter(key)
    if found is None:
        return details["msg"].removeprefix("Value error, "), None
    given = details["input"]
    hint = None
    if found.kind == "choice" and isinstance(given, str):
        near = difflib.get_close_matches(given, found.choices, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else None
    elif found.kind in ("int", "float") and isinstance(given, str):
        hint = "Write numbers without quotes." if _is_number(given) else None
    return f"expected {found.type_text}", hint


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
