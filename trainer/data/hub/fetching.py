"""Which files on this machine a data set has, fetching them if they are not here yet and that is wanted."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from trainer.data.hub.cloud import Cloud
from trainer.data.hub.hugging_face import HuggingFace
from trainer.data.hub.modelscope import ModelScope
from trainer.data.hub.place import Place, writing
from trainer.data.hub.selection import choose_files
from trainer.data.registry.entry import DatasetEntry, RemoteSource
from trainer.data.registry.info_file import INFO_FILE
from trainer.data.registry.remote_names import registry_repository
from trainer.data.sources import is_data_file
from trainer.errors import UserError
from trainer.paths import cache_folder

FetchProgress = Callable[[str, int, int], None]
"""Called before each file with its name, its number (from 1) and how many there are."""


class NotDownloadedError(UserError):
    """The data set is known, but its files are not on this machine and were not to be fetched."""


@dataclass(frozen=True)
class _Record:
    """What was fetched for a data set, kept beside the files."""

    source: str
    state: str
    files: tuple[str, ...]

    def paths(self) -> tuple[Path, ...] | None:
        """The files, if all of them are still there."""
        paths = tuple(Path(file) for file in self.files)
        return paths if paths and all(path.is_file() for path in paths) else None


def entry_files(
    entry: DatasetEntry, *, download: bool, refresh: bool = False, progress: FetchProgress | None = None
) -> tuple[Path, ...]:
    """The data files of an entry, on this machine.

    What was fetched once is used again without asking the network, at the state that it had then; with `refresh` the
    newest state is fetched instead.

    Raises: NotDownloadedError if files are missing and `download` is off; UserError if they cannot be fetched.
    """
    if entry.hub is None:
        return entry.files
    record = None if refresh else _read_record(entry)
    files = record.paths() if record else None
    if files:
        return files
    if not download:
        problem = f"the data set is not on this machine ({entry.hub})"
        hint = "It is downloaded when the training starts, if the network is there"
        raise NotDownloadedError(problem, field="dataset", value=entry.name, hint=hint)
    return _fetch(entry, entry.hub, progress)


def fetched_state(entry: DatasetEntry) -> str | None:
    """The commit (or the digest) of what was fetched for an entry; None for local files and for what is not here."""
    record = _read_record(entry) if entry.hub else None
    return record.state if record and record.paths() else None


def registry_file(dataset_dir: Path, *, download: bool) -> Path:
    """The `dataset_info.json` of a data folder, which for `REMOTE:owner/name` is a data set of the Hugging Face hub.

    Raises: NotDownloadedError, UserError.
    """
    repository = registry_repository(dataset_dir)
    if repository is None:
        return dataset_dir / INFO_FILE
    entry = DatasetEntry(INFO_FILE, (), hub=RemoteSource("hf", repository, path=INFO_FILE))
    return entry_files(entry, download=download)[0]


def _fetch(entry: DatasetEntry, source: RemoteSource, progress: FetchProgress | None) -> tuple[Path, ...]:
    place = _place(source)
    state, names = place.listing()
    if source.kind == "cloud":
        chosen = names
    elif source.path is None:
        chosen = choose_files(entry, names, lambda: place.read_card(state))
    else:
        chosen = _at_path(entry, source, source.path, names)
    files = []
    for number, name in enumerate(chosen, start=1):
        if progress is not None:
            progress(name, number, len(chosen))
        files.append(place.fetch(name, state))
    _write_record(entry, _Record(str(source), state, tuple(map(str, files))))
    return tuple(files)


def _at_path(entry: DatasetEntry, source: RemoteSource, path: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The one file, or the data files of the folder, that a registry on a hub names."""
    below = path.rstrip("/") + "/"
    chosen = tuple(name for name in names if name == path or (name.startswith(below) and is_data_file(Path(name))))
    if not chosen:
        hint = "Check file_name in its dataset_info.json"
        raise UserError(f"{source} holds no {path}", field="dataset", value=entry.name, hint=hint)
    return chosen


def _place(source: RemoteSource) -> Place:
    if source.kind == "hf":
        return HuggingFace(source)
    return ModelScope(source) if source.kind == "ms" else Cloud(source)


def _record_file(entry: DatasetEntry) -> Path:
    assert entry.hub is not None
    asked = [*asdict(entry.hub).values(), entry.subset, entry.split, entry.folder, os.environ.get("HF_ENDPOINT")]
    key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:20]
    return cache_folder() / "hub" / "fetched" / f"{key}.json"


def _read_record(entry: DatasetEntry) -> _Record | None:
    try:
        content = json.loads(_record_file(entry).read_bytes())
        return _Record(content["source"], content["state"], tuple(content["files"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_record(entry: DatasetEntry, record: _Record) -> None:
    file = _record_file(entry)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
        temporary.replace(file)
