"""The SHA-256 of a file. Not for what it is compared with."""

from __future__ import annotations

import hashlib
from pathlib import Path

from trainer.errors import UserError


def file_digest(file: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits.

    Raises: UserError when it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(error.strerror or str(error), file=file, hint="Check its permissions") from error
