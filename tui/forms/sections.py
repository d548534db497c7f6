"""Which fields stand together in Setup, and which of them are shown now. Derived from the definition; no texts here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trainer.config import Parameter, parameters
from tui.forms.model import FormModel

_TOGETHER: dict[str, tuple[str, ...]] = {
    "model": ("model", "quantization", "multimodal"),
    "method": ("method", "freeze", "galore", "apollo", "badam"),
    "lora": ("lora", "oft"),
    "data": ("data",),
    "train": ("train",),
}
"""The sections that exist from the first day; every other table is a section of its own after them."""


class Tier(StrEnum):
    """How much is shown: each tier holds the ones before it."""

    BASIC = "basic"
    ADVANCED = "advanced"
    EXPERT = "expert"

    @property
    def following(self) -> Tier:
        """The tier that comes next in the circle."""
        order = list(Tier)
        return order[(order.index(self) + 1) % len(order)]

    def shows(self, tier: str) -> bool:
        """Is a field of `tier` shown?"""
        order = list(Tier)
        return order.index(Tier(tier)) <= order.index(self)


@dataclass(frozen=True)
class Section:
    """A group of tables with its own tab; `name` is the key of its title in the catalogue."""

    name: str
    tables: tuple[str, ...]
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Row:
    """One line of the list: a field, or the heading of a table inside a section (then `parameter` is None)."""

    parameter: Parameter | None
    heading: str = ""
    applies: bool = True

    @property
    def key(self) -> str:
        """The field's `table.name`; empty for a heading."""
        return "" if self.parameter is None else self.parameter.key


def all_sections() -> tuple[Section, ...]:
    """Every section of the definition, shown or not."""
    by_table: dict[str, list[Parameter]] = {}
    for one in parameters():
        by_table.setdefault(one.table, []).append(one)
    grouped = {table for tables in _TOGETHER.values() for table in tables}
    names = _TOGETHER | {table: (table,) for table in by_table if table not in grouped}
    sections = []
    for name, tables in names.items():
        present = tuple(table for table in tables if table in by_table)
        fields = tuple(one for table in present for one in by_table[table])
        if fields:
            sections.append(Section(name, present, fields))
    return tuple(sections)


def sections_of(model: FormModel, tier: Tier, *, only_changed: bool = False) -> tuple[Section, ...]:
    """The sections with something to show now. One in which nothing can be set yet shows up for experts only."""
    shown = []
    for section in all_sections():
        rows = rows_of(model, section, tier, only_changed=only_changed)
        if any(row.parameter and (row.parameter.form.available or tier is Tier.EXPERT) for row in rows):
            shown.append(section)
    return tuple(shown)


def rows_of(model: FormModel, section: Section, tier: Tier, *, only_changed: bool = False) -> tuple[Row, ...]:
    """The lines of a section: fields that apply, basic ones first in each table; findings and changes always show."""
    named = {key for finding in model.findings if finding.severity == "error" for key in finding.fields}
    rows: list[Row] = []
    for table in section.tables:
        fields = [
            one
            for one in section.parameters
            if one.table == table
            and model.applies(one.key)
            and (
                model.changed(one.key)
                if only_changed
                else tier.shows(one.form.tier) or model.changed(one.key) or one.key in named
            )
        ]
        if not fields:
            continue
        if len(section.tables) > 1 and table != section.tables[0]:
            rows.append(Row(None, heading=table))
        order = list(Tier)
        fields.sort(key=lambda one: order.index(Tier(one.form.tier)))
        rows.extend(Row(one) for one in fields)
    return tuple(rows)


def section_of(key: str) -> str:
    """The name of the section in which a field stands."""
    table = key.split(".", 1)[0]
    return next((name for name, tables in _TOGETHER.items() if table in tables), table)
