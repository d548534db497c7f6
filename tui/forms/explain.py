"""What there is to say about one field: help, type and limits, default, why it is closed, findings. Texts only."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import Finding, Parameter, parameter
from tui.forms.entry import expectation, shown_text
from tui.forms.lines import closed_reason, conditions_text, unit_text
from tui.forms.model import FormModel
from tui.locale import catalogue, language, text
from tui.localized import localized
from tui.widgets.measures import grouped


@dataclass(frozen=True)
class Explanation:
    """The parts of a help text, in the language in force."""

    name: str
    help: str
    facts: tuple[tuple[str, str], ...]
    """Label and words: what it takes, default, preset's value, automatic value with its reason, conditions."""
    closed: str
    """Why it cannot be set now; empty when it can."""
    findings: tuple[Finding, ...]


def explain(model: FormModel, key: str) -> Explanation:
    """Everything about one field."""
    one = parameter(key)
    facts = [(text("setup.fact_takes"), takes_text(one)), (text("setup.fact_default"), _default(one))]
    base = model.base(key)
    if base != one.default:
        facts.append((text("setup.fact_preset"), shown_text(base)))
    automatic = model.automatic(key)
    if automatic is not None:
        facts.append(
            (text("setup.fact_automatic"), text("common.said_of", what=shown_text(automatic[0]), words=automatic[1]))
        )
    if one.form.when:
        facts.append((text("setup.fact_applies"), conditions_text(one.form.when)))
    if one.form.live:
        facts.append((text("setup.fact_live"), text("setup.fact_live_yes")))
    return Explanation(one.name, help_text(one), tuple(facts), closed_reason(model, one), model.findings_of(key))


def help_text(one: Parameter) -> str:
    """The field's help in the language in force; English (the definition's own) where there is no translation."""
    translated = catalogue("zh", "parameters").get(one.key, "") if language() == "zh" else ""
    return translated or " ".join(one.help.split())


def takes_text(one: Parameter) -> str:
    """What a parameter may be, with its limits and unit: `an integer from 1 to 4096 (steps), or not set`."""
    words = expectation(one)
    prefix = text("setup.expected_prefix")
    words = words.removeprefix(prefix)
    unit = f" ({unit_text(one.form.unit)})" if one.form.unit else ""
    unset = f", {text('setup.or_unset')}" if one.optional else ""
    return f"{words}{unit}{unset}"


def finding_text(finding: Finding) -> str:
    """A finding's sentence in the language in force: the catalogue's under its id, else the definition's English."""
    return grouped(localized(finding.id, finding.values, finding.text))


def change_text(finding: Finding) -> str:
    """`bf16 = false, fp16 = true`: the change that a finding proposes; empty when it proposes none."""
    return ", ".join(f"{key.split('.')[-1]} = {shown_text(value)}" for key, value in finding.change.items())


def _default(one: Parameter) -> str:
    return text("setup.unset") if one.default in (None, [], {}) else shown_text(one.default)
