"""`check`: all that is wrong with a recipe, at once. The rules are in `rules/`."""

from __future__ import annotations

from trainer.config.finding import Finding
from trainer.config.hardware import Hardware
from trainer.config.recipe import Recipe
from trainer.config.rules import RULES

_ORDER = {"error": 0, "warning": 1, "info": 2}


def check(recipe: Recipe, hardware: Hardware | None = None) -> list[Finding]:
    """Everything that can be said about a recipe without opening a file; errors first.

    Without `hardware`, what depends on the machine is not judged.
    """
    found = [finding for rule in RULES for finding in rule(recipe, hardware)]
    refused = {field for finding in found if finding.severity == "error" for field in finding.fields}
    # That a refused value would have no effect is nobody's concern.
    kept = [each for each in found if not (each.id.startswith("has_no_effect") and each.fields[0] in refused)]
    return sorted(kept, key=lambda finding: _ORDER[finding.severity])
