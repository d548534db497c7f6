"""Data sets and models of ModelScope, through its public file interface.

The token is the environment's `MODELSCOPE_API_TOKEN`. The server can be named with `MODELSCOPE_DOMAIN`, as in
ModelScope's own client.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import urllib.error
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.data.hub.place import (
    Answer,
    RemoteFile,
    is_inside,
    no_access,
    not_found,
    refuse_offline,
    save,
    unreachable,
)
from trainer.data.hub.requests import open_address
from trainer.data.registry.entry import RemoteSource
from trainer.errors import UserError
from trainer.paths import cache_folder

_TOKEN = "MODELSCOPE_API_TOKEN"
_FILES_A_PAGE = 200
_SMALLEST_FULL_PAGE = 50


@dataclass(frozen=True)
class _File:
    path: str
    size: int | None
    sha256: str | None
    is_folder: bool


class ModelScope:
    """One data set or model of ModelScope; its files go into our own cache, one folder for each state."""

    def __init__(self, source: RemoteSource) -> None:
        self._source = source
        self._files: dict[str, _File] = {}

    def listing(self) -> tuple[str, tuple[str, ...]]:
        """A digest over the digests of all files, and their names. (The interface tells no commit of a branch.)"""
        refuse_offline(self._source)
        self._files = {file.path: file for file in self._walk("")}
        if not self._files:
            raise not_found(self._source, _endpoint(), _TOKEN)
        return self._state(), tuple(self._files)

    def files(self) -> tuple[str, tuple[RemoteFile, ...]]:
        """The same digest, and the files of a model with their sizes; the interface lists models all at once."""
        refuse_offline(self._source)
        found = self._listed("repo/files", {"Revision": self._revision, "Recursive": "True"})
        self._files = {file.path: file for file in found if not file.is_folder}
        if not self._files:
            raise not_found(self._source, _endpoint(), _TOKEN)
        return self._state(), tuple(RemoteFile(file.path, file.size, file.sha256) for file in self._files.values())

    def open(self, name: str, state: str, start: int) -> Answer:
        """A file, from the byte `start` on."""
        return self._open("repo", {"Revision": self._revision, "FilePath": name}, start)

    def read_card(self, state: str) -> str | None:
        """The text of README.md."""
        if "README.md" not in self._files:
            return None
        return self.fetch("README.md", state).read_text(encoding="utf-8", errors="replace")

    def fetch(self, name: str, state: str) -> Path:
        """A file of the listing; it is checked against the digest that the listing gave."""
        owner = self._source.name.replace("/", "--")
        target = cache_folder() / "hub" / "ms" / owner / state[:20] / Path(*Path(name).parts)
        if target.is_file():
            return target
        file = self._files[name]
        query = {"Revision": self._revision, "FilePath": name}
        try:
            with self._open("repo", query) as stream:
                save(stream, target, size=file.size, sha256=file.sha256)
        except (OSError, http.client.HTTPException) as error:
            raise self.explained(error) from error
        return target

    def _state(self) -> str:
        lines = (f"{file.path} {file.size} {file.sha256}" for _, file in sorted(self._files.items()))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def _revision(self) -> str:
        return self._source.revision or "master"

    def _walk(self, folder: str) -> Iterator[_File]:
        """All files below a folder, folder by folder: the interface lists data sets so."""
        page, seen = 1, set[str]()
        while True:
            found = [file for file in self._page(folder, page) if file.path not in seen]
            seen.update(file.path for file in found)
            for file in found:
                if file.is_folder:
                    yield from self._walk(file.path)
                else:
                    yield file
            # A server may give less than was asked for, or the same page again.
            if len(found) < _SMALLEST_FULL_PAGE:
                return
            page += 1

    def _page(self, folder: str, page: int) -> list[_File]:
        query = {"Revision": self._revision, "Root": folder, "PageNumber": str(page), "PageSize": str(_FILES_A_PAGE)}
        return self._listed("repo/tree", query)

    def _listed(self, what: str, query: dict[str, str]) -> list[_File]:
        try:
            with self._open(what, query) as stream:
                answer = json.load(stream)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self.explained(error) from error
        data = answer.get("Data") if isinstance(answer, dict) else None
        if not isinstance(data, dict):
            said = answer.get("Message") if isinstance(answer, dict) else answer
            raise UserError(
                f"{self._source}: {_endpoint()} says: {said}", field=self._source.field, hint="Check the name"
            )
        return [_file(item) for item in data.get("Files") or () if is_inside(str(item.get("Path", "")))]

    def _open(self, what: str, query: dict[str, str], start: int = 0) -> Any:
        kind = f"{self._source.holds}s"
        address = f"{_endpoint()}/api/v1/{kind}/{self._source.name}/{what}?{urllib.parse.urlencode(query)}"
        return open_address(address, token=os.environ.get(_TOKEN), start=start)

    def explained(self, error: Exception) -> UserError:
        """What an error of the network, or of an answer, means."""
        source, endpoint = self._source, _endpoint()
        if isinstance(error, urllib.error.HTTPError):
            if error.code in (401, 403):
                return no_access(source, f"{endpoint}/{source.holds}s/{source.name}", _TOKEN)
            if error.code == 404:
                return not_found(source, endpoint, _TOKEN)
            return UserError(
                f"{source}: {endpoint} answered with error {error.code}",
                field=self._source.field,
                hint="Try again later",
            )
        if isinstance(error, ValueError):
            return UserError(
                f"{source}: {endpoint} gave no file list", field=self._source.field, hint="Try again later"
            )
        return unreachable(source, endpoint, getattr(error, "reason", error), "MODELSCOPE_DOMAIN")


def _file(item: dict[str, Any]) -> _File:
    size, sha256 = item.get("Size"), item.get("Sha256")
    return _File(str(item["Path"]), size or None, sha256 or None, item.get("Type") == "tree")


def _endpoint() -> str:
    name = os.environ.get("MODELSCOPE_DOMAIN") or "www.modelscope.cn"
    return (name if "://" in name else f"https://{name}").rstrip("/")
