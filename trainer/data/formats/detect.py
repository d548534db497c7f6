"""Finds out what the rows of a data set look like: what the registry states counts, the rest is read off the first
rows. Not for converting them (`converter`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trainer.data.formats.shapes import RowFormat, fits, stages_for
from trainer.data.formats.turns import COMMON_ROLES, ROLE_KEYS
from trainer.data.formats.values import listed
from trainer.data.registry import Columns, DatasetEntry, Tags
from trainer.errors import UserError

SAMPLES = 20
"""How many rows are looked at."""

_CONVERSATION_COLUMNS = ("messages", "conversations", "conversation")
_QUESTION_COLUMNS = ("instruction", "prompt", "question", "query", "problem", "input", "inputs", "user")
_ANSWER_COLUMNS = ("output", "response", "answer", "completion", "solution", "target", "targets", "assistant")
_TEXT_COLUMNS = ("text", "content", "document")
_KTO_COLUMNS = ("kto_tag", "label")
_RANKED_COLUMNS = ("chosen", "rejected")
NEEDED_COLUMNS = ("messages", "prompt", "response", "chosen", "rejected", "kto_tag")
"""What every row must have, if the data set has it at all."""
_MEDIA_COLUMNS = {"images": ("images", "image"), "videos": ("videos", "video"), "audios": ("audios", "audio")}
_CONTENT_KEYS = ("content", "value", "text")
_OPENAI_TAGS = Tags("role", "content", "user", "assistant", "tool", "function_call", "system")
_EXAMPLES = '{"instruction": ..., "output": ...} or {"messages": [{"role": "user", "content": ...}, ...]}'
_REGISTER = "trimtab data register NAME FILE --columns prompt=COLUMN,response=COLUMN"


def row_format(
    entry: DatasetEntry,
    samples: Sequence[Mapping[str, Any]],
    stage: str | None = "sft",
    *,
    must_fit: bool = True,
) -> RowFormat:
    """The format that the registry states for `entry`; what it leaves open is detected from the rows `samples`.

    Of rows that can be read in several ways, the way that fits `stage` is taken; None: the first way. A data set of
    another kind is refused, or with `must_fit` False described as it is (`fits` says what is wrong).
    Raises: UserError when the rows are of no known format, or of none that `stage` can use.
    """
    rows = _Samples(samples[:SAMPLES])
    if entry.formatting is None and entry.columns is None:
        ways = _detected(rows, entry.tags)
        if entry.ranking:
            ways = [way for way in ways if way.kind == "ranked"] or [_ranked(rows, entry.tags)]
    else:
        ways = [_stated(entry, rows, stage)]
    if not ways:
        hint = f"Expected {_EXAMPLES}, or register the file with its column names: {_REGISTER}"
        if len(samples) == 1 and (inner := rows.first(rows.columns, _are_rows)):
            hint = f"The rows seem to stand inside {inner!r}: write that list alone into a file, as with jq '.{inner}'"
        raise UserError(f"no known columns in the rows (found: {listed(rows.columns)})", file=_file(entry), hint=hint)
    if stage is None:
        return ways[0]
    chosen = next((way for way in ways if fits(way, stage) is None), ways[0])
    problem = fits(chosen, stage)
    if problem is not None and must_fit:
        raise UserError(problem, field="dataset", value=entry.name, hint=_remedy(chosen, stage))
    return chosen


def _remedy(unfit: RowFormat, stage: str) -> str:
    other = f"Choose another data set, or train with stage = {stages_for(unfit)[0]}"
    if stage == "pt":
        return f'{other}; a column of plain text is registered as "columns": {{"prompt": "<column>"}}'
    if unfit.kind == "judged" and stage == "sft":
        return f"{other}; to learn all answers, good and bad, register its columns without kto_tag"
    if unfit.kind == "text":
        return f"{other}. Rows for {stage} look like {_EXAMPLES}"
    return other


def _file(entry: DatasetEntry) -> str | None:
    return str(entry.files[0]) if entry.files else None


class _Samples:
    """The looked-at rows: which columns they have, and of what type."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = rows
        self.columns = tuple(dict.fromkeys(name for row in rows for name in row))
        self._written = {name.casefold(): name for name in reversed(self.columns)}
        self._written |= {name: name for name in self.columns}

    def written(self, name: str) -> str | None:
        """The column of this name as the rows write it, which may be with capitals; None: there is none."""
        return self._written.get(name)

    def values(self, column: str | None) -> Iterator[Any]:
        """What stands in a column; rows without it are passed over."""
        return (row[column] for row in self.rows if column is not None and row.get(column) is not None)

    def first(self, names: Sequence[str], test: Callable[[Any], bool]) -> str | None:
        """The first of the columns, as it is written, that holds a value which passes the test."""
        found = filter(None, map(self.written, names))
        return next((name for name in found if any(map(test, self.values(name)))), None)

    def first_named(self, names: Sequence[str], test: Callable[[Any], bool]) -> str | None:
        """The same; where no value passes, the first column of such a name, so that each row can be named as bad."""
        return self.first(names, test) or next(filter(None, map(self.written, names)), None)

    def count(self, way: RowFormat) -> int:
        """How many rows have the columns that this way of reading needs."""
        named = (getattr(way.columns, key) for key in NEEDED_COLUMNS)
        needed = [name for name in named if name]
        return sum(all(row.get(name) is not None for name in needed) for row in self.rows)

    def turns(self, *columns: str | None) -> Iterator[Mapping[str, Any]]:
        """The messages in the columns."""
        for column in columns:
            for value in self.values(column):
                for turn in _turns_of(value):
                    if isinstance(turn, Mapping):
                        yield turn


