"""Whether the reference model that a recipe names is there. Loads nothing, asks no hub."""

from __future__ import annotations

from pathlib import Path

from trainer.config import Finding, Recipe
from trainer.config.model_names import is_hub_name
from trainer.data.findings import finding

_KEY = "preference.ref_model"


def reference_model_finding(recipe: Recipe) -> Finding | None:
    """What stands against `ref_model`: a folder that is not there. None where only a hub knows."""
    name = recipe.preference.ref_model
    if not name or name.startswith("shipped:"):
        return None
    folder = Path(name).expanduser()
    on_hub = is_hub_name(name) and not folder.parent.is_dir()
    return None if folder.exists() or on_hub else finding("reference_model_missing", "error", _KEY, given=name)
