"""Where things lie: shipped presets and data, the user's own presets and settings, the runs. Not for opening them."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(kind: str) -> Path:
    """The shipped `presets` or `data` folder: inside the installed wheel, else at the root of the checkout."""
    installed = _PACKAGE / "shipped" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    # The XDG specification asks that relative paths be ignored.
    base = Path(value) if value.startswith("/") else Path.home() / fallback
    return base / "trimtab"


def config_folder() -> Path:
    """The user's settings (`settings.toml`) and presets."""
    return _xdg("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path:
    """What the cockpit remembers between starts; may be deleted at any time."""
    return _xdg("XDG_STATE_HOME", ".local/state")


def data_folder() -> Path:
    """What must last and is no setting: the list of all runs."""
    return _xdg("XDG_DATA_HOME", ".local/share")


def cache_folder() -> Path:
    """What can be made or fetched again: prepared rows, downloaded data sets; may be deleted at any time."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def hugging_face_cache() -> Path:
    """Where the clients of the Hugging Face hub keep models and data sets."""
    if os.environ.get("HF_HUB_CACHE"):
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("HF_HOME") or caches / "huggingface").expanduser() / "hub"


def user_presets_folder() -> Path:
    """The user's own presets; one of the same name hides a shipped one."""
    return config_folder() / "presets"


def runs_folder() -> Path:
    """Where new runs are made: `$TRIMTAB_RUNS`, else `runs/` under the current folder."""
    value = os.environ.get("TRIMTAB_RUNS", "")
    return (Path(value).expanduser() if value else Path("runs")).resolve()


def run_index_file() -> Path:
    """A list of all run directories, one path a line, so that runs are found from any folder."""
    return data_folder() / "runs.txt"
