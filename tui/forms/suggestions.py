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
        return list_datasets(resolve_dataset_dir(recipe.data.dataset_dir))[:_MOST]
    except UserError:
        return ()


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
