"""What stands on the review page, as data: changes, automatic values, what is left out, findings. Not its drawing."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import Finding, parameter
from tui.forms.entry import shown_text
from tui.forms.lines import conditions_text
from tui.forms.model import FormModel
from tui.forms.summary import short_name


@dataclass(frozen=True)
class Change:
    """One parameter with the preset's value and the new one."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Automatic:
    """One value that was chosen for the user, and why."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True)
class LeftOut:
    """One value that is set but does not apply."""

    name: str
    value: str
    conditions: str


@dataclass(frozen=True)
class Review:
    """Everything to be looked at before the start."""

    changes: tuple[Change, ...]
    automatic: tuple[Automatic, ...]
    left_out: tuple[LeftOut, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings keep the run from starting."""
        return sum(finding.severity == "error" for finding in self.findings)


def review(model: FormModel) -> Review:
    """The review of a form."""
    changes = tuple(
        Change(short_name(key), shown_text(model.base(key)), shown_text(value)) for key, value in model.changes.items()
    )
    automatic = tuple(
        Automatic(short_name(key), shown_text(choice.value), choice.reason)
        for key, choice in model.resolved.chosen.items()
        if model.applies(key)
    )
    left_out = tuple(
        LeftOut(short_name(key), shown_text(model.value(key)), conditions_text(parameter(key).form.when))
        for key in model.left_out
    )
    return Review(changes, automatic, left_out, model.findings)
