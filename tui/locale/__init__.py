"""The text catalogue: every visible text of trimtab, in English and Chinese, switchable while the program runs.

One TOML file per area and language (`en/dashboard.toml`); a key is `<area>.<name>`. A key that is missing in the
chosen language falls back to English. The English help texts of parameters are not here: they are the docstrings of
the definition.
"""

from __future__ import annotations

import os
import tomllib
from functools import cache
from pathlib import Path

from trainer.wording import filled

LANGUAGES = ("en", "zh")
_FOLDER = Path(__file__).resolve().parent


def language_of_environment() -> str:
    """The language that LC_ALL, LC_MESSAGES or LANG asks for, in this order; English when none is ours."""
    for variable in ("TRIMTAB_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


_current = language_of_environment()


def language() -> str:
    """The language in force: "en" or "zh"."""
    return _current


def set_language(name: str) -> None:
    """Switch to "en" or "zh"; screens that are shown must re-set their texts afterwards."""
    global _current
    if name not in LANGUAGES:
        raise ValueError(f"language {name!r}: expected one of {', '.join(LANGUAGES)}")
    _current = name


@cache
def catalogue(name: str, area: str) -> dict[str, str]:
    """All texts of one area in one language; empty when there is no such file."""
    file = _FOLDER / name / f"{area}.toml"
    if not file.is_file():
        return {}
    return {str(key): str(value) for key, value in tomllib.loads(file.read_text(encoding="utf-8")).items()}


def text(key: str, /, **values: object) -> str:
    """The text under `<area>.<name>` in the language in force, with its `{placeholders}` filled (`trainer.wording`).

    Raises:
        KeyError: when no language has the key.
    """
    found = find(key)
    if found is None:
        raise KeyError(f"no text {key!r} in the catalogue")
    return filled(found, values) if values else found


def find(key: str) -> str | None:
    """The raw text under a key in the language in force, else in English, else None."""
    area, _, name = key.partition(".")
    return catalogue(_current, area).get(name) or catalogue("en", area).get(name)
