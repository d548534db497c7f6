"""Single values of a raw row: text or not, there or not, and what to call what stands there instead."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from trainer.data.messages import BadRowError

_SHOWN = 60


def kind_of(value: object) -> str:
    """What a JSON value is, in words: `a list`."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "an object" if isinstance(value, Mapping) else type(value).__name__


def shown(value: object) -> str:
    """A value as it is written, cut where it is long."""
    written = repr(value) if isinstance(value, (str, int, float)) else kind_of(value)
    return written if len(written) <= _SHOWN else f"{written[:_SHOWN]}..."


def listed(names: Iterable[object]) -> str:
    """Names of columns or keys, cut where there are many."""
    written = ", ".join(map(str, names)) or "none"
    return written if len(written) <= 5 * _SHOWN else f"{written[: 5 * _SHOWN]}..."


def parsed_json(text: str, reason: str, subject: str, hint: str) -> Any:
    """The value of a JSON text that stands in a column.

    Raises: BadRowError of the given reason, which says that `subject` is not valid JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        problem = f"{error.msg} (column {error.colno})"
    except RecursionError:
        problem = "nested too deeply"
    except ValueError as error:  # a number of thousands of digits
        problem = str(error)
    raise BadRowError(reason, f"{subject} is not valid JSON: {problem}", hint)


def text_in(value: Mapping[str, Any], column: str) -> str:
    """The text of a column.

    Raises: BadRowError when it is not there or is no text.
    """
    if column not in value:
        raise missing_column(column, value)
    text = value[column]
    if not isinstance(text, str):
        hint = f"Make {column} a string or drop the row"
        raise BadRowError("not_text", f"{column} is {kind_of(text)}, not text", hint)
    return text


def text_if_any(value: Mapping[str, Any], column: str | None) -> str | None:
    """The same for a column that the row need not have.

    Raises: BadRowError when it is no text.
    """
    return text_in(value, column) if column and value.get(column) is not None else None


def missing_column(column: str, value: Mapping[str, Any]) -> BadRowError:
    """The error for a row without a column that it needs."""
    found = listed(value)
    hint = "Mend the row, or set columns in dataset_info.json"
    return BadRowError("missing_column", f"no column {column} (found: {found})", hint)
