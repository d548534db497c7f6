"""Which files are read as LLaMA-Factory's. Apart from the reading, which most starts do not need."""

from __future__ import annotations

from pathlib import Path

LLAMAFACTORY_SUFFIXES = (".yaml", ".yml", ".json")
"""Files with these endings are LLaMA-Factory's; presets are `.toml`."""


def is_llamafactory(path: Path) -> bool:
    """Whether a file is read as LLaMA-Factory's; the ending tells."""
    return path.suffix.lower() in LLAMAFACTORY_SUFFIXES
