"""One data set as it is registered or named: its files or where they are, and how its rows are to be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Columns:
    """The names that the columns have in the file. None: the row has no such column."""

    prompt: str | None = "instruction"
    query: str | None = "input"
    response: str | None = "output"
    history: str | None = "history"
    system: str | None = "system"
    tools: str | None = "tools"
    messages: str | None = None
    images: str | None = None
    videos: str | None = None
    audios: str | None = None
    chosen: str | None = None
    rejected: str | None = None
    kto_tag: str | None = None


@dataclass(frozen=True)
class Tags:
    """The keys and role names of a conversation's messages."""

    role_tag: str = "from"
    content_tag: str = "value"
    user_tag: str = "human"
    assistant_tag: str = "gpt"
    observation_tag: str = "observation"
    function_tag: str = "function_call"
    system_tag: str = "system"


@dataclass(frozen=True)
class RemoteSource:
    """Files that are not on this machine until they are downloaded."""

    kind: Literal["hf", "ms", "cloud"]
    """The Hugging Face hub, ModelScope, or storage that is named by an address (`s3://...`)."""
    name: str
    """`owner/name` on a hub; the address in cloud storage."""
    revision: str | None = None
    """Branch, tag or commit on a hub. None: the newest state."""
    path: str | None = None
    """One file or folder in it, instead of choosing by subset and split."""
    holds: Literal["dataset", "model"] = "dataset"
    """Rows, or the files of a model (or of an adapter): hubs keep the two apart."""

    @property
    def field(self) -> str:
        """The parameter that names such a source."""
        return "dataset" if self.holds == "dataset" else "model_name_or_path"

    @property
    def noun(self) -> str:
        """What errors call it."""
        return "data set" if self.holds == "dataset" else "model"

    def __str__(self) -> str:
        address = self.name if self.kind == "cloud" else f"{self.kind}://{self.name}"
        return f"{address}@{self.revision}" if self.revision else address


@dataclass(frozen=True)
class DatasetEntry:
    """One data set: its files and how its rows are to be read. None: to be detected from the rows."""

    name: str
    files: tuple[Path, ...]
    """Empty for a data set that is elsewhere: `trainer.data.hub.entry_files` knows its files."""
    formatting: str | None = None
    columns: Columns | None = None
    tags: Tags | None = None
    ranking: bool = False
    num_samples: int | None = None
    """Draw this many rows by the seed, some more than once if there are fewer. None: all rows as they come."""
    split: str | None = None
    """Which part of a hub data set; None: `train`."""
    subset: str | None = None
    folder: str | None = None
    hub: RemoteSource | None = None
