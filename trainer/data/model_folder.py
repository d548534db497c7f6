"""Finds the folder of a model: a path, the shipped demo model, what is here of a hub, or what is fetched from there.

Not for loading weights.
"""

from __future__ import annotations

from pathlib import Path

from trainer.config import Recipe, resolve_model_path
from trainer.config.model_names import HubModel, hub_model
from trainer.data.hub.models import DownloadProgress, cached_snapshot, fetch_model
from trainer.data.model_files import check_model_files
from trainer.data.registry import near_match
from trainer.errors import UserError

_SHIPPED = "shipped:"


def find_model_folder(
    name: str | None,
    *,
    cache_dir: str | None = None,
    revision: str | None = None,
    hub: str | None = None,
    download: bool = False,
) -> Path:
    """The folder that holds config and tokenizer of the model `name`; its weights may be missing.

    `shipped:demo_model` is the folder beside the shipped data. A model of a hub is looked for in its cache; with
    `download`, config and tokenizer are fetched when they are not there.

    Raises: UserError when there is no such folder (with a near match among its neighbours) or no such cached model.
    """
    place = _local_or_hub(name, revision, hub)
    if isinstance(place, Path):
        return place
    cached = cached_snapshot(place, cache_dir)
    if cached is not None and (cached / "config.json").exists():
        return cached
    if download:
        return fetch_model(place, cache_dir=cache_dir, weights=False)
    raise UserError(
        f"neither a folder nor a model in the {_HUB_NAMES[place.hub]} cache",
        field="model_name_or_path",
        value=name,
        hint=_neighbour(Path(resolve_model_path(str(name))))
        or "It will be downloaded when the training starts, if the hub can be reached",
    )


def whole_model_folder(
    name: str | None,
    *,
    cache_dir: str | None = None,
    revision: str | None = None,
    hub: str | None = None,
    refresh: bool = False,
    progress: DownloadProgress | None = None,
) -> Path:
    """The folder of the model `name` with its weights, which are fetched from the hub when they are not here.

    What is whole here is used without asking the hub, at the state that it had when it was fetched; with `refresh` the
    hub is asked for a newer one. A folder of one's own is not looked into.

    Raises: UserError; what `progress` raises.
    """
    place = _local_or_hub(name, revision, hub)
    if isinstance(place, Path):
        return place
    cached = None if refresh else cached_snapshot(place, cache_dir)
    if cached is not None and is_whole(cached):
        return cached
    return fetch_model(place, cache_dir=cache_dir, progress=progress)


def recipe_model_folder(recipe: Recipe, *, progress: DownloadProgress | None = None) -> Path:
    """The folder of a recipe's model with its weights, as `whole_model_folder`."""
    model = recipe.model
    return whole_model_folder(
        model.model_name_or_path,
        cache_dir=model.cache_dir,
        revision=model.model_revision,
        hub=model.model_hub,
        progress=progress,
    )


def recipe_hub_model(recipe: Recipe) -> HubModel | None:
    """The model of a recipe on its hub; None for folders."""
    model = recipe.model
    if not model.model_name_or_path:
        return None
    return hub_model(model.model_name_or_path, hub=model.model_hub, revision=model.model_revision)


def is_whole(folder: Path) -> bool:
    """Whether all files are there that a model, or an adapter, is loaded from."""
    if (folder / "adapter_model.safetensors").exists():
        return True
    try:
        check_model_files(folder)
    except UserError:
        return False
    return True


_HUB_NAMES = {"huggingface": "Hugging Face", "modelscope": "ModelScope"}


def _local_or_hub(name: str | None, revision: str | None, hub: str | None) -> Path | HubModel:
    """Raises: UserError for what is neither a folder nor a name of a hub."""
    if not name:
        hint = "Set model_name_or_path to a model folder or a hub id"
        raise UserError("no model is chosen", field="model_name_or_path", hint=hint)
    folder = Path(resolve_model_path(name))
    if folder.is_dir():
        return folder
    found = hub_model(name, hub=hub, revision=revision)
    if found is None:
        raise UserError(
            "the model folder does not exist",
            field="model_name_or_path",
            value=name,
            hint=_neighbour(folder) or "Check the path, or give a hub id (owner/name)",
        )
    return found


def _neighbour(folder: Path) -> str:
    """A hint that names the folder or file of almost the same name beside the one that is missing."""
    parent = folder.parent
    while not parent.is_dir() and parent != parent.parent:
        folder, parent = parent, parent.parent
    try:
        names = tuple(path.name for path in parent.iterdir() if path.is_dir())
    except OSError:
        return ""
    match = near_match(folder.name, names)
    return f"{match} (in {parent})" if match else ""
