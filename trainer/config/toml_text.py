"""Values written as TOML on one line, as an override or a field has them. Not for whole files (`preset_writing`)."""

from __future__ import annotations

import re


def toml_text(value: object) -> str:
    """A value as TOML, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_text(part) for part in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(str(key))} = {toml_text(part)}" for key, part in value.items()) + "}"
    if isinstance(value, str):
        return _toml_string(value)
    return str(value)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml_string(key)


def _toml_string(value: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(sign, sign if sign >= " " else f"\\u{ord(sign):04x}") for sign in value) + '"'
