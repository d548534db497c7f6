"""Makes an entry for `dataset_info.json` out of a path or an address. Not for writing it (`registry.register`)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer.data.formats import NEEDED_COLUMNS, row_format
from trainer.data.hub import NotDownloadedError, entry_files
from trainer.data.inspect_sets import sample_rows, with_stated_format
from trainer.data.registry import DatasetEntry, find_dataset, is_pattern, near_match, shortened
from trainer.errors import UserError

_HUB_KEYS = {"hf": "hf_hub_url", "ms": "ms_hub_url", "cloud": "cloud_file_name"}


def new_entry(source: str, folder: Path, stated: Mapping[str, Any]) -> dict[str, Any]:
    """The entry for the rows at `source`, to be registered in `folder`; `stated` are the keys that are given.

    What they leave open of the format is detected, if the rows are on this machine.
    Raises: UserError when there are no such rows, or they are of no known format.
    """
    if "://" not in source and not is_pattern(source) and not Path(source).expanduser().exists():
        raise UserError("there is no such file or folder", file=Path(source).absolute(), hint="Check the path")
    # A bare name would be looked for among the registered ones.
    name = source if "://" in source else str(Path(source).expanduser().absolute())
    found = find_dataset(name, folder)
    stated = {key: value for key, value in stated.items() if value not in (None, {}, False)}
    entry = {**_source(found, name, folder), **_format(with_stated_format(found, stated), stated), **stated}
    if entry.get("split") is None and found.split is not None:
        entry["split"] = found.split
    if entry.get("subset") is None and found.subset is not None:
        entry["subset"] = found.subset
    return entry


def _source(found: DatasetEntry, name: str, folder: Path) -> dict[str, str]:
    if found.hub is not None:
        if found.hub.revision is not None:
            hint = "Leave @revision out, or use the address itself as the data set"
            raise UserError("dataset_info.json has no place for a revision", field="revision", hint=hint)
        return {_HUB_KEYS[found.hub.kind]: found.hub.name}
    inside = os.path.relpath(name, folder.absolute())
    return {"file_name": name if inside.startswith("..") else inside}


def _format(found: DatasetEntry, stated: Mapping[str, Any]) -> dict[str, Any]:
    """The detected part of the format."""
    try:
        files = entry_files(found, download=False)
    except NotDownloadedError:
        return {}
    samples = sample_rows(files)
    _check_columns(stated.get("columns", {}), samples, files[0])
    detected = row_format(replace(found, files=files), samples, None).as_entry()
    return {key: value for key, value in detected.items() if key not in stated}


def _check_columns(columns: Mapping[str, str], samples: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Each column that every row must have stands in the first rows; others may come later.

    Raises: UserError for one that does not.
    """
    names = tuple(dict.fromkeys(name for row in samples for name in row))
    for key, column in columns.items():
        if key in NEEDED_COLUMNS and column not in names:
            hint = near_match(column, names) or f"The rows have: {shortened(names)}"
            raise UserError("the rows have no such column", file=file, field=f"columns.{key}", value=column, hint=hint)
