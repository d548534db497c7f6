"""Which files of a hub repository are the rows of a split: as its README says, else by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from trainer.data.hub.card import Configuration, choose_configuration, read_configurations
from trainer.data.registry.entry import DatasetEntry
from trainer.data.sources import data_suffix, is_data_file
from trainer.errors import UserError

_DEFAULT_SPLIT = "train"
_SHARD = re.compile(r"(?:^|/)([\w.]+)-\d{4,}-of-\d{4,}[^/]*$")
_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_NO_ROWS = re.compile(r"(?:^|/)(?:\.|README|LICENSE|(?:dataset_infos?|config|state)\.json$|requirements\.txt$)")
_UNREADABLE = (".zip", ".tar", ".gz", ".zst", ".xz", ".bz2", ".xlsx", ".pkl", ".npz", ".h5")


def choose_files(entry: DatasetEntry, names: Sequence[str], read_card: Callable[[], str | None]) -> tuple[str, ...]:
    """The files of the entry's subset, folder and split, out of all files of its repository.

    Raises: UserError that says which subsets or splits there are.
    """
    rows = sorted(name for name in names if is_data_file(Path(name)) and not _NO_ROWS.search(name))
    if not rows:
        raise _nothing_readable(entry, names)
    split = entry.split or _DEFAULT_SPLIT
    if "[" in split:
        hint = "Name the whole split, and use num_samples here or max_samples in the recipe"
        raise UserError("parts of a split cannot be named", field=f"{entry.name}.split", value=split, hint=hint)
    configurations = {} if entry.folder or "README.md" not in names else read_configurations(read_card() or "")
    if configurations:
        chosen = choose_configuration(entry, configurations)
        rows = [name for name in rows if chosen.holds(name)]
        parts = _stated_splits(chosen, rows) or _named_splits(rows, split)
    else:
        rows = _below(entry, rows)
        parts = _named_splits(rows, split)
    files: list[str] = []
    for part in split.split("+"):
        if not parts.get(part):
            known = ", ".join(sorted(key for key, value in parts.items() if value)) or "none"
            hint = f"Choose one of: {known} (hf://owner/name:split)"
            raise UserError(f"{entry.hub} has no split {part}", field="dataset", value=entry.name, hint=hint)
        files += parts[part]
    return _of_one_kind(files)


def _below(entry: DatasetEntry, names: list[str]) -> list[str]:
    """The files of the folder, and of the subset as a folder or as the beginning of the file's name."""
    for kind, value in (("folder", entry.folder), ("subset", entry.subset)):
        if not value:
            continue
        base = value.strip("/")
        inside = [name for name in names if name.startswith(f"{base}/") or f"/{base}/" in name]
        if not inside and kind == "subset":
            inside = [name for name in names if re.match(rf"{re.escape(base)}(?![a-zA-Z0-9])", Path(name).name)]
        if not inside:
            folders = sorted({name.rpartition("/")[0] for name in names} - {""})
            hint = f"There are: {', '.join(folders[:12])}" if folders else "All its files lie at the top: leave it out"
            problem = f"{entry.hub} has no {kind} {value}"
            raise UserError(problem, field="dataset", value=entry.name, hint=hint)
        names = inside
    return names


def _stated_splits(chosen: Configuration, names: list[str]) -> dict[str, list[str]]:
    """The splits that the README states."""
    return {split: [name for name in names if chosen.is_in(split, name)] for split in chosen.splits}


def _named_splits(names: list[str], wanted: str) -> dict[str, list[str]]:
    """The splits that the names of files and folders tell; files that tell none are for training."""
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(_split_of(name, wanted.split("+")), []).append(name)
    for alias, words in _WORDS.items():
        for word in words:
            parts.setdefault(word, parts.get(alias, []))
    return parts


def _split_of(name: str, wanted: Iterable[str]) -> str:
    shard = _SHARD.search(name)
    if shard:
        return shard.group(1)
    parts = (*name.split("/")[:-1], name.rpartition("/")[2].split(".")[0])
    exact = next((part for part in reversed(parts) if part in wanted), None)
    if exact:
        return exact
    for split, words in _WORDS.items():
        if re.search(rf"(?:^|[/._\s-])(?:{'|'.join(words)})(?=[/._\s\d-]|$)", name, re.IGNORECASE):
            return split
    return _DEFAULT_SPLIT


def _of_one_kind(files: list[str]) -> tuple[str, ...]:
    """A repository may hold the same rows as .parquet and as .jsonl: only the kind with most files counts."""
    kinds = Counter(data_suffix(Path(name)).removesuffix(".gz") for name in files)
    kind = kinds.most_common(1)[0][0]
    return tuple(name for name in files if data_suffix(Path(name)).removesuffix(".gz") == kind)


def _nothing_readable(entry: DatasetEntry, names: Sequence[str]) -> UserError:
    if any(name.endswith(".py") for name in names):
        problem = f"{entry.hub} is made by a script, which would run foreign code and is refused"
        is_hf = entry.hub is not None and entry.hub.kind == "hf"
        hint = "Try its converted copy: add @refs/convert/parquet" if is_hf else "Look for a copy with data files"
    else:
        other = sorted({Path(name).suffix for name in names if name.endswith(_UNREADABLE)})
        problem = f"{entry.hub} holds no data files that can be read" + (f" (only {', '.join(other)})" if other else "")
        hint = "Download and convert it to .jsonl, then give the path"
    return UserError(problem, field="dataset", value=entry.name, hint=hint)
