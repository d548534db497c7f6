"""Whether the reward model that a recipe names is one, as its small files say. Loads nothing, asks no hub."""

from __future__ import annotations

import os
from pathlib import Path

from trainer.config import Finding, Recipe
from trainer.config.form import IN_ANSWERING
from trainer.config.model_names import is_hub_name
from trainer.data.findings import finding
from trainer.data.model_kind import holds_reward_model, number_of_labels
from trainer.paths import runs_folder

_KEY, _TYPE = "ppo.reward_model", "ppo.reward_model_type"
_ADAPTER, _WHOLE = "adapter_config.json", "config.json"


def reward_model_finding(recipe: Recipe) -> Finding | None:
    """What stands against the reward model of a recipe; None for a service, and for what only a hub knows."""
    name, kind = recipe.ppo.reward_model, recipe.ppo.reward_model_type
    if recipe.method.stage not in IN_ANSWERING.values or not name or kind == "api":
        return None
    if name.startswith(("http://", "https://")):
        return finding("reward_model_is_a_service", "error", _KEY, _TYPE, change={_TYPE: "api"}, given=name, kind=kind)
    folder = Path(name).expanduser()
    if not folder.exists():
        # Runs go by their names elsewhere, so that one is easily written here.
        if "/" not in name and (run := runs_folder() / name).is_dir():
            return _of_run(run, name, os.path.relpath(run) if run.is_relative_to(Path.cwd()) else str(run))
        # In a folder that is here it is a slip of the pen, and no name on a hub.
        on_hub = is_hub_name(name) and not folder.parent.is_dir()
        return None if on_hub else finding("reward_model_missing", "error", _KEY, given=name)
    if (folder / "checkpoints").is_dir() and not (folder / _ADAPTER).is_file():
        return _of_run(folder, name, name.rstrip("/"))
    has_adapter, has_model = (folder / _ADAPTER).is_file(), (folder / _WHOLE).is_file()
    if kind == "lora" and has_adapter and holds_reward_model(folder):
        return None
    if kind == "lora" and has_model and not has_adapter:
        return finding("reward_model_is_whole", "error", _KEY, _TYPE, change={_TYPE: "full"}, given=name)
    if kind == "full" and holds_reward_model(folder):
        labels = None if has_adapter else number_of_labels(folder)
        return (
            None
            if labels in (None, 1)
            else finding("reward_model_has_labels", "error", _KEY, given=name, labels=labels)
        )
    return finding("reward_model_is_none", "error", _KEY, given=name)


def _of_run(folder: Path, name: str, path: str) -> Finding:
    """A run is named, and one of its checkpoints is meant: the newest that gives numbers."""
    saved = [each for each in sorted(folder.glob("checkpoints/step-*")) if holds_reward_model(each)]
    if not saved:
        return finding("reward_model_is_none", "error", _KEY, given=name)
    newest = f"{path}/checkpoints/{saved[-1].name}"
    return finding("reward_model_is_a_run", "error", _KEY, change={_KEY: newest}, given=name, proposed=newest)
