"""One row as a person looks at it: as it stands in the file, as the template writes it, and as tokens with labels.

The tokens come from the trainer's own encoder. Not for many rows (`pipeline`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trainer.data.dataset import NOT_TRAINED, EncodedExample
from trainer.data.encode import EncodeOptions, RowEncoder
from trainer.data.encoded_row import EncodedRow
from trainer.data.formats import RowConverter
from trainer.data.messages import BadRow, BadRowError, RawRow, Row, SourceReference
from trainer.data.tokenizer import TextTokenizer

_LEFT_OUT = {
    "long": ("the row is longer than cutoff_len and is left out", "Raise cutoff_len, or set on_long_row = truncate"),
    "no_room": ("the prompt alone fills cutoff_len: the row is left out", "Raise cutoff_len"),
    "cut_off": ("cutoff_len ends before the answers begin: the row is left out", "Raise cutoff_len"),
    "unlabelled": ("nothing in the row is learned: it is left out", "Let an answer be learned, or drop the row"),
}


@dataclass(frozen=True)
class RowPart:
    """A row with one of its answers."""

    text: str
    answers: tuple[tuple[int, int], ...]
    """Where in `text` the answers begin and end."""
    ids: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()

    @property
    def trained(self) -> int:
        """Tokens that are learned."""
        return sum(label != NOT_TRAINED for label in self.labels)


@dataclass(frozen=True)
class RowView:
    """One row in all ways of looking at it."""

    source: SourceReference
    raw: str
    problem: BadRow | None = None
    """Why it is not trained on."""
    parts: Mapping[str, RowPart] = field(default_factory=dict)
    """`whole`, or `chosen` and `rejected`; empty where the row cannot be rendered."""
    full_length: int = 0
    """Tokens before the cut; of a ranked row, with the longer answer."""
    length: int = 0
    end_lost: bool = False
    has_end: bool = True
    tag: bool | None = None

    @property
    def is_cut(self) -> bool:
        """Whether `cutoff_len` shortened it."""
        return self.full_length > self.length


def raw_text(row: RawRow) -> str:
    """A row as indented JSON."""
    return json.dumps(row.value, ensure_ascii=False, indent=2, default=str)


class RowViewer:
    """Shows rows of one data set with the tokenizer of one model."""

    def __init__(self, converter: RowConverter, tokenizer: TextTokenizer, options: EncodeOptions) -> None:
        self._converter = converter
        self._stage = options.stage
        self._encoder = RowEncoder(tokenizer, options, short_ways=False)

    def view(self, raw: RawRow) -> RowView:
        """The row as it is read, rendered and tokenized."""
        shown = RowView(raw.source, raw_text(raw))
        try:
            row = self._converter.convert(raw)
            parts = self._rendered(row)
        except BadRowError as error:
            return replace(shown, problem=error.at(raw.source))
        shown = replace(shown, parts=parts)
        [encoded] = self._encoder.encode([row])
        return replace(shown, problem=encoded) if isinstance(encoded, BadRow) else _with_tokens(shown, encoded)

    def _rendered(self, row: Row) -> dict[str, RowPart]:
        """The text of each part and the answers in it.

        Raises: BadRowError.
        """
        renderings = self._encoder.renderings(row)
        names = ("whole",) if len(renderings) == 1 else ("chosen", "rejected")
        # Answers that are no part of the question what is better or good belong to the prompt.
        before = sum(message.role == "assistant" for message in row.messages) if row.chosen else 0
        first = -1 if self._stage == "kto" else before
        return {name: RowPart(item.text, item.answers[first:]) for name, item in zip(names, renderings, strict=True)}


def _with_tokens(shown: RowView, encoded: EncodedRow) -> RowView:
    problem = None
    if encoded.left_out:
        cut_off = encoded.left_out == "unlabelled" and encoded.labels_lost
        text, hint = _LEFT_OUT["cut_off" if cut_off else encoded.left_out]
        problem = BadRow(encoded.left_out, text, hint, shown.source)
    tokens = _tokens(EncodedExample.of(encoded).columns) if encoded.columns else {}
    parts = dict(shown.parts)
    for name, (ids, labels) in tokens.items():
        parts[name] = replace(parts[name], ids=tuple(ids), labels=tuple(labels))
    return replace(
        shown,
        problem=problem,
        parts=parts,
        full_length=encoded.full_length,
        length=encoded.length,
        end_lost=encoded.end_lost,
        has_end=not encoded.endless,
        tag=encoded.kto_tag,
    )


def _tokens(columns: Mapping[str, list[int]]) -> dict[str, tuple[list[int], list[int]]]:
    """Ids and labels of each part."""
    if "input_ids" in columns:
        return {"whole": (columns["input_ids"], columns["labels"])}
    prompt = columns["prompt_ids"]
    unlearned = [NOT_TRAINED] * len(prompt)
    names = {"chosen_ids": "chosen", "rejected_ids": "rejected", "completion_ids": "whole"}
    parts = {
        name: (prompt + columns[column], unlearned + columns[column])
        for column, name in names.items()
        if column in columns
    }
    return parts or {"whole": (prompt, unlearned)}
