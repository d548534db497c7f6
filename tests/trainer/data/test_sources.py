"""Data files of every kind as rows: each row has its values, its number and the line on which it begins."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainer.data.messages import BadRow, RawRow
from trainer.data.sources import SUFFIXES, data_suffix, is_data_file, read_rows

ROW = '{"instruction": "C", "output": "D"}'
VALUE = {"instruction": "C", "output": "D"}

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a data file of the given name and content, compressed if the name ends so."""

    def write_file(name: str, content: str | bytes) -> Path:
        file = tmp_path / name
        data = content if isinstance(content, bytes) else content.encode()
        file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return file

    return write_file


def values(file: Path) -> list[Any]:
    """The values of all rows, none of which may be bad."""
    rows = list(read_rows(file))
    assert [row for row in rows if isinstance(row, BadRow)] == []
    assert [row.source.row for row in rows] == list(range(1, len(rows) + 1))
    return [row.value for row in rows if isinstance(row, RawRow)]


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.jsonl", f"{ROW}\n\n{ROW}", [1, 3]),
        ("a.ndjson", f"{ROW}\n\n{ROW}", [1, 3]),
        ("a.NDJSON", f"[{ROW},\n{ROW}]\n", [1, 2]),
        ("a.jsonl", b"\xef\xbb\xbf" + f"{ROW}\r\n{ROW}\r\n".encode(), [1, 2]),
        ("a.jsonl", f"  {ROW}\t\n{ROW} ", [1, 2]),
        ("a.json", f"[{ROW}, {ROW}]", [1, 1]),
        ("a.json", f"\n\n[\n  {ROW},\n\n  {ROW}\n]\n", [4, 6]),
        ("a.json", b"\xef\xbb\xbf" + f"[\n{ROW}\n]".encode(), [2]),
        ("a.JSON", json.dumps([VALUE, VALUE], indent=2), [2, 6]),
        ("lines_in.json", f"{ROW}\n{ROW}\n", [1, 2]),
        ("documents.json", json.dumps(VALUE, indent=1) + "\n\n" + json.dumps(VALUE, indent=1), [1, 6]),
        ("one_document.json", json.dumps(VALUE, indent=1), [1]),
        ("array_in.jsonl", f"[\n{ROW},\n{ROW}\n]\n", [2, 3]),
        ("array_in.jsonl", f"[{ROW},\n{ROW}]\n", [1, 2]),
        ("array_in.jsonl", f"[{ROW}, {ROW}]\n", [1, 1]),
        ("a.csv", "instruction,output\nC,D\n\nC,D\n", [2, 4]),
        ("a.csv", b"\xef\xbb\xbf" + b'"instruction";"output"\r\nC;"D"\r\n', [2]),
        ("a.csv", b"\xef\xbb\xbf" + b"sep=;\r\ninstruction;output\r\nC;D\r\n", [3]),
        ("a.tsv", "instruction\toutput\nC\tD\n", [2]),
        ("bars.csv", "instruction|output\nC|D\n", [2]),
        ("bars.tsv", "instruction|output\nC|D\n", [2]),
        ("semicolons.tsv", "instruction;output\nC;D\n", [2]),
        ("commas.tsv", "instruction,output\nC,D\n", [2]),
        ("quoted.csv", '"instruction";"output"\n"C";"D"\n', [2]),
    ],
)
def test_rows_know_their_lines(write: Write, name: str, content: str | bytes, lines: list[int], packed: str) -> None:
    file = write(name + packed, content)
    assert values(file) == [VALUE] * len(lines)
    assert [row.source.line for row in read_rows(file)] == lines


def test_cells_of_several_lines(write: Write) -> None:
    content = 'question,answer\n"Say ""hi"",\nplease.","Hi!\r\n\r\nThere.\u2028"\nsimple,\n'
    file = write("a.csv", content)
    assert values(file) == [
        {"question": 'Say "hi",\nplease.', "answer": "Hi!\r\n\r\nThere.\u2028"},
        {"question": "simple", "answer": ""},
    ]
    assert [row.source.line for row in read_rows(file)] == [2, 6]


def test_long_cells_are_read(write: Write) -> None:
    assert values(write("a.csv", f"a,b\n{'x' * 300_000},y\n")) == [{"a": "x" * 300_000, "b": "y"}]


def test_lines_of_text(write: Write) -> None:
    file = write("a.txt", "First line. \r\n\n 第二行\n")
    assert values(file) == [{"text": "First line. "}, {"text": " 第二行"}]
    assert [row.source.line for row in read_rows(file)] == [1, 3]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "stream.arrow"])
def test_columns_become_rows(tmp_path: Path, name: str) -> None:
    import pyarrow
    from pyarrow import ipc, parquet

    rows = [{"messages": [{"role": "user", "content": str(number)}], "label": number % 2 == 0} for number in range(700)]
    rows[3]["label"] = None  # type: ignore[assignment]
    table = pyarrow.Table.from_pylist(rows)
    file = tmp_path / name
    if name.endswith(".parquet"):
        parquet.write_table(table, file, row_group_size=300)
    else:
        make = ipc.new_stream if name.startswith("stream") else ipc.new_file
        with make(str(file), table.schema) as out:
            out.write_table(table, max_chunksize=300)
    assert values(file) == rows


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_larger_than_what_is_read_at_once(write: Write, indent: int | None) -> None:
    """Borders of blocks fall into keys, escapes, numbers and letters of several bytes."""
    chance = random.Random(7)
    alphabet = 'ab"\\\n\t 0é汉🙂\u2028'
    rows = []
    for number in range(2500):
        text = "".join(chance.choices(alphabet, k=chance.choice((3, 50, 900))))
        rows.append({"n": number * 1.5e300, "t": text, "list": [{"k": [text[:9], None, True]}]})
    rows[1200]["t"] = "é" * 3_000_000
    content = json.dumps(rows, ensure_ascii=False, indent=indent)
    assert len(content.encode()) > 5 << 20
    file = write("a.json", content)
    assert values(file) == rows
    if indent:
        starts = [number for number, line in enumerate(content.split("\n"), start=1) if line == "  {"]
        assert [row.source.line for row in read_rows(file)] == starts


def test_columns_without_a_name_get_the_one_that_pandas_gives_them(write: Write) -> None:
    found = values(write("a.csv", ",instruction,output,,\n0,C,D,,\n"))
    assert found == [{"Unnamed: 0": "0", **VALUE, "Unnamed: 3": "", "Unnamed: 4": ""}]


def test_what_csv_writes_is_read(tmp_path: Path) -> None:
    chance = random.Random(11)
    rows = [{key: "".join(chance.choices('a",;\n\r\t é', k=chance.randrange(8))) for key in "xyz"} for _ in range(500)]
    for name, separator in (("a.csv", ","), ("a.tsv", "\t")):
        file = tmp_path / name
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, "xyz", delimiter=separator)
            writer.writeheader()
            writer.writerows(rows)
        assert values(file) == rows


def test_names_of_data_files() -> None:
    assert all(is_data_file(Path(f"rows{suffix.upper()}")) for suffix in SUFFIXES)
    assert data_suffix(Path("a.b.jsonl.gz")) == ".jsonl.gz"
    assert not any(is_data_file(Path(name)) for name in ("a.parquet.gz", "a.gz", "jsonl", "a.yaml", "a.xlsx"))
