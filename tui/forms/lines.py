"""How one field reads in the list: its mark, value, tail and mood. Not for drawing (`tui.widgets.parameter_list`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trainer.config import Condition, Parameter, exceptions
from tui.forms.entry import shown_text
from tui.forms.model import FormModel
from tui.forms.refusals import unavailable_text, unavailable_word
from tui.forms.sections import Row
from tui.forms.summary import short_name
from tui.locale import find, text


class Mood(StrEnum):
    """What a value is, so that the list can say it by colour; the mark or the words say it too."""

    DEFAULT = "default"
    PRESET = "preset"
    AUTOMATIC = "automatic"
    CHANGED = "changed"
    CLOSED = "closed"
    """Not available yet, or not applying now."""


@dataclass(frozen=True)
class Line:
    """One drawn line: a field, or a heading when `key` is empty."""

    key: str
    name: str
    mark: str = " "
    """`!` error, `?` warning, `*` changed; a blank otherwise."""
    value: str = ""
    tail: str = ""
    """Dim words at the right edge: the unit, what a changed value was, why a field is closed."""
    mood: Mood = Mood.DEFAULT


def lines_of(model: FormModel, rows: tuple[Row, ...]) -> tuple[Line, ...]:
    """The lines for `rows` in the language in force."""
    severities: dict[str, str] = {}
    for finding in reversed(model.findings):  # errors come last and win
        for key in finding.fields:
            if finding.severity != "info":
                severities[key] = finding.severity
    return tuple(_line(model, row, severities) for row in rows)


def table_title(table: str) -> str:
    """The title of a table or section: `LoRA`; its own name where the catalogue has none."""
    return find(f"setup.section_{table}") or table.replace("_", " ").capitalize()


def section_title(model: FormModel, table: str) -> str:
    """The title of a section: what its fields are for with this method and stage, where the table has another name."""
    method, stage = model.value("method.finetuning_type"), model.value("method.stage")
    if table == "lora" and method != "lora":
        return text("setup.section_adapter")
    if table == "preference" and stage not in ("dpo", "kto"):
        return text("setup.section_reference")
    if table == "ppo" and stage != "ppo":
        return text("setup.section_reward_model")
    return table_title("rloo" if table == "grpo" and stage == "rloo" else table)


def unit_text(unit: str) -> str:
    """The unit in the language in force; as the definition has it where the catalogue knows none."""
    return find(f"setup.unit_{unit.replace(' ', '_')}") or unit if unit else ""


def closed_reason(model: FormModel, one: Parameter) -> str:
    """Why a field cannot be set now; empty when it can."""
    if not one.form.available:
        return unavailable_text(one)
    if not model.applies(one.key):
        return text("setup.applies_with", conditions=conditions_text(one.form.when))
    return ""


def conditions_text(conditions: tuple[Condition, ...]) -> str:
    """A field's conditions in one line: `finetuning_type = lora, stage = dpo | kto`, `finetuning_type not full`."""
    return ", ".join(map(_condition_text, conditions))


def _condition_text(condition: Condition) -> str:
    but = exceptions(condition)
    values = " | ".join(shown_text(value) for value in but or condition.values)
    return text("setup.condition_not" if but else "setup.condition", name=short_name(condition.key), values=values)


def _line(model: FormModel, row: Row, severities: dict[str, str]) -> Line:
    one = row.parameter
    if one is None:
        return Line("", table_title(row.heading))
    value = model.value(one.key)
    severity = severities.get(one.key, "")
    changed = model.changed(one.key)
    mark = {"error": "!", "warning": "?"}.get(severity, "*" if changed else " ")
    reason = closed_reason(model, one)
    if reason:
        tail = reason if one.form.available else unavailable_word(one)
        return Line(one.key, one.name, mark, shown_text(value), tail, Mood.CLOSED)
    if changed:
        tail = text("setup.was", value=shown_text(model.base(one.key)))
        return Line(one.key, one.name, mark, shown_text(value), tail, Mood.CHANGED)
    automatic = model.automatic(one.key)
    if automatic is not None:
        words = text("setup.automatic", value=shown_text(automatic[0]))
        return Line(one.key, one.name, mark, words, unit_text(one.form.unit), Mood.AUTOMATIC)
    mood = Mood.PRESET if value != one.default else Mood.DEFAULT
    return Line(one.key, one.name, mark, shown_text(value), unit_text(one.form.unit), mood)
