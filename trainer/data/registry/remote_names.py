"""Names of data sets on a hub as one types them: `hf://owner/name/subset@revision:split`. Not for downloading."""

from __future__ import annotations

import re
from pathlib import Path

from trainer.config.model_names import prefers_modelscope
from trainer.data.registry.entry import DatasetEntry, RemoteSource
from trainer.errors import UserError

ONLINE = "ONLINE"
REMOTE = "REMOTE:"

_NAME = re.compile(
    r"(?P<kind>hf|ms)://(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)(?:/(?P<subset>[^@:]+))?"
    r"(?:@(?P<revision>[^:]+))?(?::(?P<split>.+))?"
)
_CLOUD = ("s3://", "s3a://", "gs://", "gcs://", "az://", "abfs://")


def remote_entry(name: str, dataset_dir: Path) -> DatasetEntry | None:
    """The data set that a name in the form of an address stands for; None for all other names.

    With `dataset_dir = "ONLINE"` a plain `owner/name` is a hub name, as in LLaMA-Factory.

    Raises: UserError for an address that names no data set.
    """
    if name.startswith(_CLOUD):
        return DatasetEntry(name, (), hub=RemoteSource("cloud", name))
    address = name
    if str(dataset_dir) == ONLINE and "://" not in name:
        address = f"{'ms' if prefers_modelscope() else 'hf'}://{name}"
    if "://" not in address:
        return None
    match = _NAME.fullmatch(address)
    if match is None:
        scheme = address.partition("://")[0]
        if scheme not in ("hf", "ms"):
            hint = "Use hf://owner/name, ms://owner/name, s3://bucket/file.jsonl or gs://bucket/file.jsonl"
            raise UserError(f"addresses of the kind {scheme}:// are not known", field="dataset", value=name, hint=hint)
        hint = f"Write {scheme}://owner/name, then as needed /subset, @revision and :split"
        raise UserError("not the address of a data set", field="dataset", value=name, hint=hint)
    repository = f"{match['owner']}/{match['name']}"
    source = RemoteSource("hf" if match["kind"] == "hf" else "ms", repository, match["revision"])
    return DatasetEntry(name, (), split=match["split"], subset=match["subset"], hub=source)


def registry_repository(dataset_dir: Path) -> str | None:
    """The hub repository whose `dataset_info.json` is meant by `dataset_dir = "REMOTE:owner/name"`."""
    text = str(dataset_dir)
    return text.removeprefix(REMOTE) if text.startswith(REMOTE) else None
