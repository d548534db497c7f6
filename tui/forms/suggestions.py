"""Values that a text field is likely to want, looked up on this machine: data sets. Models have their own dialog."""

from __future__ import annotations

from pathlib import Path

from trainer.config import Recipe, resolve_dataset_dir
from trainer.errors import UserError

_MOST = 40


def suggestions(key: str, recipe: Recipe) -> tuple[str, ...]:
    """Likely values of a field; empty for most."""
    if key in ("data.dataset", "data.eval_dataset"):
        return _datasets(recipe)
    return ()


def _datasets(recipe: Recipe) -> tuple[str, ...]:
    from trainer.data.registry import list_datasets

    try:
        registered = list_datasets(resolve_dataset_dir(recipe.data.dataset_dir))
    except UserError:
        registered = ()
    return (*registered[:_MOST], *_files_here()[:_MOST])


def _files_here() -> tuple[str, ...]:
    """Data files of the current folder, as one would type them."""
    from trainer.data.registry import INFO_FILE
    from trainer.data.sources import is_data_file

    try:
        files = sorted(file.name for file in Path.cwd().iterdir() if is_data_file(file) and file.is_file())
    except OSError:
        return ()
    return tuple(name for name in files if name != INFO_FILE)
