"""Finds data sets by name: registered ones, files, folders, patterns and addresses. Not for what an entry may say
(`parse`), nor for downloading."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainer.data.registry.entry import DatasetEntry, RemoteSource
from trainer.data.registry.info_file import INFO_FILE, DatasetInfo, scan_info
from trainer.data.registry.names import near_match, shortened
from trainer.data.registry.parse import RawEntry, parse_entry
from trainer.data.registry.remote_names import registry_repository, remote_entry
from trainer.data.sources import is_data_file
from trainer.errors import UserError

_KINDS = "json, jsonl, csv, tsv, txt (also .gz of these), parquet or arrow"
_SPLITS = "dataset_dict.json"  # beside the folders of the splits, in what `datasets` saves to disk
_NO_ROWS = (INFO_FILE, "dataset_infos.json", "state.json", _SPLITS)
_CONVERT = "Convert it to .jsonl, one row a line"
_DATA_LIKE = (".xlsx", ".xls", ".zip", ".zst", ".bz2", ".xz", ".gz", ".tar", ".tgz", ".pkl", ".npz", ".yaml", ".yml")


def find_dataset(name: str, dataset_dir: Path, *, also_known: Sequence[str] = ()) -> DatasetEntry:
    """The data set `name`: an entry of `dataset_dir/dataset_info.json`, a file, a folder of files, a pattern with `*`,
    or an address (`hf://owner/name/subset@revision:split`, `ms://...`, `s3://...`).

    Nothing is downloaded: the entry of a data set that is elsewhere has no files but `hub`. `also_known` are names that
    the caller would find elsewhere, for the words about an unknown one.

    Raises: UserError for an unknown name (with a near match), a broken entry, or a file that is not there.
    """
    if not name.strip():
        raise UserError("no data set is named", field="dataset", value=name, hint="Name a data set, a file or a folder")
    info = _info(dataset_dir)
    entries = info.values if info else {}
    if info and name in entries:
        return _registered(name, parse_entry(name, entries[name], info.file), dataset_dir)
    remote = remote_entry(name, dataset_dir)
    if remote is not None:
        return remote
    direct = _direct(name, dataset_dir)
    if direct:
        return DatasetEntry(name, direct)
    if info and info.problems and not entries:
        raise info.problems[0]
    raise _unknown(name, info, dataset_dir, also_known)


def list_datasets(dataset_dir: Path) -> tuple[str, ...]:
    """The registered names that can be read, in the order of the file; empty when there is no `dataset_info.json`.

    Raises: UserError when the file holds no entry that can be read.
    """
    info = _info(dataset_dir)
    if info is None:
        return ()
    if info.problems and not info.entries:
        raise info.problems[0]
    return tuple(info.values)


def _info(dataset_dir: Path) -> DatasetInfo | None:
    if registry_repository(dataset_dir) is not None:
        # The hub's modules know the registry's; only a registry that is itself on the hub needs them here.
        from trainer.data.hub import registry_file

        return scan_info(registry_file(dataset_dir, download=False))
    file = dataset_dir / INFO_FILE
    return scan_info(file) if file.is_file() else None


def _registered(name: str, raw: RawEntry, dataset_dir: Path) -> DatasetEntry:
    files: tuple[Path, ...] = ()
    hub = raw.hub
    if raw.file_name is not None:
        repository = registry_repository(dataset_dir)
        if repository is None:
            files = _found(str(dataset_dir / Path(raw.file_name).expanduser()), name, raw.split)
        else:
            hub = RemoteSource("hf", repository, path=raw.file_name)
    return DatasetEntry(
        name,
        files,
        formatting=raw.formatting,
        columns=raw.columns,
        tags=raw.tags,
        ranking=raw.ranking,
        num_samples=raw.num_samples,
        split=raw.split,
        subset=raw.subset,
        folder=raw.folder,
        hub=hub,
    )


def _direct(name: str, dataset_dir: Path) -> tuple[Path, ...]:
    """The files that a name means as a path, seen from here or from the data folder; none if it is no path."""
    path = Path(name).expanduser()
    has_wildcards = is_pattern(name)
    if not has_wildcards and not is_data_file(path) and "/" not in name and name not in (".", ".."):
        return ()
    for candidate in (path, dataset_dir / path):
        if os.path.lexists(candidate) or (has_wildcards and glob.glob(str(candidate), recursive=True)):  # noqa: PTH207
            return _found(str(candidate), name)
    return ()


def _found(path: str, name: str, split: str | None = None) -> tuple[Path, ...]:
    """The data files that a path, a folder or a pattern stands for.

    Raises: UserError when there is none.
    """
    file = Path(path)
    if file.is_dir():
        return _in_folder(file / (split or "train") if (file / _SPLITS).is_file() else file, name)
    if not os.path.lexists(file) and is_pattern(path):
        return _matching(path, name)
    if not os.path.lexists(file):
        problem, hint = "the data file does not exist", _near_file(file) or f"Put it there, or mend {INFO_FILE}"
        raise UserError(problem, file=file.absolute(), field="dataset", value=name, hint=hint)
    if not is_data_file(file):
        raise _wrong_kind(name, file, _CONVERT)
    return (file,)


def _in_folder(folder: Path, name: str) -> tuple[Path, ...]:
    """All data files of a folder and the folders in it, in the order of their names; hidden ones do not count.

    Raises: UserError when there is none.
    """
    try:
        files = tuple(_walk(folder, frozenset()))
    except OSError as error:
        problem = error.strerror or str(error)
        raise UserError(problem, file=error.filename or folder, hint="Check its permissions") from error
    if files:
        return files
    hint = "Put data files into it, or name the file that you mean"
    raise UserError(f"the folder holds no {_KINDS} files", file=folder, field="dataset", value=name, hint=hint)


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """The data files below a folder. A link to a folder that it lies in itself is not followed again."""
    status = folder.stat()
    here = above | {(status.st_dev, status.st_ino)}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _NO_ROWS:
            continue
        if path.is_dir():
            inside = path.stat()
            if (inside.st_dev, inside.st_ino) not in here:
                yield from _walk(path, here)
        elif is_data_file(path):
            yield path


def is_pattern(text: str) -> bool:
    """Whether a path has wildcards."""
    return any(character in text for character in "*?[")


def _matching(pattern: str, name: str) -> tuple[Path, ...]:
    paths = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207 - pathlib has no absolute patterns
    files = tuple(path for path in paths if is_data_file(path) and path.is_file() and path.name not in _NO_ROWS)
    if files:
        return files
    if paths:
        raise _wrong_kind(name, paths[0], _CONVERT)
    problem = "no file fits the pattern"
    raise UserError(problem, file=Path(pattern).absolute(), field="dataset", value=name, hint="Check the path")


def _wrong_kind(name: str, file: Path, hint: str) -> UserError:
    kind = f"{file.suffix} files" if file.suffix else "files without an extension"
    problem = f"{kind} cannot be read (only {_KINDS})"
    return UserError(problem, file=file, field="dataset", value=name, hint=hint)


def _unknown(name: str, info: DatasetInfo | None, dataset_dir: Path, also_known: Sequence[str]) -> UserError:
    entries = info.values if info else {}
    path = Path(name).expanduser()
    if is_data_file(path) or is_pattern(name) or ("/" in name and not path.suffix):
        places = dict.fromkeys(str((folder / path).absolute()) for folder in (Path(), dataset_dir))
        what = "no file fits the pattern" if is_pattern(name) else "the data file does not exist"
        looked = f"{what}; looked for {' and '.join(places)} (dataset_dir = {dataset_dir})"
        hint = _near_file(path) or _near_file(dataset_dir / path) or "Check the path"
        return UserError(looked, field="dataset", value=name, hint=hint)
    if _looks_like_file(path, dataset_dir):
        is_folder = path.is_dir() or (dataset_dir / path).is_dir()
        return _wrong_kind(name, path, f"For a folder of such files write ./{name}" if is_folder else _CONVERT)
    if info and not info.is_whole:
        problem = f"not among the entries of {info.file} that can be read, and the file is broken: {info.problems[0]}"
        return UserError(problem, field="dataset", value=name)
    if not entries:
        hint = f"There is no {INFO_FILE} there; register the file in one, or give the path of a data file"
        return UserError(f"unknown data set in {dataset_dir}", field="dataset", value=name, hint=hint)
    known = dict.fromkeys((*entries, *also_known))
    hint = near_match(name, known) or f"Known: {shortened(known)}"
    return UserError(f"not registered in {dataset_dir / INFO_FILE}", field="dataset", value=name, hint=hint)


def _looks_like_file(path: Path, dataset_dir: Path) -> bool:
    """A path, or the bare name of a file or folder that lies here; names of data sets may have dots too."""
    known = path.suffix.lower() in _DATA_LIKE or "/" in str(path)
    return known or path.exists() or (dataset_dir / path).exists()


def _near_file(path: Path) -> str:
    """A hint at a file of almost the same name; the endings alone make names alike, so it must be more than that."""
    try:
        return near_match(path.name, tuple(file.name for file in path.parent.iterdir()), cutoff=0.8)
    except OSError:
        return ""
