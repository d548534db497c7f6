"""What the rows of one data set look like and what they are good for. Not for finding it out (`detect`)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from trainer.data.registry import Columns, Tags

_STAGES = {
    "answers": ("sft", "ppo", "grpo", "rloo"),
    "ranked": ("dpo", "rm"),
    "judged": ("kto",),
    "text": ("pt",),
    "prompts": ("ppo", "grpo", "rloo"),
    "column": ("pt", "ppo", "grpo", "rloo"),
}
_KIND_NAMES = {
    "answers": "a data set of questions and answers",
    "ranked": "a ranked data set (chosen, rejected)",
    "judged": "a data set of judged answers (kto_tag)",
    "text": "a data set of plain text",
    "prompts": "a data set of prompts without answers",
    "column": "a data set of texts or prompts alone",
}
_NEEDS = {
    "sft": "rows with a question and an answer",
    "ppo": "prompts",
    "grpo": "prompts",
    "rloo": "prompts",
    "dpo": "chosen and rejected",
    "rm": "chosen and rejected",
    "kto": "an answer and a kto_tag that is true or false",
    "pt": "a column of plain text (columns.prompt)",
}
_COLUMNS_OF = {
    "answers": ("prompt", "query", "response", "history"),
    "judged": ("prompt", "query", "response", "history", "kto_tag"),
    "ranked": ("prompt", "query", "history", "chosen", "rejected"),
    "text": ("prompt",),
    "prompts": ("prompt", "query", "history"),
    "column": ("prompt", "query"),
}
_COLUMNS_OF_CONVERSATIONS = {
    "answers": ("messages",),
    "judged": ("messages", "kto_tag"),
    "ranked": ("messages", "prompt", "query", "chosen", "rejected"),
    "prompts": ("messages",),
}
_COLUMNS_OF_DIALOGUES = ("system", "tools", "images", "videos", "audios")


@dataclass(frozen=True)
class MappedColumn:
    """One line of a mapping table: what a column is used as, its name in the file, and where that is known from."""

    key: str
    """The key in `dataset_info.json`: a name of `Columns` or `Tags`."""
    name: str
    is_tag: bool = False
    is_detected: bool = True
    """Found in the rows; False: stated in the registry."""
    is_present: bool = True
    """The looked-at rows have this column."""


@dataclass(frozen=True)
class RowFormat:
    """How the rows of one data set are read: the shape, the column names and, for conversations, the tags."""

    shape: str
    """`alpaca` (a question and an answer in columns), `conversation` (a list of messages in one column) or `text`."""
    columns: Columns
    tags: Tags = field(default_factory=Tags)
    kind: str = "answers"
    """What a row holds: `answers`, `ranked`, `judged`, `text`, `prompts`, or `column`: one that is text or prompt."""
    is_detected: bool = True
    """Columns were found in the rows; False: the registry names them."""
    tags_are_detected: bool = True
    found: tuple[str, ...] = ()
    """The columns of the rows that were looked at."""

    def describe(self) -> str:
        """One line for people: `conversation (messages: conversations, from, value)`."""
        columns = self.columns
        if self.shape == "conversation":
            names = [f"messages: {columns.messages}"] if columns.messages else []
            names += [self.tags.role_tag, self.tags.content_tag]
        else:
            names = [name for name in (columns.prompt, columns.query) if name]
            names += [columns.response] if self.kind in ("answers", "judged") and columns.response else []
        if self.kind == "ranked":
            names += [str(columns.chosen), str(columns.rejected)]
        elif self.kind == "judged":
            names += [str(columns.kto_tag)]
        kind = f"{self.kind} " if self.kind in ("ranked", "judged", "prompts") else ""
        return f"{kind}{self.shape} ({', '.join(names)})"

    @property
    def mapping(self) -> tuple[MappedColumn, ...]:
        """The columns and tags that are read, those that must be there first."""
        columns = tuple(
            MappedColumn(key, name, is_detected=self.is_detected, is_present=name in self.found)
            for key in self._used_columns()
            if (name := getattr(self.columns, key))
        )
        if self.shape != "conversation":
            return columns
        tags = (
            MappedColumn(tag.name, getattr(self.tags, tag.name), is_tag=True, is_detected=self.tags_are_detected)
            for tag in fields(Tags)
        )
        return (*columns, *tags)

    @property
    def unused(self) -> tuple[str, ...]:
        """Columns of the rows that are not read."""
        used = {column.name for column in self.mapping if not column.is_tag}
        return tuple(name for name in self.found if name not in used)

    def as_entry(self) -> dict[str, Any]:
        """The entry of `dataset_info.json` that states this format (without where the rows are).

        Columns that no looked-at row has are left out: LLaMA-Factory fails at columns that are not there.
        """
        entry: dict[str, Any] = {"formatting": "sharegpt"} if self.shape == "conversation" else {}
        if self.kind == "ranked":
            entry["ranking"] = True
        mapping = self.mapping
        entry["columns"] = {one.key: one.name for one in mapping if not one.is_tag and one.is_present}
        tags = {one.key: one.name for one in mapping if one.is_tag}
        if tags:
            entry["tags"] = tags
        return entry

    def _used_columns(self) -> tuple[str, ...]:
        if self.shape == "text":
            return _COLUMNS_OF["text"]
        own = _COLUMNS_OF_CONVERSATIONS if self.shape == "conversation" else _COLUMNS_OF
        return (*own[self.kind], *_COLUMNS_OF_DIALOGUES)


def stages_for(row_format: RowFormat) -> tuple[str, ...]:
    """The stages that can use such rows."""
    return _STAGES[row_format.kind]


def fits(row_format: RowFormat, stage: str) -> str | None:
    """Why such rows cannot be used in `stage`, in words; None: they can."""
    stages = stages_for(row_format)
    if stage in stages:
        return None
    for_whom = stages[0] if len(stages) == 1 else f"{', '.join(stages[:-1])} and {stages[-1]}"
    needs = f", which needs {_NEEDS[stage]}" if stage in _NEEDS else ""
    return f"{_KIND_NAMES[row_format.kind]} cannot be used for {stage}{needs}; it is for {for_whom}"
