"""What the data worker answers, as records (docs/data-worker-protocol.md). Not for asking: see `tui.data_client`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from trainer.config import Finding

Answer = Mapping[str, object]
What = Literal["raw", "rendered", "tokens"]
"""How a row is looked at."""
Token = tuple[str, int, bool]
"""Text, id, and whether the model learns it."""


@dataclass(frozen=True)
class DataSet:
    """A registered set: where it is, what its rows are, and why it cannot be used, if so."""

    name: str
    source: str
    kind: str = "file"
    files: tuple[str, ...] = ()
    size: int | None = None
    shape: str = ""
    row_kind: str = ""
    stages: tuple[str, ...] = ()
    unfit: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Listing:
    """All registered sets of a folder, and what is wrong with its `dataset_info.json`."""

    folder: str
    stage: str
    sets: tuple[DataSet, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class MappingField:
    """One line of the mapping: which column (or which word in it) holds what; `detected` when nobody stated it."""

    kind: Literal["column", "tag"]
    name: str
    value: str | None
    detected: bool


@dataclass(frozen=True)
class Format:
    """How the rows of the open set are read; `entry` is what would be registered, without the source."""

    text: str
    shape: str
    row_kind: str
    mapping: tuple[MappingField, ...]
    entry: Mapping[str, object]


@dataclass(frozen=True)
class Opened:
    """The set whose rows are looked at."""

    name: str
    stage: str
    files: tuple[tuple[str, int], ...]
    format: Format | None
    columns: tuple[str, ...]
    unfit: str
    stages: tuple[str, ...]
    template: str
    """The name of the template; empty for the model's own."""
    model: str
    no_tokens: str
    parts: tuple[str, ...]
    known: int
    complete: bool


@dataclass(frozen=True)
class Problem:
    """Why a row cannot be used, and what to do."""

    title: str
    text: str
    hint: str
    place: str


@dataclass(frozen=True)
class Piece:
    """A stretch of one row, in one of the ways of looking at it; `total` is the length of the whole."""

    row: int
    what: What
    part: str
    file: str
    line: int
    file_row: int
    offset: int
    total: int
    problem: Problem | None = None
    text: str = ""
    answers: tuple[tuple[int, int], ...] = ()
    tokens: tuple[Token, ...] = ()
    trained: int = 0
    full_length: int = 0
    cut: bool = False
    end_lost: bool = False
    has_end: bool = True
    tag: bool | None = None


@dataclass(frozen=True)
class Progress:
    """How far a long request is; `total` is an estimate, None when nothing is known."""

    done: int
    total: int | None
    set: str = ""


@dataclass(frozen=True)
class Example:
    """A bad row: where it stands and what is wrong with it."""

    place: str
    file: str
    row: int
    text: str
    hint: str


@dataclass(frozen=True)
class BadRows:
    """All rows that are bad for one reason, with a few examples."""

    title: str
    count: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class CheckedSet:
    """What the check found in one of the sets; `partial` when its file could not be read to the end."""

    name: str
    format: str
    rows_read: int
    rows_used: int
    partial: bool


