"""One value of a LLaMA-Factory file as our tables want it. Not for checking it: that the tables do."""

from __future__ import annotations

import json
from typing import Any

from trainer.config.parameter import Parameter

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_NOTHING = ("", "none", "null")


class Unset:
    """Stands for "not set": null, and `none` where that means it."""


UNSET = Unset()


def fitted(parameter: Parameter, value: object) -> object:
    """The value in the type of the parameter where it can be read so, else as it is; UNSET for null."""
    if value is None:
        return "mixed" if parameter.key == "data.enable_thinking" else UNSET
    if parameter.kind != "list" and parameter.optional and _is_nothing(value):
        return UNSET
    match parameter.kind:
        case "bool":
            return _bool(value)
        case "int" | "float":
            return _number(value, whole=parameter.kind == "int")
        case "choice":
            return _choice(parameter, value)
        case "text":
            return _text(value)
        case "list":
            return _list(parameter, value)
    return _table(value) if isinstance(value, str) else value


def _is_nothing(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() in _NOTHING


def _bool(value: object) -> object:
    if isinstance(value, int | str) and not isinstance(value, bool):
        word = str(value).strip().lower()
        return True if word in _TRUE else False if word in _FALSE else value
    return value


def _number(value: object, *, whole: bool) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    try:
        number = float(value) if not isinstance(value, int) else value
    except ValueError:
        return value
    if not whole:
        return float(number)
    return int(number) if number == number and abs(number) != float("inf") and int(number) == number else value


def _choice(parameter: Parameter, value: object) -> object:
    # YAML reads `eval_strategy: no` as false.
    if value is False and "false" not in parameter.choices:
        return "no" if "no" in parameter.choices else value
    if isinstance(value, str):
        word = value.strip()
        known = next((choice for choice in parameter.choices if choice.lower() == word.lower()), None)
        if known is None:
            return value
        return known == "true" if known in ("true", "false") else int(known) if known.isdigit() else known
    return value


def _text(value: object) -> object:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _list(parameter: Parameter, value: object) -> object:
    if isinstance(value, str):
        if _is_nothing(value) and parameter.default == []:
            return UNSET
        items: list[object] = [part.strip() for part in value.split(",") if part.strip()]
    elif isinstance(value, list):
        items = list(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        items = [value]
    else:
        return value
    if parameter.item_type == "number":
        return [_number(item, whole=False) for item in items]
    return [str(item) if isinstance(item, int | float) and not isinstance(item, bool) else item for item in items]


def _table(text: str) -> object:
    """A table may be given as JSON text; all else, a file name among it, stays text."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        content: Any = json.loads(text)
    except ValueError:
        return text
    return content
