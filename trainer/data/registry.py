"""`dataset_info.json`, LLaMA-Factory's schema: which files a data set name stands for. Not for reading the rows."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from trainer.data.sources import SUFFIXES
from trainer.errors import UserError

INFO_FILE = "dataset_info.json"
_SOURCES_ELSEWHERE = {
    "hf_hub_url": "data sets of the Hugging Face hub are",
    "ms_hub_url": "data sets of ModelScope are",
    "om_hub_url": "data sets of OpenMind are",
    "cloud_file_name": "data in cloud storage are",
}
_ONLY_JSON = "only .json and .jsonl files are read so far"
_CONVERT = "Convert it to .jsonl, one row a line"
_OTHER_SUFFIXES = (".parquet", ".csv", ".tsv", ".txt", ".arrow", ".xlsx", ".gz", ".zip", ".zst")
_PLAIN_KEYS = ("file_name", "formatting", "ranking", "columns", "tags", "num_samples", "subset", "split", "folder")


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
class DatasetEntry:
    """One data set: its files and how its rows are to be read. None: to be detected from the rows."""

    name: str
    files: tuple[Path, ...]
    formatting: str | None = None
    columns: Columns | None = None
    tags: Tags | None = None
    ranking: bool = False


_Record = TypeVar("_Record", Columns, Tags)


def find_dataset(name: str, dataset_dir: Path) -> DatasetEntry:
    """The data set `name`: an entry of `dataset_dir/dataset_info.json`, or a path to a .json or .jsonl file.

    Raises: UserError for an unknown name (with a near match), a broken entry, or a file that is not there.
    """
    info_file = dataset_dir / INFO_FILE
    entries = read_info(info_file) if info_file.is_file() else {}
    if name in entries:
        return _entry(name, entries[name], dataset_dir, info_file)
    direct = _direct_path(name, dataset_dir)
    if direct is not None:
        return DatasetEntry(name, _data_files(direct, name))
    raise _unknown(name, entries, dataset_dir)


def list_datasets(dataset_dir: Path) -> tuple[str, ...]:
    """The registered names, in the order of the file; empty when there is no `dataset_info.json`."""
    info_file = dataset_dir / INFO_FILE
    return tuple(read_info(info_file)) if info_file.is_file() else ()


def read_info(info_file: Path) -> dict[str, Any]:
    """The raw entries of a `dataset_info.json`.

    Raises: UserError with line and column when it is not valid JSON.
    """
    try:
        content = json.loads(info_file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise UserError(
            f"not valid JSON: {error.msg} (column {error.colno})",
            file=info_file,
            line=error.lineno,
            hint="Mend this place; until then no registered data set can be found",
        ) from error
    except UnicodeDecodeError as error:
        raise UserError("not UTF-8 text", file=info_file, hint="Save the file as UTF-8") from error
    except OSError as error:
        raise UserError(error.strerror or str(error), file=info_file) from error
    if not isinstance(content, dict):
        hint = 'Write {"name": {"file_name": ...}}'
        raise UserError("must be an object of data set names", file=info_file, hint=hint)
    return content


def split_names(names: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """`"a, b"` or a list of names, as a tuple."""
    if names is None:
        return ()
    parts = names.split(",") if isinstance(names, str) else names
    return tuple(part.strip() for part in parts if part.strip())


def _entry(name: str, raw: Any, dataset_dir: Path, info_file: Path) -> DatasetEntry:
    if not isinstance(raw, dict):
        raise UserError("must be an object", file=info_file, field=name, hint='Write {"file_name": "rows.json"}')
    if "script_url" in raw:
        hint = "Convert it to a .jsonl file and register that with file_name"
        raise UserError("script_url runs foreign code and is refused", file=info_file, field=name, hint=hint)
    if "file_name" not in raw:
        for key, kind in _SOURCES_ELSEWHERE.items():
            if key in raw:
                hint = "Download the rows to a .json or .jsonl file and register it with file_name"
                raise UserError(f"{kind} not available yet", file=info_file, field=f"{name}.{key}", hint=hint)
        raise UserError("no file_name", file=info_file, field=name, hint='Add "file_name": "rows.json"')
    for key in raw:
        if key not in _PLAIN_KEYS and key not in _SOURCES_ELSEWHERE:
            raise UserError("unknown key", file=info_file, field=f"{name}.{key}", hint=near_match(key, _PLAIN_KEYS))
    if raw.get("num_samples") is not None:
        hint = "Use max_samples in the recipe"
        raise UserError("not available yet", file=info_file, field=f"{name}.num_samples", hint=hint)
    formatting = raw.get("formatting")
    if formatting not in (None, "alpaca", "sharegpt", "openai"):
        expected = "expected alpaca, sharegpt or openai"
        raise UserError(expected, file=info_file, field=f"{name}.formatting", value=formatting)
    columns = _record(Columns, raw.get("columns"), f"{name}.columns", info_file)
    tags = _record(Tags, raw.get("tags"), f"{name}.tags", info_file)
    path = dataset_dir / Path(str(raw["file_name"])).expanduser()
    return DatasetEntry(name, _data_files(path, name), formatting, columns, tags, bool(raw.get("ranking", False)))


def _record(kind: type[_Record], raw: Any, field_name: str, info_file: Path) -> _Record | None:
    """A mapping of the file as `Columns` or `Tags`; as in LLaMA-Factory, `columns` names all columns there are."""
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        raise UserError("must be an object", file=info_file, field=field_name, value=raw)
    known = tuple(item.name for item in fields(kind))
    for key, value in raw.items():
        if key not in known:
            raise UserError("unknown key", file=info_file, field=f"{field_name}.{key}", hint=near_match(key, known))
        if value is not None and not isinstance(value, str):
            raise UserError("must be text", file=info_file, field=f"{field_name}.{key}", value=value)
    unset = dict.fromkeys(known) if kind is Columns else {}
    return kind(**{**unset, **raw})


def _direct_path(name: str, dataset_dir: Path) -> Path | None:
    path = Path(name).expanduser()
    if path.suffix.lower() not in SUFFIXES and "/" not in name:
        return None
    for candidate in (path, dataset_dir / path):
        if candidate.exists():
            return candidate
    return None


def _data_files(path: Path, name: str) -> tuple[Path, ...]:
    if path.is_dir():
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        files = tuple(file for file in inside if file.name != INFO_FILE and file.is_file())
        if not files:
            hint = "Put .json or .jsonl files into it"
            raise UserError(f"the folder holds none: {_ONLY_JSON}", file=path, field="dataset", value=name, hint=hint)
        return files
    if not path.is_file():
        raise UserError(
            "the data file does not exist",
            file=path.resolve(),
            field="dataset",
            value=name,
            hint=_near_file(path),
        )
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(_ONLY_JSON, file=path, field="dataset", value=name, hint=_CONVERT)
    return (path,)


def _unknown(name: str, entries: Mapping[str, Any], dataset_dir: Path) -> UserError:
    path = Path(name).expanduser()
    if path.suffix.lower() in SUFFIXES or ("/" in name and not path.suffix):
        places = dict.fromkeys(str((folder / path).resolve()) for folder in (Path(), dataset_dir))
        looked = f"the data file does not exist; looked for {' and '.join(places)} (dataset_dir = {dataset_dir})"
        hint = _near_file(path) or _near_file(dataset_dir / path) or "Check the path"
        return UserError(looked, field="dataset", value=name, hint=hint)
    if _looks_like_file(path, dataset_dir):
        is_folder = path.is_dir() or (dataset_dir / path).is_dir()
        hint = f"For a folder of such files write ./{name}" if is_folder else _CONVERT
        return UserError(_ONLY_JSON, field="dataset", value=name, hint=hint)
    if not entries:
        hint = f"There is no {INFO_FILE} there; register the file in one, or give the path of a .json or .jsonl file"
        return UserError(f"unknown data set in {dataset_dir}", field="dataset", value=name, hint=hint)
    hint = near_match(name, entries) or f"Known: {', '.join(entries)}"
    return UserError(f"not registered in {dataset_dir / INFO_FILE}", field="dataset", value=name, hint=hint)


def _looks_like_file(path: Path, dataset_dir: Path) -> bool:
    """A path, or the bare name of a file or folder that lies here; names of data sets may have dots too."""
    known = path.suffix.lower() in _OTHER_SUFFIXES or "/" in str(path)
    return known or path.exists() or (dataset_dir / path).exists()


def _near_file(path: Path) -> str:
    """A hint at a file of almost the same name; the endings alone make names alike, so it must be more than that."""
    try:
        return near_match(path.name, tuple(file.name for file in path.parent.iterdir()), cutoff=0.8)
    except OSError:
        return ""


def near_match(name: str, known: Mapping[str, Any] | tuple[str, ...], *, cutoff: float = 0.6) -> str:
    """`Did you mean X?` for the closest known name, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"Did you mean {close[0]}?" if close else ""
