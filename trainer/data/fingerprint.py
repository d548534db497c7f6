"""What identifies the data of a run: the SHA-256 of each file, for run.json. Not for caching."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from trainer.config import Recipe
from trainer.data.pipeline import locate
from trainer.data.registry import split_names
from trainer.errors import UserError


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
    files = dict.fromkeys(file for name in names for file in locate(name, recipe.data.dataset_dir).files)
    return tuple(_fingerprint(file) for file in files)


def _fingerprint(file: Path) -> FileFingerprint:
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return FileFingerprint(str(file.resolve()), file.stat().st_size, digest)
    except OSError as error:
        raise UserError(error.strerror or str(error), file=file, hint="Check its permissions") from error
