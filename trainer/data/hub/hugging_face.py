"""Data sets and models of the Hugging Face hub. Token: the environment's `HF_TOKEN`; a mirror: its `HF_ENDPOINT`."""

from __future__ import annotations

import os
import urllib.error
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from trainer.data.hub.place import (
    Answer,
    RemoteFile,
    cannot_write,
    is_about_storing,
    no_access,
    not_found,
    refuse_offline,
    unreachable,
)
from trainer.data.hub.requests import open_address
from trainer.data.registry.entry import RemoteSource
from trainer.errors import UserError
from trainer.paths import hugging_face_cache


class HuggingFace:
    """One data set or model of the hub; its files go into the cache that all clients of the hub share."""

    def __init__(self, source: RemoteSource) -> None:
        self._source = source
        self._name = source.name

    def listing(self) -> tuple[str, tuple[str, ...]]:
        """The commit that the revision means now, and the files in it."""
        from huggingface_hub import HfApi

        refuse_offline(self._source)
        api = HfApi(endpoint=_endpoint(), token=_token())
        try:
            info = api.dataset_info(self._name, revision=self._source.revision, timeout=30)
        except Exception as error:
            raise self.explained(error) from error
        return str(info.sha), tuple(file.rfilename for file in info.siblings or ())

    def files(self) -> tuple[str, tuple[RemoteFile, ...]]:
        """The commit that the revision means now, and the files in it with their sizes."""
        from huggingface_hub import HfApi

        refuse_offline(self._source)
        api = HfApi(endpoint=_endpoint(), token=_token())
        try:
            info = api.model_info(self._name, revision=self._source.revision, files_metadata=True, timeout=30)
        except Exception as error:
            raise self.explained(error) from error
        # A model that was given another name answers under it; to the old one no token is sent along.
        self._name = str(info.id or self._name)
        found = []
        for file in info.siblings or ():
            sha256 = file.lfs.sha256 if file.lfs is not None else None
            found.append(RemoteFile(file.rfilename, file.size, sha256, None if sha256 else file.blob_id))
        return str(info.sha), tuple(found)

    def open(self, name: str, state: str, start: int) -> Answer:
        """A file at a commit, from the byte `start` on."""
        from huggingface_hub import constants

        endpoint = _endpoint() or constants.ENDPOINT
        address = f"{endpoint}/{self._name}/resolve/{quote(state, safe='')}/{quote(name)}"
        return open_address(address, token=_token() or None, start=start)

    def read_card(self, state: str) -> str | None:
        """The text of README.md."""
        from huggingface_hub.errors import EntryNotFoundError

        try:
            return self._download("README.md", state).read_text(encoding="utf-8", errors="replace")
        except EntryNotFoundError:
            return None
        except Exception as error:
            raise self.explained(error) from error

    def fetch(self, name: str, state: str) -> Path:
        """A file at a commit."""
        try:
            return self._download(name, state)
        except Exception as error:
            raise self.explained(error) from error

    def _download(self, name: str, commit: str) -> Path:
        from huggingface_hub import hf_hub_download
        from tqdm import tqdm

        class Silent(tqdm):
            """No bar: the caller shows the progress."""

            def __init__(self, *arguments: Any, **options: Any) -> None:
                options.pop("name", None)
                super().__init__(*arguments, **{**options, "disable": True})

        return Path(
            hf_hub_download(
                self._source.name,
                name,
                repo_type="dataset",
                revision=commit,
                cache_dir=hugging_face_cache(),
                token=_token(),
                endpoint=_endpoint(),
                tqdm_class=Silent,
            )
        )

    def explained(self, error: Exception) -> UserError:
        """What an error of the client means; it has a dozen kinds for a handful of causes."""
        from huggingface_hub import constants
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        source = self._source
        endpoint = _endpoint() or constants.ENDPOINT
        if isinstance(error, GatedRepoError):
            return no_access(source, self._page(endpoint), "HF_TOKEN")
        if isinstance(error, RevisionNotFoundError):
            problem = f"{source.kind}://{source.name} has no revision {source.revision}"
            return UserError(problem, field=source.field, hint="Give a branch, a tag or a commit of it")
        if isinstance(error, RepositoryNotFoundError):
            return not_found(source, endpoint, "HF_TOKEN")
        if isinstance(error, HFValidationError):
            return UserError(
                f"{source}: not a name of a {source.noun}", field=source.field, hint="Write hf://owner/name"
            )
        if isinstance(error, urllib.error.HTTPError) and error.code in (401, 403):
            return no_access(source, self._page(endpoint), "HF_TOKEN")
        if isinstance(error, HfHubHTTPError | urllib.error.HTTPError):
            status = error.code if isinstance(error, urllib.error.HTTPError) else error.response.status_code
            hint = "Try again later; 429 means too many requests, which HF_TOKEN helps with"
            return UserError(f"{source}: {endpoint} answered with error {status}", field=source.field, hint=hint)
        if is_about_storing(error):
            return cannot_write(hugging_face_cache(), error)
        return unreachable(source, endpoint, getattr(error, "reason", None) or error, "HF_ENDPOINT")

    def _page(self, endpoint: str) -> str:
        folder = "datasets/" if self._source.holds == "dataset" else ""
        return f"{endpoint}/{folder}{self._name}"


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _token() -> str | Literal[False]:
    """Never a token that another program left on this machine."""
    return os.environ.get("HF_TOKEN") or False
