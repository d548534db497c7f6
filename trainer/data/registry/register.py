"""Writes one entry into `dataset_info.json`: locked, all at once, and with the rest of the file as it was."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from trainer.data.registry.info_file import DatasetInfo, InfoEntry, scan_info
from trainer.data.registry.names import is_usable
from trainer.data.registry.parse import parse_entry
from trainer.errors import UserError

_DEFAULT_INDENT = "  "
_BYTE_ORDER_MARK = "\ufeff"


def register_dataset(info_file: Path, name: str, entry: Mapping[str, Any], *, replace: bool = False) -> None:
    """Put the entry `name` into `info_file`, which is made if it is not there. All other entries keep every byte.

    The file's own indentation is used. Two processes may register at the same time.

    Raises: UserError for an entry that could not be used, a name that is taken (unless `replace`), or a file that is
        broken or cannot be written.
    """
    _check(name, entry, info_file)
    try:
        info_file.parent.mkdir(parents=True, exist_ok=True)
        with _locked(info_file):
            if not info_file.exists():
                _write(info_file, "{\n" + _formatted(name, entry, _DEFAULT_INDENT) + "\n}\n")
                return
            raw = info_file.read_bytes()
            info = scan_info(info_file)
            text = _with_entry(info, name, entry, replace=replace)
            has_mark = raw.startswith(_BYTE_ORDER_MARK.encode())
            _write(info_file, _BYTE_ORDER_MARK * has_mark + _with_line_ends_of(raw, text))
    except OSError as error:
        hint = "Check the permissions of the folder, or choose another dataset_dir"
        raise UserError(error.strerror or str(error), file=info_file, hint=hint) from error


def _check(name: str, entry: Mapping[str, Any], info_file: Path) -> None:
    if not is_usable(name):
        hint = "Use letters, digits, _ and -: names in lists are separated by commas, and / is for paths"
        raise UserError("not a name for a data set", file=info_file, field="name", value=name, hint=hint)
    parse_entry(name, entry, info_file, strict=True)


def _with_entry(info: DatasetInfo, name: str, entry: Mapping[str, Any], *, replace: bool) -> str:
    """The text of the file with the entry in it."""
    if not info.is_whole:
        raise UserError(
            f"the file is broken and is left as it is: {info.problems[0].message}",
            file=info.file,
            line=info.problems[0].line,
            hint="Mend this place first",
        )
    text = info.text
    same = [found for found in info.entries if found.name == name]
    if same and not replace:
        hint = "Choose another name, or replace the entry"
        raise UserError("this name is registered already", file=info.file, field="name", value=name, hint=hint)
    indent = _indent(info)
    if same:
        return _replaced(text, same, name, entry, indent)
    if info.entries:
        end = info.entries[-1].end
        return f"{text[:end]},\n{_formatted(name, entry, indent)}{_tail(text[end:])}"
    opening = text.index("{") + 1
    return f"{text[:opening]}\n{_formatted(name, entry, indent)}\n{text[text.rindex('}') :]}"


def _replaced(text: str, same: list[InfoEntry], name: str, entry: Mapping[str, Any], indent: str) -> str:
    """The last entry of the name gives way to the new one; that is the one that counted."""
    old = same[-1]
    return text[: old.start] + _formatted(name, entry, indent).removeprefix(indent) + text[old.end :]


def _tail(rest: str) -> str:
    """What stands behind the last entry; the closing brace gets a line of its own."""
    return rest if "\n" in rest.partition("}")[0] else "\n" + rest.lstrip(" \t")


def _formatted(name: str, entry: Mapping[str, Any], indent: str) -> str:
    """The entry as lines, without a line break at either end."""
    lines = json.dumps({name: dict(entry)}, indent=indent, ensure_ascii=False).split("\n")
    return "\n".join(lines[1:-1])


def _indent(info: DatasetInfo) -> str:
    """The blanks before the first entry, if it begins a line."""
    before = info.text[: info.entries[0].start].rpartition("\n") if info.entries else ("", "", "")
    is_indent = before[1] and re.fullmatch(r"[ \t]+", before[2])
    return before[2] if is_indent else _DEFAULT_INDENT


def _with_line_ends_of(raw: bytes, text: str) -> str:
    return text.replace("\n", "\r\n") if b"\r\n" in raw else text


@contextmanager
def _locked(info_file: Path) -> Iterator[None]:
    """One process at a time; the lock is the folder itself, because the file is replaced."""
    descriptor = os.open(info_file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some network mounts lock no folders; two people registering there in the same second is rare enough.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(file: Path, text: str) -> None:
    """Replace the file, which may be a link, keeping its permissions; readers see the old or the new text."""
    target = Path(os.path.realpath(file))  # resolve() breaks at links that lead in a circle
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
