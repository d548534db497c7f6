"""What a form writes into a preset: the changes on top of the preset it began with, or everything. Not the writing."""

from __future__ import annotations

from tui.forms.model import FormModel, Values


def preset_values(model: FormModel, name: str, known: frozenset[str]) -> tuple[str | None, Values]:
    """`extends` and the values for a preset called `name`; `known` are the names that a preset may extend.

    Everything is written out where the base cannot be extended: it is the preset that is being replaced, it is no
    listed preset, or a value of it was unset (TOML has no word for that).
    """
    base = model.preset.name if model.preset else None
    changes = model.changes
    if base is None or base == name or base not in known or any(value is None for value in changes.values()):
        return None, model.values()
    values: Values = {}
    for key, value in changes.items():
        table, field = key.split(".", 1)
        values.setdefault(table, {})[field] = value
    return base, values
