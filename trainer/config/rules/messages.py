"""The English text of every rule, by its name. The Chinese ones are in the catalogue; a test compares the two."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "not_available_yet": "{name} is not available yet: leave it at {default}",
    "choice_not_available_yet": "{name} = {value} is not available yet: choose {available}",
    "does_not_apply_to_stage": "{name} does not apply to stage {stage}: remove it or choose stage {stages}",
    "has_no_effect": "{name} has no effect unless {condition_name} is {condition_values}",
}
