"""Values that a text field is likely to want, looked up on this machine: data sets, models. Asks no network."""

from __future__ import annotations

import os
from pathlib import Path

from trainer.config import Recipe, resolve_dataset_dir
from trainer.errors import UserError
from trainer.paths import shipped_folder

_MOST = 40


def suggestions(key: str, recipe: Recipe) -> tuple[str, ...]:
    """Likely values of a field; empty for most."""
    if key in ("data.dataset", "data.eval_dataset"):
        return _datasets(recipe)
    if key == "model.model_name_or_path":
        return _models()
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


def _models() -> tuple[str, ...]:
    """The shipped model, and those that the Hugging Face cache holds."""
    shipped = ["shipped:demo_model"] if (shipped_folder("data") / "demo_model").is_dir() else []
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    try:
        cached = sorted(entry.name for entry in cache.iterdir() if entry.name.startswith("models--"))
    except OSError:
        cached = []
    return tuple([*shipped, *(name.removeprefix("models--").replace("--", "/") for name in cached)][:_MOST])
