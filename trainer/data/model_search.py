"""Looks for models on this machine: in usual folders, not deep and not long, and in the caches of the hubs."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.config.model_names import HubModel
from trainer.data.hub.models import cached_models
from trainer.data.model_folder import is_whole

_DEEPEST = 3
_MOST_FOLDERS = 3000
_SECONDS = 2.0
# Where no models lie, or only copies of them.
_PASSED_OVER = {"node_modules", "site-packages", "__pycache__", "checkpoints", "runs", "proc", "sys", "dev"}


@dataclass(frozen=True)
class FoundModel:
    """A model that is here."""

    folder: Path
    bytes: int
    """Of its weights."""
    is_whole: bool
    hub: HubModel | None = None
    """Where it was downloaded from; None for a folder of the user's."""


def usual_places() -> list[Path]:
    """Folders that may hold models: the current one, `models` at home and at the root, the cache of ModelScope."""
    home = Path.home()
    scope = Path(os.environ.get("MODELSCOPE_CACHE") or home / ".cache" / "modelscope" / "hub")
    return [Path.cwd(), home / "models", Path("/models"), scope / "models"]


def local_models(places: Iterable[Path] | None = None, *, seconds: float = _SECONDS) -> list[FoundModel]:
    """Folders with a model in or below these places, nearest first; what cannot be read is passed over."""
    found: dict[Path, FoundModel] = {}
    until = time.monotonic() + seconds
    for folder in _folders(usual_places() if places is None else places, until):
        if not _is_model(folder):
            continue
        real = folder.resolve()
        if real not in found:
            found[real] = FoundModel(folder, weight_bytes(folder), is_whole(folder))
    return list(found.values())


def downloaded_models(cache_dir: str | None = None) -> list[FoundModel]:
    """Models in the caches of the hubs of which at least the configuration is here."""
    return [
        FoundModel(folder, weight_bytes(folder), is_whole(folder), hub)
        for hub, folder in cached_models(cache_dir)
        if (folder / "config.json").exists()
    ]


def weight_bytes(folder: Path) -> int:
    """The size of the safetensors directly in a folder."""
    try:
        return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    except OSError:
        return 0


def _folders(places: Iterable[Path], until: float) -> Iterator[Path]:
    """Folders level by level; a folder that is a model is not looked into."""
    waiting = deque((place, 0) for place in places)
    seen = 0
    while waiting and seen < _MOST_FOLDERS and time.monotonic() < until:
        folder, depth = waiting.popleft()
        seen += 1
        yield folder
        if depth >= _DEEPEST or _is_model(folder):
            continue
        try:
            with os.scandir(folder) as entries:
                inside = sorted(
                    entry.name
                    for entry in entries
                    if not entry.name.startswith(".") and entry.name not in _PASSED_OVER and entry.is_dir()
                )
        except OSError:
            continue
        waiting.extend((folder / name, depth + 1) for name in inside)


def _is_model(folder: Path) -> bool:
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        return False
    return next(folder.glob("*.safetensors"), None) is not None
