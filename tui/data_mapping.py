"""The mapping of a set's columns, edited: an entry of `dataset_info.json` in, another one out. No screen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.paths import shipped_folder
from tui.data_answers import MappingField

Entry = Mapping[str, object]

FORMATTINGS = ("alpaca", "sharegpt", "openai")
_HOW = ("formatting", "columns", "tags", "ranking")
"""The keys of an entry that say how its rows are read."""
_PLACES = {True: ("prompt", "query", "response", "history", "system", "tools"), False: ("messages", "system", "tools")}
_HUB = re.compile(
    r"(?P<hub>hf|ms)://(?P<id>[^/@:]+/[^/@:]+)(?:/(?P<subset>[^@:]+))?(?:@(?P<revision>[^:]+))?(?::(?P<split>.+))?"
)


def with_value(entry: Entry, field: MappingField, value: str | None) -> dict[str, object]:
    """The entry with another column, or another word, in one place of the mapping; None takes the place out.

    Where nothing is left, nothing is stated: a table without places would say that the rows have none.
    """
    table = "columns" if field.kind == "column" else "tags"
    before = entry.get(table)
    places = dict(before) if isinstance(before, dict) else {}
    if value is None:
        places.pop(field.name, None)
    else:
        places[field.name] = value
    kept = {name: value for name, value in entry.items() if name != table}
    return {**kept, table: places} if places else kept


def all_places(mapping: Sequence[MappingField], entry: Entry) -> tuple[MappingField, ...]:
    """The mapping with the places that rows of this formatting may have too.

    A mapping that states one column is read as what it says so far: prompt alone is plain text. The places that are
    still to be filled must not vanish meanwhile.
    """
    usual = _PLACES[formatting_of(entry) == "alpaca"]
    there = {field.name for field in mapping if field.kind == "column"}
    missing = [MappingField("column", name, None, False) for name in usual if name not in there]
    columns = sorted(
        [*(field for field in mapping if field.kind == "column"), *missing],
        key=lambda field: usual.index(field.name) if field.name in usual else len(usual),
    )
    return (*columns, *(field for field in mapping if field.kind != "column"))


def with_formatting(entry: Entry, formatting: str) -> dict[str, object]:
    """The entry with another kind of rows; its columns and tags are looked for anew, because their names differ."""
    kept = {name: value for name, value in entry.items() if name not in ("columns", "tags")}
    return {**kept, "formatting": formatting}


def with_ranking(entry: Entry, ranking: bool) -> dict[str, object]:
    """The entry for rows with a better and a worse answer, or for rows with one."""
    kept = {name: value for name, value in entry.items() if name not in ("columns", "tags", "ranking")}
    return {**kept, "ranking": True} if ranking else kept


def formatting_of(entry: Entry) -> str:
    """The kind of rows that an entry states; without a word it is alpaca."""
    return str(entry.get("formatting") or "alpaca")


def whole_entry(entry: Entry, name: str, dataset_dir: str, target: str) -> dict[str, object]:
    """The entry with its source, as the `dataset_info.json` of the folder `target` holds it.

    Of a set that is registered in `dataset_dir` everything is kept but how its rows are read. Reads the registry.
    """
    from trainer.data.registry import INFO_FILE, read_info
    from trainer.data.registry.remote_names import remote_entry

    info_file = Path(dataset_dir) / INFO_FILE
    registered = read_info(info_file).get(name) if info_file.is_file() else None
    if isinstance(registered, dict):
        kept = {key: value for key, value in registered.items() if key not in _HOW}
        if "file_name" in kept and Path(target) != Path(dataset_dir):
            kept["file_name"] = str(Path(dataset_dir, str(kept["file_name"])).absolute())
        return {**kept, **entry}
    remote = remote_entry(name, Path(dataset_dir))
    if remote is None or remote.hub is None:
        return {"file_name": _seen_from(target, name), **entry}
    key = "cloud_file_name" if remote.hub.kind == "cloud" else f"{remote.hub.kind}_hub_url"
    chosen = {"subset": remote.subset, "split": remote.split}
    return {key: remote.hub.name, **{part: value for part, value in chosen.items() if value}, **entry}


def folder_for_entries(folder: str) -> str:
    """Where new entries are written: the recipe's folder, or `data` here for the one that came with trimtab."""
    return "data" if Path(folder) == shipped_folder("data") else folder


def suggested_name(name: str) -> str:
    """A name for an entry: that of the set, the file or the repository."""
    place = Path(re.sub(r"[@:][^/]*$", "", name))
    last = place.parent.name if "*" in place.name else place.name
    stem = re.sub(r"(\.(json|jsonl|ndjson|csv|tsv|parquet|arrow|txt|gz))+$", "", last)
    return re.sub(r"[^\w.-]+", "_", stem).strip("_") or "data"


def _seen_from(folder: str, path: str) -> str:
    """A path as the registry writes it: from its own folder where it lies in there, else whole."""
    place = Path(path).expanduser()
    whole = place if place.is_absolute() else Path.cwd() / place
    home = Path(folder).expanduser().absolute()
    return str(whole.relative_to(home)) if whole.is_relative_to(home) else str(whole)
