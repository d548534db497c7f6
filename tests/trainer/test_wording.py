"""Words that depend on a number."""

from __future__ import annotations

import pytest

from trainer.wording import filled

TEXT = "{count} of {rows} {rows:row|rows} {count:is|are} longer than {limit:,}"


@pytest.mark.parametrize(
    ("count", "rows", "expected"),
    [
        (1, 1, "1 of 1 row is longer than 2,048"),
        (1, 5, "1 of 5 rows is longer than 2,048"),
        ("0", "1,001", "0 of 1,001 rows are longer than 2,048"),
    ],
)
def test_words_follow_their_number(count: object, rows: object, expected: str) -> None:
    assert filled(TEXT, {"count": count, "rows": rows, "limit": 2048}) == expected


def test_values_are_never_patterns() -> None:
    assert filled("{a}: {a:x|y}", {"a": "{b|c}"}) == "{b|c}: y"
    assert filled("{a}", {"a": "|{b}"}) == "|{b}"
    with pytest.raises(KeyError):
        filled("{a:x|y}", {})
