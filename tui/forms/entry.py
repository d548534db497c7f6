"""What a person types into a field, read as a value, and values written as a person would type them.

Not for rules between fields (`trainer.config.check`) and not for widgets.
"""

from __future__ import annotations

import math
import operator
import re
import tomllib
from collections.abc import Callable

from trainer.config import Parameter
from trainer.config.toml_text import toml_text
from tui.locale import text

_IN_BOUND: dict[str, Callable[[float, float], bool]] = {
    "from": operator.ge,
    "above": operator.gt,
    "to": operator.le,
    "below": operator.lt,
}

TRUE_WORDS = frozenset({"true", "yes", "on", "1", "y"})
FALSE_WORDS = frozenset({"false", "no", "off", "0", "n"})

_BOUND = re.compile(r"\b(from|above|to|below) (\S+)")
_NUMBER = re.compile(r"^(?P<number>[+-]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)\s*(?P<suffix>[kKmM%]?)$")


class EntryError(ValueError):
    """What was typed is no value of this field; the message says in one sentence what was expected."""


def parse_entry(parameter: Parameter, typed: str) -> object:
    """The value that `typed` stands for; None means "not set".

    Raises:
        EntryError: it is no value of this parameter, or outside its limits.
    """
    word = typed.strip()
    if not word:
        return _nothing(parameter)
    match parameter.kind:
        case "bool":
            return _bool(parameter, word)
        case "int" | "float":
            return _number(parameter, word)
        case "choice":
            return _choice(parameter, word)
        case "list":
            return _list(parameter, word)
        case "any":
            return toml_value(word)
    return typed if parameter.form.multiline else word


def expectation(parameter: Parameter) -> str:
    """One sentence: which values this field takes, with the exact limits."""
    if parameter.kind in ("int", "float"):
        limits = [text(f"setup.limit_{word}", limit=limit) for word, limit in _BOUND.findall(parameter.type_text)]
        return text(f"setup.expected_{parameter.kind}", limits="".join(limits))
    if parameter.kind == "choice":
        return text("setup.expected_choice", choices=", ".join(parameter.choices))
    if parameter.kind == "list":
        return text("setup.expected_numbers" if parameter.item_type == "number" else "setup.expected_list")
    if parameter.kind in ("bool", "any"):
        return text(f"setup.expected_{parameter.kind}")
    return text("setup.expected_text")


def entry_text(parameter: Parameter, value: object) -> str:
    """What stands in the editor when it opens: the value as it would be typed; empty when it is not set."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        if all(isinstance(part, str) and "," not in part for part in value):
            return ", ".join(str(part) for part in value)
        return toml_text(list(value))
    if isinstance(value, dict):
        return toml_text(value) if value else ""
    if parameter.kind == "any" and isinstance(value, str):
        return value
    return shown_text(value)


def shown_text(value: object) -> str:
    """A value in one line, as the list shows it: `true`, `2e-4`, `a, b`; a dash when it is not set."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, list | tuple):
        return ", ".join(shown_text(part) for part in value) or "–"
    if isinstance(value, dict):
        return toml_text(value) if value else "–"
    return str(value).replace("\n", "⏎") or "–"


def _float_text(value: float) -> str:
    """Small and large numbers with an exponent, without padding zeros: 0.0002 is `2e-4`, 0.95 stays."""
    if value and math.isfinite(value) and not 0.001 <= abs(value) < 1e6:
        mantissa, _, exponent = f"{value:.15e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        short = f"{mantissa}e{int(exponent)}"
        if float(short) == value:
            return short
    return repr(value)


def _nothing(parameter: Parameter) -> object:
    if parameter.default in ([], {}, ""):
        return parameter.default
    if not parameter.optional:
        raise EntryError(expectation(parameter))
    return None


def _bool(parameter: Parameter, word: str) -> bool:
    if word.lower() in TRUE_WORDS:
        return True
    if word.lower() in FALSE_WORDS:
        return False
    raise EntryError(expectation(parameter))


def _choice(parameter: Parameter, word: str) -> str:
    for choice in parameter.choices:
        if choice.lower() == word.lower():
            return choice
    raise EntryError(expectation(parameter))


def _number(parameter: Parameter, word: str) -> int | float:
    """A number with the shorthands people use: 1_000, 2e-4, 8k (8192 where tokens are counted, else 8000), 50%."""
    found = _NUMBER.match(word)
    if found is None:
        raise EntryError(expectation(parameter))
    suffix = found["suffix"].lower()
    if suffix == "%" and parameter.kind == "int":
        raise EntryError(expectation(parameter))
    plain = found["number"].replace("_", "")
    thousand = 1024 if "token" in parameter.form.unit else 1000
    value: int | float
    if parameter.kind == "int":
        number = float(plain) * {"": 1, "k": thousand, "m": thousand**2}[suffix]
        if not math.isfinite(number) or not number.is_integer():
            raise EntryError(expectation(parameter))
        value = int(plain) if not suffix and plain.lstrip("+-").isdigit() else int(number)
    else:
        value = float(plain)
        value = value / 100 if suffix == "%" else value * {"": 1, "k": 1000, "m": 1_000_000}[suffix]
        if not math.isfinite(value):
            raise EntryError(expectation(parameter))
    if not all(_IN_BOUND[side](value, float(limit)) for side, limit in _BOUND.findall(parameter.type_text)):
        raise EntryError(expectation(parameter))
    return value


def _list(parameter: Parameter, word: str) -> object:
    """A TOML list, or plain words: the definition itself knows whether commas part them."""
    if not word.startswith("["):
        return word
    value = toml_value(word)
    if not isinstance(value, list):
        raise EntryError(expectation(parameter))
    return value


def toml_value(word: str) -> object:
    """A word read as TOML where it is TOML; any other text is taken as it stands."""
    try:
        return tomllib.loads(f"value = {word}")["value"]
    except tomllib.TOMLDecodeError:
        if word[:1] in "[{\"'":
            raise EntryError(text("setup.expected_any")) from None
        return word
