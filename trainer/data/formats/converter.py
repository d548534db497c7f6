"""Turns the raw rows of one data set into what its stage needs. Not for what a row looks like (`shapes`, `detect`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer.data.formats.calls import tools_of
from trainer.data.formats.dialogues import check_answers, check_order, check_prompt
from trainer.data.formats.media import FoundMedia, refused
from trainer.data.formats.preferences import check_ranked, is_whole, split_prompt
from trainer.data.formats.shapes import RowFormat, fits
from trainer.data.formats.turns import TurnReader
from trainer.data.formats.values import missing_column, parsed_json, shown, text_if_any, text_in
from trainer.data.messages import BadRowError, Message, RawRow, Row
from trainer.errors import UserError

_KTO_HINT = "Write true for a good answer and false for a bad one"


class RowConverter:
    """Converts the raw rows of one data set; built once, called for each row."""

    def __init__(
        self,
        row_format: RowFormat,
        default_system: str | None = None,
        *,
        stage: str = "sft",
        media_dir: Path | None = None,
        allow_media: bool = False,
    ) -> None:
        """`media_dir` None: media stand beside the data file. Rows with media are bad rows without `allow_media`.

        Raises: UserError when the stage cannot use such rows.
        """
        problem = fits(row_format, stage)
        if problem is not None:
            raise UserError(problem, field="stage", value=stage)
        self.format = row_format
        self._columns = columns = row_format.columns
        self._default_system = default_system
        self._media_dir = media_dir
        self._allow_media = allow_media
        self._media_columns = [name for name in (columns.images, columns.videos, columns.audios) if name]
        self._reader = TurnReader(row_format.tags)
        self._read = self._conversation if row_format.shape == "conversation" else self._pair
        if stage == "pt":
            self._convert = self._text_row
        elif row_format.kind == "ranked":
            self._convert = self._ranked_row
        elif stage in ("ppo", "grpo", "rloo"):
            self._convert = self._prompt_row
        elif row_format.kind == "judged":
            self._convert = self._judged_row
        else:
            self._convert = self._answer_row

    def convert(self, raw: RawRow) -> Row:
        """The row in the form that the stage needs.

        Raises: BadRowError with the reason and the remedy.
        """
        return self._convert(raw)

    def _answer_row(self, raw: RawRow) -> Row:
        return self._dialogue_row(raw)

    def _judged_row(self, raw: RawRow) -> Row:
        return self._dialogue_row(raw, _kto_tag(raw.value, str(self._columns.kto_tag)))

    def _dialogue_row(self, raw: RawRow, kto_tag: bool | None = None) -> Row:
        value, media = raw.value, self._media(raw)
        messages = self._read(value, media)
        check_order(messages)
        check_answers(messages)
        self._add_system(messages, value)
        row = Row(tuple(messages), raw.source, self._tools(value), kto_tag=kto_tag)
        return row if media is None else self._with_media(row, value, media)

    def _ranked_row(self, raw: RawRow) -> Row:
        value, media, columns = raw.value, self._media(raw), self._columns
        names = (str(columns.chosen), str(columns.rejected))
        chosen, rejected = (self._turns_or_text(value, name, "assistant", media) for name in names)
        if is_whole(chosen) or is_whole(rejected):
            prompt, chosen, rejected = split_prompt(chosen, rejected, names)
        else:
            prompt = self._prompt(value, media)
        check_ranked(prompt, chosen, rejected, names)
        self._add_system(prompt, value)
        row = Row(tuple(prompt), raw.source, self._tools(value), tuple(chosen), tuple(rejected))
        return row if media is None else self._with_media(row, value, media)

    def _prompt_row(self, raw: RawRow) -> Row:
        value, media = raw.value, self._media(raw)
        reference = None
        if self.format.shape == "conversation":
            messages = self._conversation(value, media)
            if messages[-1].role == "assistant":
                reference = messages.pop().content
        else:
            messages = self._question(value, media)
            reference = self._reference(value, media)
        check_order(messages)
        check_prompt(messages)
        self._add_system(messages, value)
        reference = reference if reference and reference.strip() else None
        row = Row(tuple(messages), raw.source, self._tools(value), reference=reference)
        return row if media is None else self._with_media(row, value, media)

    def _text_row(self, raw: RawRow) -> Row:
        column = str(self._columns.prompt)
        text = text_in(raw.value, column)
        query = text_if_any(raw.value, self._columns.query)
        text = f"{text}\n{query}" if text and query else text or query or ""
        if not text.strip():
            raise BadRowError("empty_text", f"{column} is empty", "Drop the row")
        return Row((), raw.source, text=text)

    def _media(self, raw: RawRow) -> FoundMedia | None:
        """Where the media of a row are gathered; None: it may have none."""
        if self._allow_media:
            return FoundMedia(self._media_dir or Path(raw.source.file).parent)
        for name in self._media_columns:
            if raw.value.get(name):
                raise refused(name)
        return None

    def _with_media(self, row: Row, value: Mapping[str, Any], media: FoundMedia) -> Row:
        """Media are marked in the messages; of ranked rows, that is the prompt, which both answers share."""
        found = media.take(value, self._columns, row.messages)
        return replace(row, images=found["images"], videos=found["videos"], audios=found["audios"])

    def _conversation(self, value: Mapping[str, Any], media: FoundMedia | None) -> list[Message]:
        column = str(self._columns.messages)
        turns = value.get(column)
        if turns is None:
            if column not in value:
                raise missing_column(column, value)
            hint = f"Fill {column} or drop the row"
            raise BadRowError("no_messages", f"{column} is null, not a list of messages", hint)
        return self._reader.read(turns, column, media)

    def _pair(self, value: Mapping[str, Any], media: FoundMedia | None) -> list[Message]:
        messages = self._question(value, media)
        column = str(self._columns.response)
        answer = value.get(column)
        if type(answer) is str:
            messages.append(Message("assistant", answer))
        else:
            messages += self._turns_or_text(value, column, "assistant", media)
        return messages

    def _prompt(self, value: Mapping[str, Any], media: FoundMedia | None) -> list[Message]:
        """The prompt of a ranked row, which stands in a column of its own."""
        if self._columns.messages:
            return self._conversation(value, media)
        if self._columns.prompt is None:
            hint = 'Write whole conversations into both, or name the prompt: "columns": {"prompt": "<column>"}'
            raise BadRowError("missing_column", "no column for the prompt", hint)
        return self._question(value, media)

    def _question(self, value: Mapping[str, Any], media: FoundMedia | None) -> list[Message]:
        """History, question and query of a row that has them in columns."""
        columns = self._columns
        column = str(columns.prompt)
        messages = _history(value.get(columns.history), columns.history) if columns.history else []
        question = value.get(column)
        if type(question) is not str:
            turns = self._turns_or_text(value, column, "user", media)
            if len(turns) > 1 or turns[0].role != "user" or turns[0].content is None:
                return messages + turns
            question = turns[0].content
        query = value.get(columns.query) if columns.query else None
        if query:
            query = query if type(query) is str else text_in(value, str(columns.query))
            question = f"{question}\n{query}" if question else query
        messages.append(Message("user", question))
        return messages

    def _turns_or_text(
        self, value: Mapping[str, Any], column: str, role: str, media: FoundMedia | None
    ) -> list[Message]:
        """A column that holds the text of a message of the given role, one message, or a list of messages."""
        content = value.get(column)
        if self._reader.is_turn(content[0] if isinstance(content, list) and content else content):
            return self._reader.read(content, column, media)
        return [Message(role, text_in(value, column))]

    def _reference(self, value: Mapping[str, Any], media: FoundMedia | None) -> str | None:
        """The answer that a row of prompts has; results of sums are often numbers."""
        column = self._columns.response
        answer = value.get(column) if column else None
        if column is None or answer is None or isinstance(answer, bool):
            return None
        if isinstance(answer, (int, float)):
            return str(answer)
        return self._turns_or_text(value, column, "assistant", media)[-1].content

    def _add_system(self, messages: list[Message], value: Mapping[str, Any]) -> None:
        if messages and messages[0].role == "system":
            if messages[0].content:
                return
            del messages[0]  # as in LLaMA-Factory, an empty one is none
        system = text_if_any(value, self._columns.system) or self._default_system
        if system:
            messages.insert(0, Message("system", system))

    def _tools(self, value: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
        column = self._columns.tools
        tools = value.get(column) if column else None
        return tools_of(tools, str(column)) if tools else ()


def _history(history: Any, column: str) -> list[Message]:
    if not history:
        return []
    if isinstance(history, str):
        history = parsed_json(history, "history", column, _history_hint(column))
    if not isinstance(history, list):
        raise _wrong_history(column)
    messages: list[Message] = []
    for pair in history:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise _wrong_history(column)
        messages += (Message("user", pair[0]), Message("assistant", pair[1]))
    return messages


def _wrong_history(column: str) -> BadRowError:
    return BadRowError("history", f"{column} is not a list of pairs", _history_hint(column))


def _history_hint(column: str) -> str:
    return f'Write "{column}": [["question", "answer"]]'


def _kto_tag(value: Mapping[str, Any], column: str) -> bool:
    if column not in value:
        raise missing_column(column, value)
    tag = value[column]
    if isinstance(tag, bool):
        return tag
    # Files of columns of text (CSV) have no other way to say it.
    if isinstance(tag, str) and tag.lower() in ("true", "false"):
        return tag.lower() == "true"
    raise BadRowError("wrong_kto_tag", f"{column} is {shown(tag)}, neither true nor false", _KTO_HINT)