@dataclass(frozen=True)
class Report:
    """The report of a check; numbers that need a tokenizer are None without one."""

    ok: bool
    rows_read: int
    rows_used: int
    rows_bad: int
    bad: tuple[BadRows, ...] = ()
    sets: tuple[CheckedSet, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """`empty_answers`, `duplicates`, `truncated` and the other counts of rows and tokens, by their names."""
    on_long_row: str = ""
    cutoff_len: int = 0
    lengths: Mapping[str, float] | None = None
    edges: tuple[int, ...] = ()
    bins: tuple[int, ...] = ()
    batch_size: int = 0
    padding_unpacked: float | None = None
    padding_packed: float | None = None
    sequences: int = 0
    answers: int = 0
    answers_with_end: int = 0
    desirable: int | None = None
    undesirable: int | None = None
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()


COUNTS = (
    "empty_answers",
    "roles_out_of_order",
    "duplicates",
    "unlabelled",
    "unlabelled_by_cut",
    "truncated",
    "dropped",
    "labels_lost",
    "ends_lost",
    "tokens",
    "trained_tokens",
)


def listing(answer: Answer) -> Listing:
    """A `listed` answer."""
    sets = tuple(_data_set(one) for one in _objects(answer, "sets"))
    return Listing(_text(answer, "folder"), _text(answer, "stage"), sets, _texts(answer, "problems"))


def opened(answer: Answer) -> Opened:
    """An `opened` answer."""
    template = _object(answer, "template")
    form = _object(answer, "format")
    return Opened(
        name=_text(answer, "set"),
        stage=_text(answer, "stage"),
        files=tuple((_text(one, "path"), _int(one, "size")) for one in _objects(answer, "files")),
        format=_format(form) if form else None,
        columns=_texts(answer, "columns"),
        unfit=_text(answer, "unfit"),
        stages=_texts(answer, "stages"),
        template=_text(template, "name"),
        model=_text(template, "model"),
        no_tokens=_text(answer, "no_tokens"),
        parts=_texts(answer, "parts") or ("whole",),
        known=_int(answer, "known"),
        complete=answer.get("complete") is True,
    )


def piece(answer: Answer) -> Piece:
    """A `view` answer."""
    what = _text(answer, "what")
    tag = answer.get("tag")
    problem = _object(answer, "problem")
    return Piece(
        row=_int(answer, "row"),
        what=what if what in ("rendered", "tokens") else "raw",  # type: ignore[arg-type]
        part=_text(answer, "part"),
        file=_text(answer, "file"),
        line=_int(answer, "line"),
        file_row=_int(answer, "file_row"),
        offset=_int(answer, "offset"),
        total=_int(answer, "total"),
        problem=_problem(problem) if problem else None,
        text=_text(answer, "text"),
        answers=tuple((int(first), int(end)) for first, end in _lists(answer, "answers")),
        tokens=tuple((str(words), int(number), bool(learned)) for words, number, learned in _lists(answer, "tokens")),
        trained=_int(answer, "trained"),
        full_length=_int(answer, "full_length"),
        cut=answer.get("cut") is True,
        end_lost=answer.get("end_lost") is True,
        has_end=answer.get("has_end") is not False,
        tag=tag if isinstance(tag, bool) else None,
    )


def progress(answer: Answer) -> Progress:
    """A `progress` event."""
    total = answer.get("total")
    return Progress(_int(answer, "done"), total if isinstance(total, int) else None, _text(answer, "set"))


def report(answer: Answer) -> Report:
    """A `checked` answer."""
    told = _object(answer, "report")
    lengths = _object(told, "lengths")
    histogram, padding, ends, kto = (_object(told, name) for name in ("histogram", "padding", "ends", "kto"))
    return Report(
        ok=answer.get("ok") is True,
        rows_read=_int(told, "rows_read"),
        rows_used=_int(told, "rows_used"),
        rows_bad=_int(told, "rows_bad"),
        bad=tuple(_bad_rows(one) for one in _objects(told, "bad")),
        sets=tuple(
            CheckedSet(
                _text(one, "name"),
                _text(one, "format"),
                _int(one, "rows_read"),
                _int(one, "rows_used"),
                one.get("partial") is True,
            )
            for one in _objects(told, "sets")
        ),
        counts={name: _int(told, name) for name in COUNTS},
        on_long_row=_text(told, "on_long_row"),
        cutoff_len=_int(told, "cutoff_len"),
        lengths={name: _float(lengths, name) or 0.0 for name in lengths} if lengths else None,
        edges=_ints(histogram, "edges"),
        bins=_ints(histogram, "counts"),
        batch_size=_int(padding, "batch_size"),
        padding_unpacked=_float(padding, "unpacked"),
        padding_packed=_float(padding, "packed"),
        sequences=_int(padding, "sequences"),
        answers=_int(ends, "answers"),
        answers_with_end=_int(ends, "with_end"),
        desirable=_int(kto, "desirable") if kto else None,
        undesirable=_int(kto, "undesirable") if kto else None,
        seconds=_float(told, "seconds") or 0.0,
        findings=tuple(_finding(one) for one in _objects(answer, "findings")),
    )


def _data_set(one: Answer) -> DataSet:
    size = one.get("size")
    return DataSet(
        name=_text(one, "name"),
        source=_text(one, "source"),
        kind=_text(one, "kind"),
        files=_texts(one, "files"),
        size=size if isinstance(size, int) else None,
        shape=_text(one, "shape"),
        row_kind=_text(one, "row_kind"),
        stages=_texts(one, "stages"),
        unfit=_text(one, "unfit"),
        problem=_text(one, "problem"),
    )


def _format(form: Answer) -> Format:
    mapping = tuple(
        MappingField(
            "tag" if one.get("kind") == "tag" else "column",
            _text(one, "name"),
            _text(one, "value") or None,
            one.get("detected") is True,
        )
        for one in _objects(form, "mapping")
    )
    return Format(_text(form, "text"), _text(form, "shape"), _text(form, "row_kind"), mapping, _object(form, "entry"))


def _problem(told: Answer) -> Problem:
    return Problem(_text(told, "title"), _text(told, "text"), _text(told, "hint"), _text(told, "place"))


def _bad_rows(told: Answer) -> BadRows:
    examples = tuple(
        Example(_text(one, "place"), _text(one, "file"), _int(one, "row"), _text(one, "text"), _text(one, "hint"))
        for one in _objects(told, "examples")
    )
    return BadRows(_text(told, "title") or _text(told, "reason"), _int(told, "count"), examples)


def _finding(told: Answer) -> Finding:
    severity = _text(told, "severity")
    return Finding(
        id=_text(told, "id"),
        severity=severity if severity in ("error", "warning") else "info",  # type: ignore[arg-type]
        fields=_texts(told, "fields"),
        text=_text(told, "text"),
        change=dict(_object(told, "change")),
        values=dict(_object(told, "values")),
    )


# A worker of another version may leave fields out or send others: what is missing reads as empty.


def _text(answer: Answer, name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) else ""


def _int(answer: Answer, name: str) -> int:
    value = answer.get(name)
    return int(value) if isinstance(value, (int, float)) else 0


def _float(answer: Answer, name: str) -> float | None:
    value = answer.get(name)
    return float(value) if isinstance(value, (int, float)) else None


def _object(answer: Answer, name: str) -> Answer:
    value = answer.get(name)
    return value if isinstance(value, dict) else {}


def _objects(answer: Answer, name: str) -> tuple[Answer, ...]:
    value = answer.get(name)
    return tuple(one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def _texts(answer: Answer, name: str) -> tuple[str, ...]:
    value = answer.get(name)
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


def _ints(answer: Answer, name: str) -> tuple[int, ...]:
    value = answer.get(name)
    return tuple(int(one) for one in value if isinstance(one, (int, float))) if isinstance(value, list) else ()


def _lists(answer: Answer, name: str) -> tuple[list[int], ...]:
    value = answer.get(name)
    return tuple(one for one in value if isinstance(one, list)) if isinstance(value, list) else ()
