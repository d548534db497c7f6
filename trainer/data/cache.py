"""Encoded rows that are found again: by all that they were made from, so that what is found is never out of date. Not
for how they are written (`row_store`).

The rows of a data set stand in a folder of the cache that is named by a digest of the data files' contents, the chat
template, the tokenizer, the settings and the code of this package; or, with `tokenized_path`, in a folder of the
user's, which is refused when it was made from something else.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.data.file_digest import file_digest
from trainer.data.row_store import MANIFEST, BrokenStoreError, RowStore, open_store, read_key
from trainer.errors import UserError
from trainer.paths import cache_folder

if TYPE_CHECKING:
    from trainer.data.store_encoding import EncodeJob

CACHE_LIMIT = 50 * 2**30
"""Bytes of stored rows; beyond it, those that were not used for the longest time are removed."""

_STAGING = ".staging-"
_ABANDONED_SECONDS = 3600
_IN_WORDS = {
    "files": "the data files",
    "template": "the chat template",
    "tokenizer": "the tokenizer",
    "code": "the version of trimtab",
}


@dataclass(frozen=True)
class RowCache:
    """The place of one data set's encoded rows."""

    folder: Path
    key: Mapping[str, Any]
    """What they are made from, part by part."""
    belongs_to_user: bool
    """`tokenized_path`: is never removed unless the user says so."""
    overwrite: bool

    @classmethod
    def of(cls, job: EncodeJob) -> RowCache | None:
        """Where the rows of a job belong; None: they are not worth storing, or not all rows are wanted."""
        options = job.options
        if options.is_cut_short or not options.keep_rows:
            return None
        if options.tokenized_path is not None:
            folder = Path(options.tokenized_path).expanduser() / _plain(job.entry.name)
            return cls(folder, _key(job), True, options.overwrite_cache)
        if sum(file.stat().st_size for file in job.files) < options.cache_from:
            return None
        key = _key(job)
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return cls(_rows_folder() / digest[:32], key, False, options.overwrite_cache)

    def open(self) -> RowStore | None:
        """The stored rows; None: there are none, or they shall be made anew.

        Raises: UserError when the user's folder holds rows that were made from something else.
        """
        if self.overwrite or not (self.folder / MANIFEST).exists():
            self._refuse_foreign()
            return None
        try:
            known = read_key(self.folder)
            if known != self.key:
                raise self._misfit(known)
            store = open_store(self.folder)
        except BrokenStoreError as error:
            if self.belongs_to_user:
                raise self._problem(f"the rows stored there are damaged ({error})") from error
            return None
        os.utime(self.folder / MANIFEST)
        return store

    def fill(self, encode: Callable[[Path | None], RowStore]) -> RowStore:
        """Encodes into the place: whole or not at all. `encode` gets a folder to write to, or None where the cache
        cannot be written; then the rows are kept for this run alone.

        Raises: UserError when the user's folder cannot be written, or the disk is full.
        """
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            _sweep(self.folder.parent)
            staging = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{os.getpid()}-", dir=self.folder.parent))
        except OSError as error:
            if self.belongs_to_user:
                raise self._problem(f"cannot be written ({error.strerror})") from error
            return encode(None)
        try:
            store = encode(staging)
            self._move(staging)
        except OSError as error:
            if self.belongs_to_user:
                raise self._problem(f"the encoded rows cannot be stored ({error.strerror})") from error
            shutil.rmtree(staging, ignore_errors=True)
            return encode(None)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        if not self.belongs_to_user:
            _drop_oldest(self.folder)
        return store

    def _move(self, staging: Path) -> None:
        if self.folder.exists():
            # Somebody was faster, or it shall be replaced. Who has the old files open keeps them.
            old = staging.with_name(f"{staging.name}-old")
            self.folder.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        staging.rename(self.folder)

    def _refuse_foreign(self) -> None:
        """A folder of the user's that holds other things must not be replaced."""
        if self.belongs_to_user and self.folder.is_dir() and not (self.folder / MANIFEST).exists():
            if any(self.folder.iterdir()):
                raise self._problem(f"{self.folder} holds other files")
        elif self.belongs_to_user and self.folder.exists() and not self.folder.is_dir():
            raise self._problem(f"{self.folder} is no folder")

    def _misfit(self, known: Mapping[str, Any]) -> UserError:
        named = [words for part, words in _IN_WORDS.items() if known.get(part) != self.key[part]]
        old, new = known.get("settings") or {}, self.key["settings"]
        names = sorted({*old, *new})
        named += [
            f"{name} ({old.get(name)} there, {new.get(name)} now)" for name in names if old.get(name) != new.get(name)
        ]
        return self._problem(f"the rows stored there were made with other settings: {', '.join(named)}")

    def _problem(self, problem: str) -> UserError:
        if self.belongs_to_user:
            hint = "Choose another folder, or set overwrite_cache to make the rows anew"
            return UserError(problem, field="tokenized_path", value=str(self.folder.parent), hint=hint)
        return UserError(
            problem, file=self.folder.parent, hint="Make room there, or set XDG_CACHE_HOME to another disk"
        )


