"""`key=value` from the command line or a text box, laid over the values of a preset. Not for checking the values."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence

from trainer.config.parameter import Parameter, find_parameter, near_hint, parameter
from trainer.config.passthrough import trainer_argument_problem
from trainer.config.preset_text import Values
from trainer.config.spellings import secret_hint, today
from trainer.errors import UserError

_UNSET = ("", "none", "None", "null", "unset")


def apply_overrides(values: Values, overrides: Sequence[str]) -> Values:
    """A copy of `values` (by table and name) with overrides laid over it.

    Each is `key=value`; the key flat (`lora_rank`) or dotted (`lora.lora_rank`), the value TOML or a bare word. An
    empty value, `none` or `null` gives a parameter that may be unset back its default.

    Raises:
        UserError: no `=`, an unknown key (with a near match), or a secret.
    """
    changed: Values = {table: dict(content) for table, content in values.items()}
    for override in overrides:
        key, text = _split(override)
        table, _, name = key.partition(".")
        if table == "trainer":
            changed.setdefault(table, {})[name] = parse_toml(text)
            continue
        found = parameter(key)
        if text.strip() in _UNSET and (found.optional or not text.strip()):
            changed.get(table, {}).pop(name, None)
        else:
            changed.setdefault(table, {})[name] = parse_value(found, text)
    return changed


def parse_value(parameter: Parameter, text: str) -> object:
    """What somebody wrote for a parameter, as a value for its table; not yet checked against its limits.

    Text stays text even where it looks like a number (`run_name=1e5`), and lists may be written `a,b`.
    """
    stripped = text.strip()
    if parameter.kind == "bool" and stripped in ("True", "False"):
        return stripped == "True"
    value = parse_toml(stripped)
    if parameter.kind == "text" and not isinstance(value, str):
        return stripped
    if parameter.kind == "list" and not isinstance(value, list | str):
        return stripped
    return value


def parse_toml(text: str) -> object:
    """`text` as a TOML value; where it is none, the text itself."""
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if len(document) == 1 else text


def _split(override: str) -> tuple[str, str]:
    """The dotted key of today, and the text of the value."""
    name, equals, text = override.partition("=")
    name = name.strip()
    if not equals:
        raise UserError("an override is written key=value", field=override)
    if hint := secret_hint(name):
        raise UserError("is not taken on the command line", field=name, hint=hint)
    if name.startswith("trainer."):
        if problem := trainer_argument_problem(name.removeprefix("trainer.")):
            raise UserError(problem, field=name)
        return name, text
    found = find_parameter(name)
    if found is not None:
        return found.key, text
    newer = today(name)
    if newer is None:
        raise UserError("there is no such parameter", field=name, hint=near_hint(name))
    return newer, text
