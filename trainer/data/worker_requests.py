"""What the data worker does for each kind of request. Not for hearing them and answering in order (`worker`)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from trainer.config import Recipe
from trainer.config.validation import validated
from trainer.data.check import check_data, data_tokenizer
from trainer.data.hub import NotDownloadedError
from trainer.data.inspect_json import format_json, listing_json, problem_json
from trainer.data.inspect_row import RowPart, RowView
from trainer.data.inspect_set import OpenedSet, open_set
from trainer.data.inspect_sets import list_sets, registry_for_writing, total_size
from trainer.data.messages import BadRow, RawRow
from trainer.data.new_tokens import new_tokens
from trainer.data.registry import read_info, register_dataset
from trainer.data.report_json import finding_json, report_json
from trainer.data.templates import TOOL_FORMATS, template_names, template_spec, unmapped_names
from trainer.data.tokenizer import TextTokenizer
from trainer.errors import UserError

_TABLES = ("model", "data", "method", "train")
_OPENING_SECONDS = 0.15
_SLICE_SECONDS = 0.25
_ROW_TEXT = 200
_MOST_ROWS = 1000
_MOST_PIECE = 20_000


class Say(Protocol):
    """Writes one answer."""

    def __call__(self, **answer: object) -> None: ...


class CancelledError(Exception):
    """The request was given up."""


class RefusedError(UserError):
    """Something that cannot be done, with the code by which a screen knows it."""

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class Request:
    """One request; it may be cancelled while it is answered."""

    def __init__(self, verb: str, number: int, values: Mapping[str, Any], say: Say) -> None:
        self.verb = verb
        self.id = number
        self.values = values
        self._say = say
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Give it up at the next chance."""
        self._cancelled.set()

    def go_on(self) -> None:
        """Raises: CancelledError when it was given up."""
        if self._cancelled.is_set():
            raise CancelledError

    def progress(self, done: int, total: int | None, name: str = "") -> None:
        """Tell how far it is. Raises: CancelledError."""
        self.go_on()
        self._say(event="progress", id=self.id, done=done, total=total, set=name)

    def text(self, name: str) -> str:
        """A text that the request must have. Raises: UserError."""
        value = self.values.get(name)
        if not isinstance(value, str):
            raise UserError("a request needs a text", field=name, value=value)
        return value

    def number(self, name: str, default: int = 0) -> int:
        """A whole number, 0 or more. Raises: UserError."""
        value = self.values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise UserError("a request needs a whole number, 0 or more", field=name, value=value)
        return value

    def recipe(self) -> Recipe:
        """The recipe of its tables. Raises: UserError for a value that does not fit."""
        stated = self.values.get("recipe") or {}
        tables = {name: stated[name] for name in _TABLES if isinstance(stated.get(name), dict)}
        return validated(tables, {})


