"""Data files in cloud storage (`s3://`, `gs://` and what else fsspec knows), a single one or a folder of them."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

from trainer.data.hub.place import refuse_offline, save
from trainer.data.registry.entry import RemoteSource
from trainer.data.sources import is_data_file
from trainer.errors import UserError
from trainer.paths import cache_folder

_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


class Cloud:
    """One address. Keys and regions are those that the storage's own package finds in the environment."""

    def __init__(self, source: RemoteSource) -> None:
        self._source = source
        self._files: dict[str, dict[str, Any]] = {}
        self._storage: Any = None

    def listing(self) -> tuple[str, tuple[str, ...]]:
        """A digest over size and version of each file, and their names."""
        refuse_offline(self._source)
        self._storage, path = self._opened()
        try:
            names = self._names(path)
            self._files = {name: self._storage.info(name) for name in names}
        except Exception as error:
            raise self._explained(error) from error
        lines = (f"{name} {info.get('size')} {_version(info)}" for name, info in self._files.items())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest(), names

    def read_card(self, state: str) -> str | None:
        """Files in cloud storage have no description."""
        return None

    def fetch(self, name: str, state: str) -> Path:
        """A file of the listing."""
        target = cache_folder() / "hub" / "cloud" / state[:20] / PurePosixPath(name).name
        if target.is_file():
            return target
        try:
            with self._storage.open(name, "rb") as stream:
                save(stream, target, size=self._files[name].get("size"))
        except UserError:
            raise
        except Exception as error:
            raise self._explained(error) from error
        return target

    def _opened(self) -> tuple[Any, str]:
        scheme = self._source.name.partition("://")[0]
        try:
            from fsspec.core import url_to_fs

            storage, path = url_to_fs(self._source.name)
        except ImportError as error:
            package = _PACKAGES.get(scheme, "fsspec")
            problem = f"reading {scheme}:// needs the package {package}"
            raise UserError(problem, field="dataset", hint=f"Install it: pip install {package}") from error
        except ValueError as error:
            problem = f"{self._source}: addresses of the kind {scheme}:// are not known"
            raise UserError(problem, field="dataset", hint="Use s3:// or gs://") from error
        return storage, path

    def _names(self, path: str) -> tuple[str, ...]:
        """The file at the address, or the data files of the folder there."""
        if not self._storage.isdir(path):
            return (path,)
        inside = sorted(name for name in self._storage.ls(path, detail=False) if is_data_file(Path(name)))
        if not inside:
            raise FileNotFoundError("no data files in this folder")
        return tuple(inside)

    def _explained(self, error: Exception) -> UserError:
        """The storage packages have error types of their own; what they say is all that is common to them."""
        if isinstance(error, FileNotFoundError):
            hint = "Check the address, and that your keys may read it"
            return UserError(f"{self._source}: no such file", field="dataset", hint=hint)
        said = str(error).strip().split("\n", 1)[0] or type(error).__name__
        return UserError(f"{self._source} cannot be read: {said}", field="dataset", hint="Check keys and network")


def _version(info: dict[str, Any]) -> object:
    """What changes when a file does; each kind of storage calls it differently."""
    known = ("ETag", "etag", "md5Hash", "generation", "LastModified", "mtime", "updated", "created")
    return next((info[key] for key in known if info.get(key)), "")