def _turns_of(value: object) -> Sequence[Any]:
    """The messages that a value holds: a list, one message, or either as JSON text (as in CSV files); else nothing."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return ()
    return value if isinstance(value, list) else (value,) if isinstance(value, dict) else ()


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_conversation(value: object) -> bool:
    """A list of messages, or such a list as JSON text."""
    turns = _turns_of(value)
    return bool(turns) and not isinstance(value, dict) and isinstance(turns[0], dict)


def _is_meant_as_list(value: object) -> bool:
    """A list of anything, or text that is written like one: each row can then be named as bad."""
    return isinstance(value, list) or (isinstance(value, str) and value.lstrip().startswith("["))


def _is_turns(value: object) -> bool:
    return not isinstance(value, str) and bool(_turns_of(value)) and isinstance(_turns_of(value)[0], dict)


def _are_rows(value: object) -> bool:
    """A list of objects that are no messages."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and not any(key in first for key in ROLE_KEYS)


def _is_text_or_turns(value: object) -> bool:
    return isinstance(value, str) or _is_turns(value)


def _is_whole_conversation(value: object) -> bool:
    """Messages that begin before the answer."""
    if not _is_turns(value) or len(_turns_of(value)) < 2:
        return False
    names = (_turns_of(value)[0].get(key) for key in ROLE_KEYS)
    return all(COMMON_ROLES.get(str(name)) not in ("assistant", "function_call") for name in names)


def _detected(rows: _Samples, tags: Tags | None) -> list[RowFormat]:
    """All ways in which rows can be read: the way that fits most rows first, then the most particular; ways that fit
    no row only when there are no others, so that each row can be named as bad.
    """
    ranked = [name for name in _RANKED_COLUMNS if rows.written(name)]
    ways = [_ranked(rows, tags)] if len(ranked) == 2 else []
    kto = rows.first(_KTO_COLUMNS, lambda value: isinstance(value, bool))
    kto = kto or rows.written("kto_tag")
    answers = list(_answers(rows, tags))
    if kto:
        answers = [replace(way, kind="judged", columns=replace(way.columns, kto_tag=kto)) for way in answers]
    ways += answers
    text = rows.first_named(_TEXT_COLUMNS, _is_text)
    if text:
        ways.append(RowFormat("text", replace(_no_columns(), prompt=text), kind="text", found=rows.columns))
    if not answers and not ranked:
        ways += _prompts(rows, tags)
    if len(ranked) == 1:
        ways.append(_ranked(rows, tags))
    return sorted(filter(rows.count, ways), key=rows.count, reverse=True) or ways


def _answers(rows: _Samples, tags: Tags | None) -> Iterator[RowFormat]:
    messages = rows.first(_CONVERSATION_COLUMNS, _is_conversation)
    messages = messages or rows.first(_CONVERSATION_COLUMNS, _is_meant_as_list)
    if messages is not None:
        columns = replace(_dialogue_columns(rows), messages=messages)
        yield RowFormat("conversation", columns, tags or _tags(rows.turns(messages)), found=rows.columns)
    question = rows.first_named(_QUESTION_COLUMNS, _is_text_or_turns)
    answer = rows.first_named(_ANSWER_COLUMNS, _is_text_or_turns)
    if question is not None and answer is not None:
        columns = replace(_pair_columns(rows, question), response=answer)
        yield RowFormat("alpaca", columns, tags or _tags(rows.turns(question, answer)), found=rows.columns)


def _prompts(rows: _Samples, tags: Tags | None) -> Iterator[RowFormat]:
    turns = rows.first(("prompt", "prompts"), _is_turns)
    question = rows.first(_QUESTION_COLUMNS, _is_text)
    if turns:
        columns = replace(_dialogue_columns(rows), messages=turns)
        yield RowFormat("conversation", columns, tags or _tags(rows.turns(turns)), "prompts", found=rows.columns)
    elif question:
        yield RowFormat("alpaca", _pair_columns(rows, question), kind="prompts", found=rows.columns)


