"""A form's memory: the preset it began with, what was changed since, undo, and what the definition says about it.

Pure: no Textual, no file but through `trainer.config`. Not for how a form looks.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cache, cached_property

from pydantic import ValidationError

from trainer.config import (
    Finding,
    Hardware,
    Parameter,
    Preset,
    Recipe,
    Resolved,
    applies,
    check,
    parameter,
    parameters,
    resolve,
)
from tui.forms.entry import EntryError, expectation, parse_entry, shown_text, toml_value
from tui.forms.refusals import unavailable_text
from tui.locale import text

Values = dict[str, dict[str, object]]
_ABSENT = object()
_MOST_ROUNDS = 5
"""How often a change that a finding proposes may bring the next one up."""


class FormModel:
    """Values over a preset. A value is what was chosen here, else the preset's, else the definition's default.

    Chosen values are kept when they stop to apply (another method), and come back when they apply again; they are
    left out of the recipe meanwhile, because the definition refuses values that do not apply.
    """

    def __init__(self, hardware: Hardware, preset: Preset | None = None) -> None:
        self.hardware = hardware
        self.preset = preset
        self.revision = 0
        self.outside_findings: tuple[Finding, ...] = ()
        self._base: Values = copy.deepcopy(dict(preset.values)) if preset else {}
        self._chosen: dict[str, object] = {}
        self._history: list[dict[str, object]] = []
        self._state = _State(self._effective_values(), hardware)

    # values

    def value(self, key: str) -> object:
        """The value of `table.name`; None when it is not set."""
        return self._chosen[key] if key in self._chosen else self.base(key)

    def base(self, key: str) -> object:
        """What the field goes back to on reset: the preset's value, else the definition's default."""
        table, name = key.split(".", 1)
        values = self._base.get(table, {})
        return values[name] if name in values else parameter(key).default

    def changed(self, key: str) -> bool:
        """Was this field changed since the preset was loaded?"""
        return key in self._chosen

    @property
    def changes(self) -> dict[str, object]:
        """All changed fields that apply now, in the order of the definition; None is "not set"."""
        order = {one.key: number for number, one in enumerate(parameters())}
        keys = sorted((key for key in self._chosen if self.applies(key)), key=lambda key: order.get(key, len(order)))
        return {key: self._chosen[key] for key in keys}

    @property
    def left_out(self) -> tuple[str, ...]:
        """Fields that the preset or the user set and that do not apply now: they stay out of the run."""
        set_here = [f"{table}.{name}" for table, values in self._base.items() for name in values]
        keys = dict.fromkeys([*set_here, *self._chosen])
        return tuple(key for key in keys if key in _known() and not self.applies(key))

    # changing

    def enter(self, key: str, typed: str) -> object:
        """Take what was typed into a field; returns the value.

        Raises:
            EntryError: it is no value of this field; nothing has changed.
        """
        value = parse_entry(parameter(key), typed)
        self.set(key, value)
        return value

    def set(self, key: str, value: object) -> None:
        """Give a field a value; the preset's own value takes the mark of change away.

        Raises:
            EntryError: the definition refuses the value; nothing has changed.
        """
        self.set_many({key: value})

    def set_many(self, values: Mapping[str, object]) -> None:
        """Give several fields their values as one step of undo.

        Raises:
            EntryError: the definition refuses one of them; nothing has changed.
        """
        self._step({key: _accepted(key, value) for key, value in values.items()})

    def reset(self, key: str) -> None:
        """Back to the preset's value, else the default."""
        if key in self._chosen:
            self._step({key: self.base(key)})

    def undo(self) -> tuple[str, ...]:
        """Take the last step back; returns the fields that it had changed, none when there is nothing left."""
        if not self._history:
            return ()
        before = self._history.pop()
        for key, value in before.items():
            if value is _ABSENT:
                self._chosen.pop(key, None)
            else:
                self._chosen[key] = value
        self._renew()
        return tuple(before)

    @property
    def can_undo(self) -> bool:
        """Is there a step to take back?"""
        return bool(self._history)

    def apply_change(self, finding: Finding) -> bool:
        """Make the change that a finding proposes; False when it proposes none."""
        if finding.change:
            self.set_many(finding.change)
        return bool(finding.change)

    def proposed_changes(self) -> dict[str, object]:
        """What the findings propose together, followed through until nothing more is proposed; empty for nothing.

        Where two want different values in one field, the value is taken that leaves the fewest open.
        """
        trial = self._copy()
        wanted: dict[str, object] = {}
        for _ in range(_MOST_ROUNDS):
            proposals = trial._open_proposals()
            if not proposals:
                break
            best = trial.best_proposal(proposals)
            assert best is not None
            if wanted and trial._left_open_after(best) >= len(proposals):
                break  # the proposals contradict each other: going on would go in a circle
            trial.apply_change(best)
            wanted |= best.change
        return {key: value for key, value in wanted.items() if not _same(self.value(key), value)}

    def best_proposal(self, findings: Sequence[Finding]) -> Finding | None:
        """Of several findings with a change the one whose change leaves the fewest open; None when there are none."""
        return min(findings, key=self._left_open_after, default=None)

    def _open_proposals(self) -> list[Finding]:
        """Findings with a change that is not made yet: what the check of the data said stands until it looks again."""
        return [
            found
            for found in self.findings
            if any(not _same(self.value(key), value) for key, value in found.change.items())
        ]

    def _left_open_after(self, finding: Finding) -> int:
        trial = self._copy()
        try:
            trial.apply_change(finding)
        except EntryError:
            return len(self.findings) + 1
        errors = sum(found.severity == "error" for found in trial._state.findings)
        return len(trial._open_proposals()) + errors

    def _copy(self) -> FormModel:
        other = FormModel(self.hardware, self.preset)
        other.outside_findings = self.outside_findings
        other._chosen = dict(self._chosen)
        other._renew()
        return other

    # what the definition says

    def values(self) -> Values:
        """Everything that is set and applies, table by table: what a preset or a run is made of."""
        return copy.deepcopy(self._state.values)

    @property
    def recipe(self) -> Recipe:
        """The recipe of the values that apply."""
        return self._state.recipe

    @property
    def resolved(self) -> Resolved:
        """The recipe with the automatic values filled in, and their reasons."""
        return self._state.resolved

    def automatic(self, key: str) -> tuple[object, str] | None:
        """The value that the resolver chooses for an unset field, and why; None when it chooses nothing."""
        choice = self.resolved.chosen.get(key) if self.value(key) is None else None
        return None if choice is None else (choice.value, choice.reason)

    def applies(self, key: str) -> bool:
        """Do the conditions of this field hold now?"""
        return applies(parameter(key), self.recipe)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the rules and the check of model and data say now; errors first."""
        rank = {"error": 0, "warning": 1, "info": 2}
        return tuple(sorted([*self._state.findings, *self.outside_findings], key=lambda one: rank.get(one.severity, 3)))

    def findings_of(self, key: str) -> tuple[Finding, ...]:
        """The findings that name this field."""
        return tuple(finding for finding in self.findings if key in finding.fields)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop a run from starting."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    # inside

    def _step(self, values: Mapping[str, object]) -> None:
        before: dict[str, object] = {}
        for key, value in values.items():
            old = self._chosen.get(key, _ABSENT)
            if _same(value, self.base(key)):
                self._chosen.pop(key, None)
            else:
                self._chosen[key] = value
            if not _same(self._chosen.get(key, _ABSENT), old):
                before[key] = old
        if before:
            self._history.append(before)
            self._renew()

    def _renew(self) -> None:
        self.revision += 1
        self._state = _State(self._effective_values(), self.hardware)

    def _effective_values(self) -> Values:
        merged = copy.deepcopy(self._base)
        for key, value in self._chosen.items():
            table, name = key.split(".", 1)
            if value is None:
                merged.get(table, {}).pop(name, None)
            else:
                merged.setdefault(table, {})[name] = copy.deepcopy(value)
        return _only_applying({table: values for table, values in merged.items() if values})


class _State:
    """What follows from one set of values; each part is worked out when it is first asked for."""

    def __init__(self, values: Values, hardware: Hardware) -> None:
        self.values = values
        self._hardware = hardware

    @cached_property
    def recipe(self) -> Recipe:
        return Recipe.model_validate(self.values)

    @cached_property
    def resolved(self) -> Resolved:
        return resolve(self.recipe, self._hardware)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(check(self.recipe, self._hardware))


@cache
def _known() -> frozenset[str]:
    return frozenset(one.key for one in parameters())


def _accepted(key: str, value: object) -> object:
    """The value as the definition takes it: text becomes a list where a list belongs, "4" a 4 where 4 is a choice.

    Raises:
        EntryError: the definition refuses it.
    """
    one = parameter(key)
    if value is None:
        if not one.optional:
            raise EntryError(expectation(one))
        return one.default if one.kind == "list" else None
    taken = _taken(one, value)
    if not one.form.available and not _same(taken, one.default):
        raise EntryError(unavailable_text(one))
    open_choices = one.form.available_choices
    asked = taken if isinstance(taken, list) else [taken]
    if open_choices and any(str(each) not in open_choices for each in asked):
        raise EntryError(text("setup.choice_not_available", value=shown_text(taken), choices=", ".join(open_choices)))
    return taken


def _taken(one: Parameter, value: object) -> object:
    refused = None
    attempts = [value, toml_value(value)] if one.kind == "choice" and isinstance(value, str) else [value]
    for attempt in attempts:
        try:
            return Recipe.model_validate({one.table: {one.name: attempt}}).value(one.key)
        except ValidationError as error:
            refused = refused or error
    assert refused is not None
    detail = str(refused.errors()[0]["msg"]).removeprefix("Value error, ")
    raise EntryError(f"{expectation(one)} ({detail})")


def _only_applying(values: Values) -> Values:
    """Without the values whose conditions do not hold; repeated, because one that goes may have been a condition."""
    while True:
        recipe = Recipe.model_validate(values)
        gone = [
            (table, name)
            for table, names in values.items()
            for name in names
            if f"{table}.{name}" in _known() and not applies(parameter(f"{table}.{name}"), recipe)
        ]
        if not gone:
            return {table: names for table, names in values.items() if names}
        for table, name in gone:
            del values[table][name]


def _same(left: object, right: object) -> bool:
    """Equal and of one kind: True is not 1 here, and 1 is 1.0."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return left == right
