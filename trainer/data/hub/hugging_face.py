"""Data sets of the Hugging Face hub. The token is the environment's `HF_TOKEN`, a mirror its `HF_ENDPOINT`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from trainer.data.hub.place import cannot_write, is_about_storing, no_access, not_found, refuse_offline, unreachable
from trainer.data.registry.entry import RemoteSource
from trainer.errors import UserError
from trainer.paths import hugging_face_cache


class HuggingFace:
    """One data set of the hub; its files go into the cache that all clients of the hub share."""

    def __init__(self, source: RemoteSource) -> None:
        self._source = source

    def listing(self) -> tuple[str, tuple[str, ...]]:
        """The commit that the revision means now, and the files in it."""
        from huggingface_hub import HfApi

        refuse_offline(self._source)
        api = HfApi(endpoint=_endpoint(), token=_token())
        try:
            info = api.dataset_info(self._source.name, revision=self._source.revision, timeout=30)
        except Exception as error:
            raise self._explained(error) from error
        return str(info.sha), tuple(file.rfilename for file in info.siblings or ())

    def read_card(self, state: str) -> str | None:
        """The text of README.md."""
        from huggingface_hub.errors import EntryNotFoundError

        try:
            return self._download("README.md", state).read_text(encoding="utf-8", errors="replace")
        except EntryNotFoundError:
            return None
        except Exception as error:
            raise self._explained(error) from error

    def fetch(self, name: str, state: str) -> Path:
        """A file at a commit."""
        try:
            return self._download(name, state)
        except Exception as error:
            raise self._explained(error) from error

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

    def _explained(self, error: Exception) -> UserError:
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
            return no_access(source, f"{endpoint}/datasets/{source.name}", "HF_TOKEN")
        if isinstance(error, RevisionNotFoundError):
            problem = f"{source.kind}://{source.name} has no revision {source.revision}"
            return UserError(problem, field="dataset", hint="Give a branch, a tag or a commit of it")
        if isinstance(error, RepositoryNotFoundError):
            return not_found(source, endpoint, "HF_TOKEN")
        if isinstance(error, HFValidationError):
            return UserError(f"{source}: not a name of a data set", field="dataset", hint="Write hf://owner/name")
        if isinstance(error, HfHubHTTPError):
            status = getattr(error.response, "status_code", "?")
            hint = "Try again later; 429 means too many requests, which HF_TOKEN helps with"
            return UserError(f"{source}: {endpoint} answered with error {status}", field="dataset", hint=hint)
        if is_about_storing(error):
            return cannot_write(hugging_face_cache(), error)
        return unreachable(source, endpoint, error, "HF_ENDPOINT")


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _token() -> str | bool:
    """Never a token that another program left on this machine."""
    return os.environ.get("HF_TOKEN") or False
