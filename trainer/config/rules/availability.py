"""Values that do not act: refused or not available yet, for another stage, or switched off by another value."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.config.finding import Finding
from trainer.config.form import Condition
from trainer.config.hardware import Hardware
from trainer.config.parameter import Parameter, exceptions, parameters
from trainer.config.recipe import Recipe
from trainer.config.rules.base import Rule, error, found


def values_that_do_not_act(recipe: Recipe, _: Hardware | None) -> Iterator[Finding]:
    """Nothing is ignored in silence: what a run would not use is refused or named."""
    for each in parameters():
        value = recipe.value(each.key)
        if value == each.default:
            continue
        missed = [condition for condition in each.form.when if recipe.value(condition.key) not in condition.values]
        by_stage = [condition for condition in missed if condition.key == "method.stage"]
        # A field may be for fewer stages than its table.
        stages = min(by_stage, key=lambda condition: len(condition.values), default=None)
        if stages is not None:
            yield _other_stage(each, recipe, stages)
        elif not each.form.available:
            yield error(
                each.form.refused or "not_available_yet",
                each.key,
                change={each.key: each.default},
                name=each.name,
                default=_shown(each.default),
            )
        elif missed:
            yield _switched_off(each, missed[0])
        elif each.form.available_choices:
            yield from _choice(each, value)


def _other_stage(each: Parameter, recipe: Recipe, stages: Condition) -> Finding:
    return error(
        "does_not_apply_to_stage",
        each.key,
        "method.stage",
        change={each.key: each.default},
        name=each.name,
        stage=recipe.method.stage,
        stages=" or ".join(map(str, stages.values)),
    )


def _switched_off(each: Parameter, condition: Condition) -> Finding:
    but = exceptions(condition)
    return found(
        "has_no_effect_with" if but else "has_no_effect",
        "info",
        each.key,
        condition.key,
        change={each.key: each.default},
        name=each.name,
        condition_name=condition.key.partition(".")[2],
        condition_values=" or ".join(_shown(value) for value in but or condition.values),
    )


def _choice(each: Parameter, value: object) -> Iterator[Finding]:
    given = value if isinstance(value, list) else [value]
    for item in given:
        if item not in each.form.available_choices:
            yield error(
                "choice_not_available_yet",
                each.key,
                change={each.key: each.default},
                name=each.name,
                value=_shown(item),
                available=" or ".join(each.form.available_choices),
            )


def _shown(value: object) -> str:
    """A value as TOML has it; what is unset has a word."""
    if value is None or value == []:
        return "unset"
    return str(value).lower() if isinstance(value, bool) else str(value)


AVAILABILITY_RULES: tuple[Rule, ...] = (values_that_do_not_act,)
