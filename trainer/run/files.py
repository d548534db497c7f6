"""Small file operations that the run directory is made of: whole-file replacement and folder syncing.

Not for streams: the event journal appends, see `journal.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path


def write_whole(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Replace `path` by `data`; readers see the old or the new content, never a part.

    With `durable` both the file and its folder reach the disk before this returns.
    Raises: OSError, after removing the temporary file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_json(record: Mapping[str, object]) -> bytes:
    """`record` as indented UTF-8 JSON with a final newline."""
    return (json.dumps(record, indent=2, ensure_ascii=False, default=str) + "\n").encode("utf-8", "backslashreplace")


def read_json(path: Path) -> dict[str, object] | None:
    """The JSON object in `path`; None where there is none, or it cannot be read as one."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
