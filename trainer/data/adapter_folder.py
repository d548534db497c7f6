"""Where the adapters of a recipe are: folders, names below `adapter_folder`, or adapters of a hub. Loads none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainer.config import Recipe
from trainer.config.model_names import hub_model
from trainer.data.hub.models import DownloadProgress, cached_snapshot, fetch_model
from trainer.data.model_folder import is_whole
from trainer.data.registry import near_match
from trainer.errors import UserError

_CONFIG = "adapter_config.json"


def with_found_adapters(recipe: Recipe, *, download: bool, progress: DownloadProgress | None = None) -> Recipe:
    """The recipe with folders in `adapter_name_or_path`, so that nobody else needs to look for them.

    Those of a hub are fetched with `download`; without, what is not here keeps its name.

    Raises: UserError when one is not there, or cannot be fetched; what `progress` raises.
    """
    names = recipe.model.adapter_name_or_path
    if not names:
        return recipe
    found = [str(_found(name, recipe, download=download, progress=progress)) for name in names]
    return recipe.with_values({"model.adapter_name_or_path": found, "model.adapter_folder": None})


def _found(name: str, recipe: Recipe, *, download: bool, progress: DownloadProgress | None) -> Path | str:
    folder = recipe.model.adapter_folder
    for place in _places(name, folder):
        if (place / _CONFIG).is_file():
            return place
    if folder is not None:
        raise _not_below(name, Path(folder).expanduser())
    try:
        on_hub = hub_model(name, hub=recipe.model.model_hub)
        if on_hub is None:
            raise _no_adapter(Path(name).expanduser())
        cached = cached_snapshot(on_hub, recipe.model.cache_dir)
        if cached is not None and (cached / _CONFIG).exists() and is_whole(cached):
            return cached
        return fetch_model(on_hub, cache_dir=recipe.model.cache_dir, progress=progress) if download else name
    except UserError as error:
        message = f"{error.file}: {error.message}" if error.file else error.message
        raise UserError(message, field="adapter_name_or_path", value=name, hint=error.hint) from error


def _places(name: str, folder: str | None) -> Iterator[Path]:
    """Where an adapter may lie, in the order in which it is looked for."""
    own = Path(name).expanduser()
    if folder is None:
        yield own
        return
    yield Path(folder).expanduser() / name
    # As in LLaMA-Factory: the part of the adapter's own folder that holds it.
    yield own / folder


def _no_adapter(folder: Path) -> UserError:
    problem = "holds no adapter (adapter_config.json)" if folder.is_dir() else "the adapter folder does not exist"
    below = sorted(folder.glob(f"checkpoints/*/{_CONFIG}")) if folder.is_dir() else []
    hint = f"Name the checkpoint: {below[-1].parent}" if below else "Name the checkpoint of a run, or a hub id"
    return UserError(problem, hint=hint)


def _not_below(name: str, folder: Path) -> UserError:
    try:
        there = sorted(path.name for path in folder.iterdir() if (path / _CONFIG).is_file())
    except OSError:
        there = []
    known = f"There are: {', '.join(there[:8])}" if there else "It must hold a folder with an adapter_config.json"
    hint = near_match(name, there) or known
    return UserError(f"no such adapter in {folder}", field="adapter_name_or_path", value=name, hint=hint)
