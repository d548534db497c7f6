"""Writing a preset with tomlkit, so that comments and order of an existing file stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from trainer.errors import UserError


def write_preset(
    path: Path, values: Mapping[str, Mapping[str, object]], *, extends: str | None, description: str
) -> None:
    """Write (or rewrite) the file in one step: it is whole or as it was before.

    Raises:
        UserError: the disk refuses.
    """
    document = _document(path)
    _set_head(document, "description", description or None)
    _set_head(document, "extends", extends)
    for table in [key for key, content in document.items() if isinstance(content, Table) and not values.get(key)]:
        del document[table]
    for table, content in values.items():
        if content:
            _fill(document, table, content)
    staging = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging.write_text(tomlkit.dumps(document), encoding="utf-8")
        staging.replace(path)
    except OSError as error:
        staging.unlink(missing_ok=True)
        raise UserError(f"cannot be written: {error.strerror}", file=path) from error


def _document(path: Path) -> tomlkit.TOMLDocument:
    if not path.is_file():
        return tomlkit.document()
    try:
        return tomlkit.parse(path.read_text(encoding="utf-8-sig"))
    except (TOMLKitError, UnicodeDecodeError):
        # A file that nobody can read has no comments worth keeping, and saving over it was asked for.
        return tomlkit.document()


def _set_head(document: tomlkit.TOMLDocument, name: str, value: str | None) -> None:
    if value is None:
        document.pop(name, None)
    elif name in document:
        document[name] = value
    else:
        _insert_before_tables(document, name, value)


def _insert_before_tables(document: tomlkit.TOMLDocument, name: str, value: str) -> None:
    """A new key at the top must stand before the first table, or it would belong to that."""
    tables = [(key, item) for key, item in document.items() if isinstance(item, Table)]
    for key, _ in tables:
        del document[key]
    document.append(name, tomlkit.item(value))
    for key, item in tables:
        document.append(key, item)


def _fill(document: tomlkit.TOMLDocument, table: str, content: Mapping[str, object]) -> None:
    if table not in document:
        document.append(table, tomlkit.table())
    section = document[table]
    assert isinstance(section, Table)
    for name in [key for key in section if key not in content]:
        del section[name]
    for name, value in content.items():
        if name not in section or section[name] != value:
            section[name] = value
