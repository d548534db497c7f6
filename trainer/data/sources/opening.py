"""Opens data files: which kinds there are, compressed ones, and what is no readable file at all. Not for their rows."""

from __future__ import annotations

import errno
import gzip
import os
import stat
from pathlib import Path
from typing import BinaryIO, cast

from trainer.data.messages import BadRow, SourceReference
from trainer.errors import UserError

TEXT_SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".txt")
COLUMN_SUFFIXES = (".parquet", ".arrow")
SUFFIXES = (*TEXT_SUFFIXES, *COLUMN_SUFFIXES, *(f"{suffix}.gz" for suffix in TEXT_SUFFIXES))
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_SAME_KIND = {".ndjson": ".jsonl"}
_KINDS = ".json, .jsonl, .csv, .tsv, .txt (each also with .gz), .parquet or .arrow"
_COPY_AGAIN = "Copy or download the file again"
_HEAD = 4096
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_MAGIC = {
    b"\x1f\x8b": ("compressed with gzip", "Add .gz to its name"),
    b"PK\x03\x04": ("a zip archive (or an Excel file)", "Unpack it, or export it as .csv"),
    b"PAR1": ("a parquet file", "Name it .parquet"),
    b"ARROW1": ("an arrow file", "Name it .arrow"),
    b"(\xb5/\xfd": ("compressed with zstd", "Unpack it with zstd -d"),
    b"BZh": ("compressed with bzip2", "Unpack it with bunzip2, then use .gz if it must stay small"),
    b"\xfd7zXZ": ("compressed with xz", "Unpack it with unxz, then use .gz if it must stay small"),
}


def data_suffix(path: Path) -> str:
    """What the name of a file says it is: one of `SUFFIXES` (.jsonl also for .ndjson), else its last suffix as it is
    written.
    """
    suffix = path.suffix.lower()
    packed = ".gz" if suffix == ".gz" else ""
    plain = Path(path.stem).suffix.lower() if packed else suffix
    suffix = _SAME_KIND.get(plain, plain) + packed
    return suffix if suffix in SUFFIXES else path.suffix


def is_data_file(path: Path) -> bool:
    """Whether the name is that of a file that can be read; the file itself is not looked at."""
    return data_suffix(path) in SUFFIXES


def check_file(path: Path) -> None:
    """Refuse what is no regular file of a known kind.

    Raises: UserError that names the remedy.
    """
    if not is_data_file(path):
        kind = f"files of type {path.suffix!r}" if path.suffix else "files without an extension"
        raise UserError(f"{kind} cannot be read", file=path, hint=f"Convert it to .jsonl, or use {_KINDS}")
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise cannot_open(path, error) from error
    if stat.S_ISDIR(mode):
        hint = "Give the files in it, or name the folder as a data set"
        raise UserError("this is a folder, not a file", file=path, hint=hint)
    if not stat.S_ISREG(mode):
        # Rows are read more than once (to check, to train), which a pipe cannot do.
        kind = "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise UserError(f"this is {kind}, not a file", file=path, hint="Write its rows to a .jsonl file first")


def cannot_open(path: Path, error: Exception) -> UserError:
    """The error for a file that the system does not hand out, or whose compression is broken from the start."""
    if not isinstance(error, OSError) or error.errno is None:
        return UserError(f"not a readable gzip file: {error}", file=path, hint=_COPY_AGAIN)
    if error.errno == errno.ELOOP:
        return UserError("the link leads in a circle", file=path, hint="Remove the link and name the file itself")
    if error.errno == errno.ENOENT:
        if path.is_symlink():
            target = os.fspath(path.readlink())
            return UserError(f"the link leads to {target}, which is not there", file=path, hint="Mend the link")
        return UserError("the file does not exist", file=path, hint="Check the path")
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = f"Give yourself the right to read it: chmod u+r {path.name}"
        return UserError("no permission to read the file", file=path, hint=hint)
    return UserError(error.strerror or str(error), file=path, hint="Check the disk and the path")


def broken_off(last: SourceReference, error: Exception) -> BadRow:
    """The fatal bad row that stands for all that comes after the row `last`."""
    is_disk = isinstance(error, OSError) and error.errno is not None
    said = error.strerror if isinstance(error, OSError) and is_disk else str(error)
    place = SourceReference(last.file, last.row + 1, last.line + 1 if last.line else 0)
    hint = "Check the disk" if is_disk else _COPY_AGAIN
    return BadRow("broken_file", f"the rest of the file cannot be read: {said}", hint, place, fatal=True)


def open_text(path: Path) -> BinaryIO:
    """The bytes of a text file without a byte order mark, unpacked if it is compressed.

    Raises: UserError for text that is not UTF-8 as a whole, and for files that are something else than their name says.
        OSError, EOFError and zlib.error while reading, as gzip does.
    """
    stream = cast(BinaryIO, gzip.GzipFile(path)) if data_suffix(path).endswith(".gz") else path.open("rb")
    try:
        head = stream.read(_HEAD)
        _check_head(path, head)
        stream.seek(len(BYTE_ORDER_MARK) if head.startswith(BYTE_ORDER_MARK) else 0)
    except BaseException:
        stream.close()
        raise
    return stream


def _check_head(path: Path, head: bytes) -> None:
    if head.startswith(_UTF_16_MARKS) or _looks_like_utf_16(head):
        inside = f"gunzip -c {path.name} | " if path.suffix.lower() == ".gz" else ""
        source = "" if inside else f" {path.name}"
        hint = (
            f"Save it as UTF-8 ({inside}iconv -f UTF-16 -t UTF-8{source} > new{data_suffix(path).removesuffix('.gz')})"
        )
        raise UserError("the file is UTF-16 text, not UTF-8", file=path, hint=hint)
    for magic, (kind, hint) in _MAGIC.items():
        if head.startswith(magic):
            raise UserError(f"the file is {kind}", file=path, hint=hint)


def _looks_like_utf_16(head: bytes) -> bool:
    """Text in which every other byte of the beginning is zero."""
    start = head[:64]
    return len(start) >= 8 and (not any(start[1::2]) or not any(start[0::2])) and any(start)
