"""`trimtab score --file`: a reward model judges the rows of a file or registered set; a JSON line for each.

Pairs are judged as in stage rm: is the better answer's number the higher one? Rows are read as the trainer reads them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from trainer.data import BadRow, Message, Row
from trainer.data.dataset_reading import DatasetReader
from trainer.data.encode import EncodeOptions
from trainer.data.hub import entry_files
from trainer.data.pipeline import PipelineOptions, locate
from trainer.errors import UserError
from tui.commands import output
from tui.commands.progress_bar import ProgressBar
from tui.locale import text
from tui.workers import ChatClient

_STAGES = ("rm", "kto", "sft")
"""Whose rows can be judged: pairs first."""


@dataclass
class Tally:
    """What came of all rows."""

    margins: list[float] = field(default_factory=list)
    """Of each pair, the better answer's number less the worse one's."""
    answers: int = 0
    """Rows that are no pairs."""
    bad: int = 0

    def said(self) -> str:
        """The figures that stage rm calls accuracy and margin, or how many rows there were."""
        if not self.margins:
            return text("command_line.score_rows", count=self.answers)
        count = len(self.margins)
        right = sum(margin > 0 for margin in self.margins)
        figures = {"accuracy": f"{right / count:.4f}", "margin": f"{sum(self.margins) / count:+.4f}"}
        return text("command_line.score_pairs", count=count, right=right, **figures)


def open_rows(name: str, system: str | None) -> DatasetReader:
    """The rows of a file or registered set; `system` is the system prompt of those that have none.

    Raises:
        UserError: there is no such file or set, or its rows have no answers.
    """
    entry = locate(name, "data")
    files = entry_files(entry, download=True)
    for stage in _STAGES:
        try:
            return DatasetReader(entry, files, PipelineOptions(EncodeOptions(stage=stage), default_system=system))
        except UserError as error:
            problem = error
    raise problem


def score_rows(client: ChatClient, reader: DatasetReader) -> int:
    """Print a JSON line for each row, and the figures on standard error; exit code 1 when rows could not be read.

    Raises:
        UserError: the worker refused, or ended.
    """
    total = reader.estimated_rows()
    tally = Tally()
    with ProgressBar() as bar:
        for done, row in enumerate(_rows(reader)):
            # Where the lines themselves are seen, a bar between them would be in the way.
            if not output.on_terminal():
                bar.show(reader.name, done, total)
            if isinstance(row, BadRow):
                tally.bad += 1
                print(text("command_line.error", message=output.harmless(str(row))), file=sys.stderr)
                continue
            print(json.dumps(output.finite(_judged(client, row, tally)), ensure_ascii=False), flush=True)
    print(tally.said(), file=sys.stderr)
    return 1 if tally.bad else 0


def _rows(reader: DatasetReader) -> Iterator[Row | BadRow]:
    for batch in reader.batches():
        yield from batch


def _judged(client: ChatClient, row: Row, tally: Tally) -> dict[str, object]:
    """What is printed of one row; its figures are added to the tally."""
    pair = bool(row.chosen)
    prompt = row.messages if pair else row.messages[:-1]
    answers = [row.chosen, row.rejected] if pair else [row.messages[-1:]]
    numbers = [number for _, number in client.score(_turns(prompt), [_turns(each) for each in answers], row.tools)]
    asked = next((message.content for message in reversed(prompt) if message.role == "user"), None)
    told: dict[str, object] = {"row": row.source.row, "line": row.source.line or row.source.row, "prompt": asked}
    if pair:
        margin = numbers[0] - numbers[1]
        tally.margins.append(margin)
        told |= {"chosen": numbers[0], "rejected": numbers[1], "margin": margin}
        return told | {"chosen_text": _text(row.chosen), "rejected_text": _text(row.rejected)}
    tally.answers += 1
    told |= {"score": numbers[0], "answer": _text(row.messages[-1:])}
    return told if row.kto_tag is None else told | {"label": row.kto_tag}


def _turns(messages: Sequence[Message]) -> list[dict[str, object]]:
    return [message.for_template() for message in messages]


def _text(messages: Sequence[Message]) -> str:
    return "\n".join(message.content or "" for message in messages)
