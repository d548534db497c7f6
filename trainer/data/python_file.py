"""Python files of the user that a run executes: only those whose content was agreed to. Not for code of models."""

from __future__ import annotations

import hashlib
from pathlib import Path

from trainer.data.remote_code import CodeFile, ModelCode, has_consent
from trainer.errors import UserError


def python_file(file: Path) -> ModelCode:
    """A single file, as what is agreed to.

    Raises:
        UserError: when it cannot be read.
    """
    return _described(file, _content(file))


def agreed_content(file: Path, *, field: str) -> bytes:
    """The file's content, if that is what the user has agreed to: run this, not what may stand there later.

    Raises:
        UserError: when it cannot be read, or was not agreed to.
    """
    content = _content(file)
    if not has_consent(_described(file, content)):
        raise UserError(
            "this file would be run, and its content was not agreed to",
            field=field,
            value=file,
            hint=f"Look at it and agree: `trimtab trust {file}`",
        )
    return content


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"the file cannot be read: {error.strerror}", file=file) from error


def _described(file: Path, content: bytes) -> ModelCode:
    described = CodeFile(file.name, len(content), hashlib.sha256(content).hexdigest())
    return ModelCode(file.parent, (described,), (), (), is_needed=True)
