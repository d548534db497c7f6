"""Files as they come: arrays and lines, byte order marks, broken ends. Each row knows its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainer.data.conftest import MakeModel, MakeRecipe
from trainer.data import prepare
from trainer.errors import UserError

ROW = '{"instruction": "C", "output": "D"}'


@pytest.fixture
def write(tmp_path: Path, make_model: MakeModel, make_recipe: MakeRecipe):  # type: ignore[no-untyped-def]
    """Writes a data file of the given name and gives a recipe over it that skips bad rows."""

    def write_file(name: str, content: str | bytes):  # type: ignore[no-untyped-def]
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return make_recipe(make_model(), [], dataset=[str(file)], on_bad_row="skip")

    return write_file


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.jsonl", f"{ROW}\n\n{ROW}", [1, 3]),
        ("a.jsonl", b"\xef\xbb\xbf" + f"{ROW}\r\n{ROW}\r\n".encode(), [1, 2]),
        ("a.json", f"[{ROW}, {ROW}]", [1, 1]),
        ("a.json", f"\n\n[\n  {ROW},\n\n  {ROW}\n]\n", [4, 6]),
        ("a.json", b"\xef\xbb\xbf" + f"[\n{ROW}\n]".encode(), [2]),
        ("lines_in.json", f"{ROW}\n{ROW}\n", [1, 2]),
    ],
    ids=["lines", "lines with mark", "array", "tall array", "array with mark", "lines named json"],
)
def test_rows_know_their_lines(write, name: str, content: str | bytes, lines: list[int]) -> None:  # type: ignore[no-untyped-def]
    train = prepare(write(name, content)).train
    assert [example.source.line for example in train] == lines
    assert [example.source.row for example in train] == list(range(1, len(lines) + 1))


@pytest.mark.parametrize(
    ("name", "content", "line", "text"),
    [
        ("a.json", f"[\n{ROW},\n{ROW}\n", 4, "the array is not closed"),
        ("a.json", f"[\n{ROW}\n{ROW}\n]", 3, "a comma is missing between two rows"),
        ("a.json", f'[\n{ROW},\n{{"instruction": "C", \n"output": D}}]', 4, "Expecting value (column 11, in row 2)"),
        ("a.json", f"[\n{ROW},\n]", 3, "a comma stands after the last row"),
        ("a.jsonl", f"{ROW}\n".encode() + b'{"instruction": "\xff"}\n', 2, "not UTF-8 text (byte 0xff)"),
        ("a.jsonl", f"{ROW}\n" + "[" * 100_000, 2, "nested too deeply"),
    ],
    ids=["open array", "no comma", "bad value", "trailing comma", "not UTF-8", "too deep"],
)
def test_broken_files(write, name: str, content: str | bytes, line: int, text: str) -> None:  # type: ignore[no-untyped-def]
    recipe = write(name, content)
    prepared = prepare(recipe)
    assert len(prepared.train) >= 1  # what comes before the damage is used
    example = prepared.report.bad[0].examples[0]
    assert example.source.line == line
    assert text in example.text
    with pytest.raises(UserError) as stopped:
        prepare(recipe.with_values({"data.on_bad_row": "stop"}))
    assert f"{name}:{line}" in str(stopped.value)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.json", "", "the file holds no rows"),
        ("a.json", "[]", "the file holds no rows"),
        ("a.jsonl", "\n\n", "the file holds no rows"),
        ("a.parquet", "PAR1", "only .json and .jsonl files are read so far"),
        ("a.json", b"[\xff]", "none of the 1 rows can be used"),
    ],
)
def test_files_without_rows(write, name: str, content: str | bytes, text: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError) as refused:
        prepare(write(name, content))
    assert text in str(refused.value)


def test_rows_on_one_line_are_told_apart(write) -> None:  # type: ignore[no-untyped-def]
    recipe = write("a.json", f'[{ROW}, {ROW}, {{"instruction": "C"}}]')
    assert str(prepare(recipe).report.bad[0].examples[0].source).endswith("a.json:1 (row 3)")
    with pytest.raises(UserError, match=r"a.json:1: row 3: no column output"):
        prepare(recipe.with_values({"data.on_bad_row": "stop"}))
