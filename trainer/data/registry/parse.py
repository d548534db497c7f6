"""One raw entry of `dataset_info.json` as a `DatasetEntry`; every key is checked. Not for finding its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from trainer.config.model_names import prefers_modelscope
from trainer.data.registry.entry import Columns, RemoteSource, Tags
from trainer.data.registry.names import near_match
from trainer.errors import UserError

SOURCE_KEYS = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name", "file_name")
PLAIN_KEYS = ("formatting", "ranking", "columns", "tags", "num_samples", "subset", "split", "folder")
_OLD_KEYS = ("file_sha1",)  # LLaMA-Factory wrote it once and reads it no more
FORMATTINGS = ("alpaca", "sharegpt", "openai")

_Record = TypeVar("_Record", Columns, Tags)


@dataclass(frozen=True)
class RawEntry:
    """The checked values of an entry; where the rows are is `file_name` or `hub`."""

    file_name: str | None
    hub: RemoteSource | None
    formatting: str | None
    columns: Columns | None
    tags: Tags | None
    ranking: bool
    num_samples: int | None
    split: str | None
    subset: str | None
    folder: str | None


def parse_entry(name: str, raw: Any, info_file: Path, *, strict: bool = False) -> RawEntry:
    """The entry `name` of `info_file`.

    An unknown key that is like a known one is a typing mistake. Other unknown keys are remarks, which LLaMA-Factory
    passes over as well; with `strict` they are mistakes too.

    Raises: UserError that names the key.
    """
    if not isinstance(raw, Mapping):
        raise UserError("must be an object", file=info_file, field=name, hint='Write {"file_name": "rows.json"}')
    for key, known in _keys(raw, strict=strict):
        hint = near_match(key.rpartition(".")[2], known) or f"Known: {', '.join(known)}"
        raise UserError("unknown key", file=info_file, field=f"{name}.{key}", hint=hint)
    hub = _hub(name, raw, info_file)
    file_name = None if hub else _text(name, raw, "file_name", info_file)
    if hub is None and not file_name:
        raise UserError("no file_name", file=info_file, field=name, hint='Add "file_name": "rows.json"')
    formatting = raw.get("formatting")
    if formatting not in (None, *FORMATTINGS):
        expected = "expected alpaca, sharegpt or openai"
        raise UserError(expected, file=info_file, field=f"{name}.formatting", value=formatting)
    return RawEntry(
        file_name=file_name,
        hub=hub,
        formatting=formatting,
        columns=_record(Columns, raw.get("columns"), f"{name}.columns", info_file),
        tags=_record(Tags, raw.get("tags"), f"{name}.tags", info_file),
        ranking=_ranking(name, raw.get("ranking"), info_file),
        num_samples=_count(name, raw.get("num_samples"), info_file),
        split=_text(name, raw, "split", info_file),
        subset=_text(name, raw, "subset", info_file),
        folder=_text(name, raw, "folder", info_file),
    )


def _keys(raw: Mapping[str, Any], *, strict: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The keys that must not be there, each with those that may."""
    tables: list[tuple[str, Any, tuple[str, ...]]] = [("", raw, (*SOURCE_KEYS, *PLAIN_KEYS))]
    tables += [
        (f"{key}.", raw.get(key), tuple(item.name for item in fields(kind)))
        for key, kind in (("columns", Columns), ("tags", Tags))
    ]
    for prefix, table, known in tables:
        for key in table if isinstance(table, Mapping) else ():
            if key not in known and (strict or (key not in _OLD_KEYS and near_match(key, known))):
                yield prefix + key, known


def _hub(name: str, raw: Mapping[str, Any], info_file: Path) -> RemoteSource | None:
    """Where the rows are if not in a file here; in LLaMA-Factory's order of precedence."""
    hf, ms = (_text(name, raw, key, info_file) for key in ("hf_hub_url", "ms_hub_url"))
    if ms and (prefers_modelscope() or not hf):
        return RemoteSource("ms", ms)
    if hf:
        return RemoteSource("hf", hf)
    if "om_hub_url" in raw:
        hint = "Download its rows to a .jsonl file and register that with file_name, or add hf_hub_url or ms_hub_url"
        refusal = "data sets of OpenMind cannot be read: its hub has no open way to download single files"
        raise UserError(refusal, file=info_file, field=f"{name}.om_hub_url", hint=hint)
    if "script_url" in raw:
        hint = "Convert it to a .jsonl file and register that with file_name"
        raise UserError("script_url runs foreign code and is refused", file=info_file, field=name, hint=hint)
    address = _text(name, raw, "cloud_file_name", info_file)
    return RemoteSource("cloud", address) if address else None


def _text(name: str, raw: Mapping[str, Any], key: str, info_file: Path) -> str | None:
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        raise UserError("must be text", file=info_file, field=f"{name}.{key}", value=value)
    return value or None


def _ranking(name: str, value: Any, info_file: Path) -> bool:
    if value is not None and not isinstance(value, bool):
        hint = "true if the rows have a chosen and a rejected answer"
        raise UserError("must be true or false", file=info_file, field=f"{name}.ranking", value=value, hint=hint)
    return bool(value)


def _count(name: str, value: Any, info_file: Path) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        expected = "must be a number of rows, 1 or more"
        raise UserError(expected, file=info_file, field=f"{name}.num_samples", value=value)
    return value


def _record(kind: type[_Record], raw: Any, field_name: str, info_file: Path) -> _Record | None:
    """A mapping of the file as `Columns` or `Tags`; as in LLaMA-Factory, `columns` names all columns there are."""
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        raise UserError("must be an object", file=info_file, field=field_name, value=raw)
    known = tuple(item.name for item in fields(kind))
    stated = {key: value for key, value in raw.items() if key in known}
    for key, value in stated.items():
        if value is not None and not isinstance(value, str):
            raise UserError("must be text", file=info_file, field=f"{field_name}.{key}", value=value)
    unset = dict.fromkeys(known) if kind is Columns else {}
    return kind(**{**unset, **stated})
