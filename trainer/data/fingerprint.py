"""What identifies the data of a run: the SHA-256 of each file, for run.json. Not for caching."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import Recipe
from trainer.data.file_digest import file_digest
from trainer.data.hub import entry_files
from trainer.data.pipeline import locate
from trainer.data.registry import split_names


@dataclass(frozen=True)
class FileFingerprint:
    """One data file as it was when the run was made."""

    path: str
    size: int
    """Bytes."""
    sha256: str


def fingerprint(recipe: Recipe) -> tuple[FileFingerprint, ...]:
    """The data files of a recipe, in the order in which they are read, each once.

    Raises: UserError when one is not there or cannot be read.
    """
    names = split_names(recipe.data.dataset) + split_names(recipe.data.eval_dataset)
    entries = (locate(name, recipe.data.dataset_dir) for name in names)
    files = dict.fromkeys(file for entry in entries for file in entry_files(entry, download=False))
    return tuple(FileFingerprint(str(file.resolve()), file.stat().st_size, file_digest(file)) for file in files)
