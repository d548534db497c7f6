"""What the README of a hub data set says about its subsets and splits: the `configs` in the block at its beginning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.data.registry.entry import DatasetEntry
from trainer.data.registry.names import near_match
from trainer.errors import UserError

_BLOCK = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Configuration:
    """One subset."""

    name: str
    splits: Mapping[str, tuple[str, ...]]
    """Patterns of file names for each split; none: the names of the files tell."""
    folder: str = ""
    is_default: bool = False

    def holds(self, name: str) -> bool:
        """Whether a file may belong to this subset."""
        return not self.folder or name.startswith(f"{self.folder}/")

    def is_in(self, split: str, name: str) -> bool:
        """Whether a file belongs to a split that is stated."""
        inside = name.removeprefix(f"{self.folder}/") if self.folder else name
        return any(_expression(pattern).fullmatch(path) for pattern in self.splits[split] for path in (inside, name))


def read_configurations(card: str) -> dict[str, Configuration]:
    """The subsets that a README states; none if it states none in a form that is understood."""
    import yaml

    block = _BLOCK.match(card)
    if block is None:
        return {}
    try:
        content = yaml.safe_load(block.group(1))
    except (yaml.YAMLError, ValueError):
        return {}
    stated = content.get("configs") if isinstance(content, dict) else None
    found = [_configuration(item) for item in stated if isinstance(item, dict)] if isinstance(stated, list) else []
    return {item.name: item for item in found}


def choose_configuration(entry: DatasetEntry, configurations: Mapping[str, Configuration]) -> Configuration:
    """The subset of an entry; without one the only one, or the one that is the default.

    Raises: UserError that names the subsets.
    """
    known = ", ".join(configurations)
    if entry.subset:
        if entry.subset in configurations:
            return configurations[entry.subset]
        hint = near_match(entry.subset, configurations) or f"Known: {known}"
        raise UserError(f"{entry.hub} has no subset {entry.subset}", field="dataset", value=entry.name, hint=hint)
    if len(configurations) == 1:
        return next(iter(configurations.values()))
    default = next((item for item in configurations.values() if item.is_default), configurations.get("default"))
    if default is None:
        hint = f"Choose one: {known} (hf://owner/name/subset)"
        raise UserError(f"{entry.hub} has several subsets", field="dataset", value=entry.name, hint=hint)
    return default


def _configuration(item: Mapping[str, Any]) -> Configuration:
    folder = str(item.get("data_dir") or "").strip("./")
    name = str(item.get("config_name") or "default")
    return Configuration(name, _splits(item.get("data_files")), folder, item.get("default") is True)


def _splits(stated: Any) -> dict[str, tuple[str, ...]]:
    if isinstance(stated, Mapping):
        return {str(split): _patterns(value) for split, value in stated.items()}
    parts = stated if isinstance(stated, list) else [] if stated is None else [stated]
    splits: dict[str, tuple[str, ...]] = {}
    for part in parts:
        is_named = isinstance(part, Mapping)
        split = str(part.get("split") or "train") if is_named else "train"
        splits[split] = splits.get(split, ()) + _patterns(part.get("path") if is_named else part)
    return splits


def _patterns(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(item.removeprefix("./") for item in values if isinstance(item, str))


def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern of file names: `*` stays in a folder, `**` does not; the name of a folder means all that is in it."""
    parts = re.split(r"(\*\*/?|\*|\?|\[[^\]]*\]|\{[^}]*\})", pattern.rstrip("/"))
    return re.compile("".join(map(_part, parts)) + "(?:/.*)?")


def _part(part: str) -> str:
    if part.startswith("**"):
        return "(?:.*/)?" if part.endswith("/") else ".*"
    if part.startswith("[") and part.endswith("]"):
        return part.replace("[!", "[^")
    if part.startswith("{") and part.endswith("}"):
        return "(?:" + "|".join(re.escape(choice) for choice in part[1:-1].split(",")) + ")"
    return {"*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
