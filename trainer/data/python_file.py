"""Python files of the user that a run executes: only those whose content was agreed to. Not for code of models."""

from __future__ import annotations

import hashlib
from pathlib import Path

from trainer.config import Finding, Recipe
from trainer.config.form import IN_ANSWERING
from trainer.data.findings import finding
from trainer.data.remote_code import CodeFile, ModelCode, agreed_before, has_consent
from trainer.errors import UserError


def python_file(file: Path) -> tuple[ModelCode, bytes]:
    """A single file as what is agreed to, and its content.

    Raises:
        UserError: when it cannot be read.
    """
    content = _content(file)
    return _described(file, content), content


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
            value=str(file),
            hint=f"Look at it and agree: `trimtab trust {file}`",
        )
    return content


def reward_file_finding(recipe: Recipe) -> Finding | None:
    """What stands against running the recipe's file of rewards; None when nothing does, or none would be run."""
    table, key = recipe.reward, "reward.reward_file"
    if recipe.method.stage not in IN_ANSWERING.values or "python" not in table.reward_funcs or not table.reward_file:
        return None
    file = Path(table.reward_file).expanduser()
    try:
        content = _content(file)
        _check_form(content, file)
    except UserError as error:
        return finding("reward_file_unusable", "error", key, problem=str(error))
    if has_consent(_described(file, content)):
        return None
    kind = "reward_file_changed" if agreed_before(table.reward_file, file) else "reward_file_unknown"
    return finding(kind, "error", key, file=table.reward_file)


def _check_form(content: bytes, file: Path) -> None:
    """Raises: UserError when this is no Python. Nothing of it is run."""
    try:
        compile(content, str(file), "exec")
    except SyntaxError as error:
        raise UserError(f"this is no Python: {error.msg}", file=file, line=error.lineno) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"this is no Python: {error}", file=file) from error


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"the file cannot be read: {error.strerror}", file=file) from error


def _described(file: Path, content: bytes) -> ModelCode:
    described = CodeFile(file.name, len(content), hashlib.sha256(content).hexdigest())
    return ModelCode(file.parent, (described,), (), (), is_needed=True)
