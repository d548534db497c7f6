"""Writing recipe.toml: the resolved recipe, with the reasons of automatic choices as comments. Not for reading it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.config import Resolved


def recipe_text(resolved: Resolved) -> str:
    """The TOML of a resolved recipe: every parameter that has a value, table by table."""
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment("The resolved recipe of this run. Changing it does not change what has been trained."))
    for table_name, values in resolved.recipe.model_dump(exclude_none=True).items():
        if not isinstance(values, Mapping):
            document[table_name] = _plain(values)
            continue
        table = tomlkit.table()
        for name, value in values.items():
            item = tomlkit.item(_plain(value))
            choice = resolved.chosen.get(f"{table_name}.{name}")
            if choice is not None:
                item.comment(" ".join(f"auto: {choice.reason}".split()))
            table.append(name, item)
        if table:
            document[table_name] = table
    return tomlkit.dumps(document)


def _plain(value: Any) -> Any:
    """`value` in TOML's own types; TOML has no null, so None inside of lists and tables is left out."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value if item is not None]
    return value