class DataRequests:
    """Answers requests; one data set is open at a time."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._opened: OpenedSet | None = None
        self._viewed: tuple[OpenedSet, int, RowView] | None = None
        self._tokenizers: dict[tuple[object, ...], TextTokenizer] = {}
        self._verbs: dict[str, Callable[[Request], dict[str, Any]]] = {
            "list": self._list,
            "open": self._open,
            "rows": self._rows,
            "view": self._view,
            "search": self._search,
            "check": self._check,
            "register": self._register,
            "templates": self._templates,
        }

    def answer(self, request: Request) -> dict[str, Any]:
        """The answer to a request, without its id. Raises: UserError, CancelledError."""
        verb = self._verbs.get(request.verb)
        if verb is None:
            expected = ", ".join(self._verbs)
            raise UserError("unknown request", field="do", value=request.verb, hint=f"Expected one of {expected}")
        return verb(request)

    def close(self) -> None:
        """Close the open set."""
        if self._opened is not None:
            self._opened.rows.close()

    def _list(self, request: Request) -> dict[str, Any]:
        recipe = request.recipe()
        return {"event": "listed", **listing_json(list_sets(recipe.data.dataset_dir, recipe.method.stage))}

    def _open(self, request: Request) -> dict[str, Any]:
        recipe = request.recipe()
        try:
            opened = open_set(
                request.text("set"),
                recipe,
                stated=request.values.get("entry"),
                download=request.values.get("download") is True,
                progress=lambda file, number, count: request.progress(number - 1, count, file),
                load_tokenizer=self._tokenizer,
            )
        except NotDownloadedError as error:
            raise RefusedError("not_downloaded", error.message, hint=error.hint) from error
        request.go_on()
        self.close()
        self._opened = opened
        opened.rows.extend(_OPENING_SECONDS)
        if not opened.rows.is_complete:
            threading.Thread(target=self._index, args=(opened, request.id), daemon=True).start()
        has_model = recipe.model.model_name_or_path is not None
        return {
            "event": "opened",
            "set": opened.name,
            "stage": opened.stage,
            "files": [{"path": str(file), "size": total_size([file])} for file in opened.files],
            "format": None if opened.format is None else format_json(opened.format),
            "columns": [] if opened.format is None else list(opened.format.found),
            "unfit": opened.unfit,
            "stages": list(opened.stages),
            "template": {"name": opened.template, "model": recipe.model.model_name_or_path} if has_model else None,
            "no_tokens": opened.no_tokens,
            "parts": list(opened.parts),
            "known": opened.rows.known,
            "complete": opened.rows.is_complete,
        }

    def _tokenizer(self, recipe: Recipe) -> TextTokenizer:
        """The tokenizer of a recipe; the last one is kept, as a large one takes half a second to load."""
        model, data = recipe.model, recipe.data
        source = (model.model_name_or_path, model.model_revision, model.cache_dir)
        key = (*source, data.template, data.tool_format, recipe.method.stage, *new_tokens(recipe))
        if key not in self._tokenizers:
            self._tokenizers = {key: data_tokenizer(recipe)}
        return self._tokenizers[key]

    def _index(self, opened: OpenedSet, number: int) -> None:
        while self._opened is opened:
            complete = opened.rows.extend(_SLICE_SECONDS)
            if self._opened is opened:
                self._say(event="indexed", id=number, known=opened.rows.known, complete=complete)
            if complete:
                return

    def _rows(self, request: Request) -> dict[str, Any]:
        rows, first = self._set().rows, request.number("first")
        found = rows.read(first, min(request.number("count", 50), _MOST_ROWS))
        shown = [_row_json(number, row) for number, row in enumerate(found, start=first)]
        return {"event": "rows", "first": first, "rows": shown, "known": rows.known, "complete": rows.is_complete}

    def _view(self, request: Request) -> dict[str, Any]:
        opened, number = self._set(), request.number("row")
        view = self._row_view(opened, number)
        what, part_name = request.values.get("what", "raw"), request.values.get("part") or opened.parts[0]
        offset, count = request.number("offset"), min(request.number("count", 4000), _MOST_PIECE)
        answer: dict[str, Any] = {
            "event": "view",
            "row": number,
            "what": what,
            "part": part_name,
            "file": view.source.file,
            "file_row": view.source.row,
            "line": view.source.line,
            "problem": None if view.problem is None else problem_json(view.problem),
            "offset": offset,
        }
        if what == "raw":
            return {**answer, "total": len(view.raw), "text": view.raw[offset : offset + count]}
        if opened.no_tokens is not None:
            raise UserError(opened.no_tokens)
        if part_name not in opened.parts:
            raise UserError(f"expected one of {', '.join(opened.parts)}", field="part", value=part_name)
        part = view.parts.get(part_name, RowPart("", ()))
        if what == "rendered":
            return {**answer, **_rendered(part, offset, count)}
        if what == "tokens":
            return {**answer, **self._tokens_of(opened, view, part, offset, count)}
        raise UserError("expected raw, rendered or tokens", field="what", value=what)

    def _tokens_of(self, opened: OpenedSet, view: RowView, part: RowPart, offset: int, count: int) -> dict[str, Any]:
        ids, labels = part.ids[offset : offset + count], part.labels[offset : offset + count]
        return {
            "total": len(part.ids),
            "tokens": [
                [opened.token(identifier), identifier, int(label == identifier)]
                for identifier, label in zip(ids, labels, strict=True)
            ],
            "trained": part.trained,
            "full_length": view.full_length,
            "cut": view.is_cut,
            "end_lost": view.end_lost,
            "has_end": view.has_end,
            "tag": view.tag,
        }

    def _row_view(self, opened: OpenedSet, number: int) -> RowView:
        """The row in all ways of looking at it; the last one is kept, as it is read piece by piece."""
        kept = self._viewed
        if kept is not None and kept[0] is opened and kept[1] == number:
            return kept[2]
        view = opened.view(number)
        if view is None:
            raise RefusedError("no_such_row", f"row {number} is not known (there are {opened.rows.known} so far)")
        self._viewed = (opened, number, view)
        return view

    def _search(self, request: Request) -> dict[str, Any]:
        rows, wanted, first = self._set().rows, request.text("text"), request.number("first")
        backwards = request.values.get("backwards") is True
        place: int | None = first
        while place is not None:
            step = rows.search(wanted, place, _SLICE_SECONDS, backwards=backwards)
            if step.found is not None:
                return {"event": "found", "row": step.found}
            place = step.go_on_at
            if place is not None:
                request.progress(abs(place - first), None)
                if place >= rows.known:
                    rows.extend(_SLICE_SECONDS)
        return {"event": "found", "row": None}

    def _check(self, request: Request) -> dict[str, Any]:
        recipe, sets = request.recipe(), request.values.get("sets")
        checked = check_data(recipe, sets, lambda name, done, total: request.progress(done, total, name))
        request.go_on()
        return {
            "event": "checked",
            "ok": checked.good,
            "report": report_json(checked.report, recipe.train.per_device_train_batch_size, recipe.method.stage),
            "findings": [finding_json(found) for found in checked.findings],
        }

    def _register(self, request: Request) -> dict[str, Any]:
        name, entry = request.text("name"), request.values.get("entry")
        if not isinstance(entry, dict):
            raise UserError("a request needs an object", field="entry", value=entry)
        file = registry_for_writing(str(request.values.get("dataset_dir") or "data"))
        replace = request.values.get("replace") is True
        if not replace and file.is_file() and name in read_info(file):
            taken = f"{name} is registered already in {file}"
            raise RefusedError("exists", taken, hint="Choose another name, or replace it")
        register_dataset(file, name, entry, replace=replace)
        return {"event": "registered", "name": name, "file": str(file.resolve())}

    def _templates(self, _: Request) -> dict[str, Any]:
        specs = [template_spec(name) for name in template_names()]
        return {
            "event": "templates",
            "templates": [
                {
                    "name": spec.name,
                    "aliases": list(spec.aliases),
                    "stop_words": list(spec.stop_words),
                    "tool_format": spec.tool_format,
                    "source": spec.source,
                }
                for spec in specs
            ],
            "unmapped": [{"name": name, "reason": reason} for name, reason in unmapped_names().items()],
            "tool_formats": list(TOOL_FORMATS),
        }

    def _set(self) -> OpenedSet:
        if self._opened is None:
            raise RefusedError("nothing_open", "no data set is open", hint="Send an open request first")
        return self._opened


def _row_json(number: int, row: RawRow | BadRow) -> dict[str, Any]:
    bad = row if isinstance(row, BadRow) else None
    line = row.text if isinstance(row, BadRow) else json.dumps(row.value, ensure_ascii=False, default=str)
    return {
        "number": number,
        "file": row.source.file,
        "row": row.source.row,
        "line": row.source.line,
        "text": " ".join(line[: 2 * _ROW_TEXT].split())[:_ROW_TEXT],
        "problem": None if bad is None else problem_json(bad),
    }


def _rendered(part: RowPart, offset: int, count: int) -> dict[str, Any]:
    end = offset + count
    answers = [span for span in part.answers if span[0] < end and span[1] > offset]
    return {"total": len(part.text), "text": part.text[offset:end], "answers": answers}
