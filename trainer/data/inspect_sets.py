"""What data sets there are and what they are good for, from their entries and first rows. Not for all their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from trainer.config import resolve_dataset_dir
from trainer.data.formats import RowFormat, fits, row_format, stages_for
from trainer.data.hub import NotDownloadedError, entry_files, registry_file
from trainer.data.messages import RawRow
from trainer.data.registry import INFO_FILE, DatasetEntry, find_dataset, scan_info
from trainer.data.registry.parse import parse_entry
from trainer.data.registry.remote_names import ONLINE, registry_repository
from trainer.data.sources import read_rows
from trainer.errors import UserError

SAMPLE_ROWS = 20
"""Good rows that a format is detected from."""
_ROWS_LOOKED_AT = 200
_SOURCE_KEYS = ("ms_hub_url", "hf_hub_url", "cloud_file_name", "file_name", "script_url", "om_hub_url")


@dataclass(frozen=True)
class ListedSet:
    """One registered data set."""

    name: str
    source: str
    """What its entry names: a file, a folder, an address."""
    kind: str = "file"
    """`file`, `folder`, `hub` or `cloud`."""
    files: tuple[Path, ...] = ()
    """Its files on this machine."""
    format: RowFormat | None = None
    unfit: str | None = None
    """Why the stage cannot use it."""
    problem: str | None = None
    """Why it cannot be read."""

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that can use it."""
        return () if self.format is None else stages_for(self.format)

    @property
    def size(self) -> int | None:
        """Bytes of its files together."""
        return total_size(self.files) if self.files else None


@dataclass(frozen=True)
class Listing:
    """The data sets of a folder."""

    folder: Path
    info_file: Path | None
    stage: str
    sets: tuple[ListedSet, ...]
    problems: tuple[str, ...] = ()
    """What is wrong with `dataset_info.json`; the sets that could be read are listed all the same."""


def list_sets(dataset_dir: str, stage: str) -> Listing:
    """The registered data sets of a folder, each with what `stage` can do with it."""
    folder = resolve_dataset_dir(dataset_dir)
    try:
        info_file = registry_file(folder, download=False)
        if not info_file.is_file():
            return Listing(folder, None, stage, ())
        info = scan_info(info_file)
    except UserError as error:
        return Listing(folder, None, stage, (), (str(error),))
    sets = tuple(_listed(name, raw, folder, stage) for name, raw in info.values.items())
    return Listing(folder, info_file, stage, sets, tuple(str(problem) for problem in info.problems))


def _listed(name: str, raw: Any, folder: Path, stage: str) -> ListedSet:
    source = next((str(raw[key]) for key in _SOURCE_KEYS if raw.get(key)), "") if isinstance(raw, Mapping) else ""
    listed = ListedSet(name, source)
    try:
        entry = find_dataset(name, folder)
        listed = replace(listed, source=entry_source(entry, source), kind=entry_kind(entry))
        files = entry_files(entry, download=False)
        listed = replace(listed, files=files)
        found = row_format(replace(entry, files=files), sample_rows(files), stage, must_fit=False)
    except NotDownloadedError:
        return listed
    except UserError as error:
        return replace(listed, problem=str(error))
    return replace(listed, format=found, unfit=fits(found, stage))


def entry_kind(entry: DatasetEntry) -> str:
    """Where the rows of a data set are: `file`, `folder` (several files), `hub` or `cloud`."""
    if entry.hub is not None:
        return "cloud" if entry.hub.kind == "cloud" else "hub"
    return "file" if len(entry.files) == 1 else "folder"


def entry_source(entry: DatasetEntry, file_name: str) -> str:
    """What names the rows of a data set: its address, else the file or folder as it is written."""
    return file_name if entry.hub is None else str(entry.hub)


def sample_rows(files: Iterable[Path]) -> list[Mapping[str, Any]]:
    """The first rows that can be read, to detect the format from.

    Raises: UserError when a file cannot be read, or none of the first rows is one.
    """
    looked_at = islice((row for file in files for row in read_rows(file)), _ROWS_LOOKED_AT)
    bad = None
    samples: list[Mapping[str, Any]] = []
    for row in looked_at:
        if isinstance(row, RawRow):
            samples.append(row.value)
            if len(samples) == SAMPLE_ROWS:
                break
        else:
            bad = bad or row
    if not samples and bad is not None:
        raise UserError(f"none of the first rows can be read: {bad}")
    return samples


def with_stated_format(entry: DatasetEntry, stated: Mapping[str, Any]) -> DatasetEntry:
    """The same data set, its rows read as `stated` says: an entry of `dataset_info.json` without its source.

    Raises: UserError for an entry that says something wrong.
    """
    raw = parse_entry(entry.name, {**stated, "file_name": "rows"}, Path(INFO_FILE))
    return replace(entry, formatting=raw.formatting, columns=raw.columns, tags=raw.tags, ranking=raw.ranking)


def registry_for_writing(dataset_dir: str) -> Path:
    """The `dataset_info.json` that a new entry goes into. Never the one that came with trimtab.

    Raises: UserError for a folder on a hub.
    """
    if dataset_dir == "data":
        return Path("data") / INFO_FILE
    folder = resolve_dataset_dir(dataset_dir)
    if registry_repository(folder) is not None or str(folder) == ONLINE:
        hint = "Choose a folder on this machine"
        raise UserError("nothing can be registered there", field="dataset_dir", value=dataset_dir, hint=hint)
    return folder / INFO_FILE


def total_size(files: Iterable[Path]) -> int:
    """Bytes of files together; one that is gone counts as empty."""
    return sum(file.stat().st_size for file in files if file.is_file())
