"""Rows to dialogues, without a model: what the tests of the formats share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trainer.data import BadRow, Message, Row, SourceReference
from trainer.data.formats import RowConverter, row_format
from trainer.data.messages import BadRowError, RawRow
from trainer.data.registry import Columns, DatasetEntry, Tags

FILE = Path("rows.jsonl")
OPENAI_TAGS = Tags("role", "content", "user", "assistant", "tool", "function_call", "system")


def stated(
    formatting: str | None = None,
    columns: dict[str, str] | None = None,
    tags: Tags | None = None,
    ranking: bool = False,
) -> DatasetEntry:
    """A registered data set; as in `dataset_info.json`, `columns` names all columns there are."""
    none = dict.fromkeys(("prompt", "query", "response", "history", "system", "tools"))
    named = None if columns is None else Columns(**{**none, **columns})
    return DatasetEntry("mine", (FILE,), formatting, named, tags, ranking)


UNREGISTERED = DatasetEntry("mine", (FILE,))


def convert_all(
    rows: Sequence[RawRow | BadRow], stage: str = "sft", entry: DatasetEntry = UNREGISTERED, **options: Any
) -> list[Row | BadRow]:
    """The rows as a data set of its own is converted: the first ones say what the format is."""
    samples = [row.value for row in rows if isinstance(row, RawRow)]
    converter = RowConverter(row_format(entry, samples, stage), stage=stage, **options)
    return [row if isinstance(row, BadRow) else _converted(converter, row) for row in rows]


def convert(row: dict[str, Any], stage: str = "sft", entry: DatasetEntry = UNREGISTERED, **options: Any) -> Row:
    """One good row."""
    [converted] = convert_all([RawRow(row, SourceReference(str(FILE), 1, 1))], stage, entry, **options)
    assert isinstance(converted, Row), str(converted)
    return converted


def refusal(row: dict[str, Any], stage: str = "sft", entry: DatasetEntry = UNREGISTERED, **options: Any) -> BadRow:
    """One bad row."""
    [converted] = convert_all([RawRow(row, SourceReference(str(FILE), 1, 1))], stage, entry, **options)
    assert isinstance(converted, BadRow), str(converted)
    return converted


def _converted(converter: RowConverter, row: RawRow) -> Row | BadRow:
    try:
        return converter.convert(row)
    except BadRowError as error:
        return error.at(row.source)


def said(messages: Iterable[Message]) -> list[tuple[str, str | None]]:
    """Role and content of each message; it must have nothing else."""
    turns = list(messages)
    assert all(message.is_plain() for message in turns)
    return [(message.role, message.content) for message in turns]


def openai(*contents: str) -> list[dict[str, str]]:
    """Messages of a user and an assistant in turn."""
    return [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(contents)]


def sharegpt(*contents: str) -> list[dict[str, str]]:
    """The same with ShareGPT's names."""
    return [{"from": ("human", "gpt")[number % 2], "value": text} for number, text in enumerate(contents)]