def _rows_folder() -> Path:
    return cache_folder() / "data"


def _plain(name: str) -> str:
    """The name of a data set as the name of a folder; different names stay different."""
    plain = re.sub(r"[^\w.-]+", "_", name).strip("._")[:60]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _key(job: EncodeJob) -> dict[str, Any]:
    """All that the encoded rows depend on."""
    options, entry, tokenizer = job.options, job.entry, job.tokenizer
    settings: dict[str, Any] = asdict(options.encode)
    settings |= {
        "default_system": options.default_system,
        "max_samples": options.max_samples,
        "media_dir": str(options.media_folder),
        "formatting": entry.formatting,
        "columns": None if entry.columns is None else asdict(entry.columns),
        "tags": None if entry.tags is None else asdict(entry.tags),
        "ranking": entry.ranking,
    }
    template = tokenizer.template
    return {
        "files": [[str(file), file.stat().st_size, file_digest(file)] for file in job.files],
        "template": None if template is None else _digest([template.__getstate__(), _today(template.text)]),
        "tokenizer": _digest(
            [
                tokenizer.backend.to_str(),
                tokenizer.special_tokens,
                tokenizer.text_begin_ids,
                sorted(tokenizer.own_tokens),
            ]
        ),
        "settings": json.loads(json.dumps(settings)),
        "code": _code_digest(),
    }


def _today(template: str) -> str:
    """The date, for templates that write it."""
    return date.today().isoformat() if "strftime_now" in template else ""


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


@cache
def _code_digest() -> str:
    """Of all modules of this package: whatever changes in them, nothing stored before is used again."""
    digest = hashlib.sha256()
    folder = Path(__file__).resolve().parent
    for file in sorted(folder.rglob("*.py")):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _sweep(folder: Path) -> None:
    """Removes what encodings left behind that were killed."""
    for staging in folder.glob(f"{_STAGING}*"):
        with suppress(OSError, ValueError):
            process = int(staging.name.removeprefix(_STAGING).split("-")[0])
            # A process that is not here may write from another machine with the same home folder.
            touched = max(path.stat().st_mtime for path in (staging, *staging.iterdir()))
            if not Path(f"/proc/{process}").exists() and time.time() - touched > _ABANDONED_SECONDS:
                shutil.rmtree(staging, ignore_errors=True)


def _drop_oldest(newest: Path) -> None:
    """Removes stored rows until all together keep to the limit, those that were used last at last."""
    total = 0
    for folder in sorted(_stored(newest.parent), key=_last_use, reverse=True):
        total += sum(file.stat().st_size for file in folder.iterdir())
        if total > CACHE_LIMIT and folder != newest:
            shutil.rmtree(folder, ignore_errors=True)


def _stored(parent: Path) -> Iterator[Path]:
    return (folder for folder in parent.iterdir() if (folder / MANIFEST).is_file())


def _last_use(folder: Path) -> float:
    try:
        return (folder / MANIFEST).stat().st_mtime
    except OSError:
        return 0.0