def _ranked(rows: _Samples, tags: Tags | None) -> RowFormat:
    chosen, rejected = (rows.written(name) or name for name in _RANKED_COLUMNS)
    tags = tags or _tags(rows.turns(chosen, rejected, *map(rows.written, (*_CONVERSATION_COLUMNS, "prompt"))))
    messages = rows.first(_CONVERSATION_COLUMNS, _is_conversation) or rows.first(("prompt",), _is_turns)
    question = None if messages else rows.first_named(_QUESTION_COLUMNS, _is_text_or_turns)
    if any(map(_is_whole_conversation, rows.values(chosen))):
        messages = question = None
    columns = _dialogue_columns(rows) if messages or question is None else _pair_columns(rows, question)
    columns = replace(columns, messages=messages, chosen=chosen, rejected=rejected)
    is_conversation = question is None or any(map(_is_turns, rows.values(chosen)))
    return RowFormat("conversation" if is_conversation else "alpaca", columns, tags, "ranked", found=rows.columns)


def _no_columns() -> Columns:
    return Columns(prompt=None, query=None, response=None, history=None, system=None, tools=None)


def _dialogue_columns(rows: _Samples) -> Columns:
    """The columns that any dialogue may have beside its turns, also where the looked-at rows have none of them."""
    media = {key: next(filter(None, map(rows.written, names)), names[0]) for key, names in _MEDIA_COLUMNS.items()}
    # What OpenAI's rows had before `tools`.
    tools = rows.written("tools") or rows.written("functions") or "tools"
    return replace(_no_columns(), system=rows.written("system") or "system", tools=tools, **media)


def _pair_columns(rows: _Samples, question: str) -> Columns:
    query = rows.written("input")
    if question == rows.written("instruction"):
        # The context, as in Dolly, is the text that the instruction speaks of.
        query = query or rows.written("context") or "input"
    elif question == query:
        query = None
    return replace(_dialogue_columns(rows), prompt=question, query=query, history=rows.written("history") or "history")


def _tags(turns: Iterator[Mapping[str, Any]]) -> Tags:
    """The keys and role names that the messages use; what does not occur gets the usual name."""
    seen = list(turns)
    role_key = next((key for key in ROLE_KEYS if any(key in turn for turn in seen)), "from")
    usual = _OPENAI_TAGS if role_key == "role" else Tags()
    content_key = next((key for key in _CONTENT_KEYS if any(key in turn for turn in seen)), usual.content_tag)
    names: dict[str, str] = {}
    for turn in seen:
        name = turn.get(role_key)
        if isinstance(name, str) and name in COMMON_ROLES:
            names.setdefault(COMMON_ROLES[name], name)
    return Tags(
        role_key,
        content_key,
        names.get("user", usual.user_tag),
        names.get("assistant", usual.assistant_tag),
        names.get("tool", usual.observation_tag),
        names.get("function_call", usual.function_tag),
        names.get("system", usual.system_tag),
    )


def _stated(entry: DatasetEntry, rows: _Samples, stage: str | None) -> RowFormat:
    """The format of an entry that states its formatting or its columns."""
    columns = entry.columns or _default_columns(entry, rows)
    if entry.ranking and entry.columns is None:
        columns = replace(columns, chosen="chosen", rejected="rejected")
    is_ranked = entry.ranking or _is_ranked_unsaid(columns, stage)
    is_conversation = entry.formatting in ("sharegpt", "openai")
    if entry.formatting is None:
        is_conversation = bool(columns.messages) or (is_ranked and not columns.prompt)
    if is_conversation and not columns.messages and not is_ranked:
        columns = replace(columns, messages="messages" if entry.formatting == "openai" else "conversations")
    kind = "ranked" if is_ranked else "judged" if columns.kto_tag else "answers"
    if is_ranked:
        _demand(entry, columns, "chosen", "rejected")
    if not is_conversation:
        _demand(entry, columns, "prompt")
        if kind == "answers" and not columns.response:
            kind = "column"
        elif kind == "judged":
            _demand(entry, columns, "response")
    turns = rows.turns(columns.messages, columns.chosen, columns.prompt, columns.response)
    return RowFormat(
        "conversation" if is_conversation else "alpaca",
        columns,
        entry.tags or _tags(turns),
        kind,
        is_detected=entry.columns is None,
        tags_are_detected=entry.tags is None,
        found=rows.columns,
    )


def _default_columns(entry: DatasetEntry, rows: _Samples) -> Columns:
    if entry.formatting == "alpaca":
        return Columns()
    messages = rows.first(_CONVERSATION_COLUMNS, _is_conversation)
    if messages is None and not entry.ranking:
        messages = "messages" if entry.formatting == "openai" else "conversations"
    return replace(_dialogue_columns(rows), messages=messages)


def _is_ranked_unsaid(columns: Columns, stage: str | None) -> bool:
    """Chosen and rejected are named, and `ranking` was forgotten: nothing else can be meant, or the stage wants it."""
    if not (columns.chosen and columns.rejected) or columns.kto_tag:
        return False
    return stage in ("dpo", "rm") or not (columns.response or columns.messages)


def _demand(entry: DatasetEntry, columns: Columns, *keys: str) -> None:
    for key in keys:
        if not getattr(columns, key):
            hint = f'Add "{key}": "<column>" to its columns'
            raise UserError(f"the columns of {entry.name} name no {key}", file=_file(entry), hint=hint)
