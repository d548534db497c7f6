"""Where a recipe's model and data folder really lie: shipped ones are found from a checkout and from a wheel."""

from __future__ import annotations

from pathlib import Path

from trainer.paths import shipped_folder

SHIPPED = "shipped:"
_REGISTRY = "dataset_info.json"


def resolve_model_path(name: str) -> str:
    """A `model_name_or_path` as a loader takes it: `shipped:demo_model` becomes a path, `~` the home folder.

    All else, hub names among it, comes back as it is.
    """
    if name.startswith(SHIPPED):
        return str(shipped_folder("data") / name.removeprefix(SHIPPED))
    return str(Path(name).expanduser()) if name.startswith("~") else name


def resolve_dataset_dir(name: str) -> Path:
    """A `dataset_dir` as a folder; for the default `data` without a registry in it, the shipped data folder."""
    if name.startswith(SHIPPED):
        return shipped_folder("data") / name.removeprefix(SHIPPED)
    folder = Path(name).expanduser()
    if name == "data" and not (folder / _REGISTRY).is_file():
        return shipped_folder("data")
    return folder
