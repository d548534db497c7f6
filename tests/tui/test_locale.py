"""The text catalogue: both languages say the same things, and every text that the source asks for is there."""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path

import pytest

import tui
from tests.tui.cockpit_world import speaking
from tui.locale import LANGUAGES, find, text

TUI = Path(tui.__file__).resolve().parent
LOCALE = TUI / "locale"
AREAS = sorted(file.stem for file in (LOCALE / "en").glob("*.toml"))
# text("area.name", ...) or a binding's description "area.key_name"; ids of bindings have the same shape.
KEY = re.compile(r'(?<!id=)"([a-z_]+\.[a-z][a-z0-9_]*)"')


# Their English stands in the definition of the parameters and rules; only the translation is a file.
TRANSLATIONS = {"parameters.toml", "findings.toml", "reasons.toml"}


def area(language: str, name: str) -> dict[str, str]:
    return tomllib.loads((LOCALE / language / f"{name}.toml").read_text(encoding="utf-8"))


def placeholders(line: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(line) if name is not None}


def test_both_languages_have_the_same_areas() -> None:
    names = {language: {file.name for file in (LOCALE / language).glob("*.toml")} for language in LANGUAGES}
    assert names["zh"] - names["en"] <= TRANSLATIONS
    assert names["en"] <= names["zh"]
    assert {"common.toml", "dashboard.toml", "help.toml"} <= names["en"]


@pytest.mark.parametrize("name", AREAS)
def test_both_languages_have_the_same_keys(name: str) -> None:
    assert area("en", name).keys() == area("zh", name).keys()


@pytest.mark.parametrize("name", AREAS)
def test_both_languages_have_the_same_placeholders(name: str) -> None:
    english, chinese = area("en", name), area("zh", name)
    different = [key for key in english if placeholders(english[key]) != placeholders(chinese.get(key, ""))]
    assert different == []


@pytest.mark.parametrize("name", AREAS)
def test_no_text_is_empty_and_keys_are_flat(name: str) -> None:
    for language in LANGUAGES:
        for key, value in area(language, name).items():
            assert isinstance(value, str)
            assert value.strip(), f"{language}: {name}.{key} is empty"


def test_every_text_that_the_source_asks_for_exists() -> None:
    missing = []
    for file in TUI.rglob("*.py"):
        for key in KEY.findall(file.read_text(encoding="utf-8")):
            if key.split(".")[0] in AREAS and find(key) is None and not key.endswith(".toml"):
                missing.append(f"{file.relative_to(TUI)}: {key}")
    assert missing == []


def test_a_text_follows_the_language() -> None:
    with speaking("en"):
        assert text("common.screen_setup") == "Setup"
    with speaking("zh"):
        assert text("common.screen_setup") == "设置"


def test_a_missing_key_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"common\.no_such_text"):
        text("common.no_such_text")
