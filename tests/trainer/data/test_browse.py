"""Any row of any file by number, while the rows are still being found."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.data.browse import RowBrowser
from trainer.data.messages import BadRow, RawRow
from trainer.data.sources import read_rows
from trainer.errors import UserError

BAD_FILES = Path(__file__).parents[2] / "data" / "bad" / "files"
MANY = 3000

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes numbered rows into a file of the kind that its name says."""

    def write_file(name: str, count: int = MANY) -> Path:
        rows = [{"instruction": f"Question {number}\nof many", "output": f"Answer {number}"} for number in range(count)]
        file = tmp_path / name
        if file.suffix in (".parquet", ".arrow"):
            _write_columns(file, rows)
            return file
        lines = [json.dumps(row) for row in rows]
        kind = Path(name.removesuffix(".gz")).suffix
        content = {
            ".jsonl": "\n\n".join(lines),
            ".json": "[\n" + ",\n".join(lines) + "\n]",
            ".csv": "instruction,output\n" + "".join(f'"{row["instruction"]}",{row["output"]}\n' for row in rows),
            ".txt": "\n".join(row["output"] for row in rows),
        }[kind].encode()
        file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return file

    return write_file


def _write_columns(file: Path, rows: list[dict[str, str]]) -> None:
    import pyarrow
    from pyarrow import ipc, parquet

    table = pyarrow.Table.from_pylist(rows)
    if file.suffix == ".parquet":
        parquet.write_table(table, file, row_group_size=1100)
    else:
        with ipc.new_file(str(file), table.schema) as out:
            out.write_table(table, max_chunksize=700)


def complete(*files: Path) -> RowBrowser:
    """A browser that has found all rows."""
    browser = RowBrowser(files)
    while not browser.extend(0):
        pass
    return browser


KINDS = ["a.jsonl", "a.json", "a.csv", "a.txt", "a.jsonl.gz", "a.json.gz", "a.csv.gz", "a.parquet", "a.arrow"]


@pytest.mark.parametrize("name", KINDS)
def test_every_row_is_as_it_is_read_from_the_front(write: Write, name: str) -> None:
    file = write(name)
    expected = list(read_rows(file))
    browser = complete(file)
    assert browser.known == MANY
    assert browser.read(0, MANY + 5) == expected
    for number in (MANY - 1, 0, 1700, 1699, 2222, 3):  # also against the direction in which files are read
        assert browser.read(number, 1) == [expected[number]]
    assert browser.read(MANY, 3) == browser.read(-3, 2) == []
    browser.close()


@pytest.mark.parametrize("name", [name for name in KINDS if name[1:] not in (".parquet", ".arrow")])
def test_first_rows_are_there_before_the_rest_was_looked_at(write: Write, name: str) -> None:
    file = write(name)
    browser = RowBrowser([file])
    assert browser.known == 0
    assert not browser.extend(0)
    assert 0 < browser.known < MANY
    assert 0 < browser.share < 1
    expected = list(read_rows(file))
    assert browser.read(browser.known - 2, 9) == expected[browser.known - 2 : browser.known]
    while not browser.extend(0):
        pass
    assert browser.share == 1
    assert browser.read(0, MANY) == expected


def test_several_files_are_one_sequence(write: Write) -> None:
    files = [write("a.jsonl", 700), write("b.csv", 3), write("c.parquet", 600)]
    browser = complete(*files)
    assert browser.known == 1303
    rows = browser.read(699, 5)
    assert [(Path(row.source.file).name, row.source.row) for row in rows] == [
        ("a.jsonl", 700),
        ("b.csv", 1),
        ("b.csv", 2),
        ("b.csv", 3),
        ("c.parquet", 1),
    ]


@pytest.mark.parametrize("file", sorted(BAD_FILES.iterdir()), ids=lambda file: file.name)
def test_bad_rows_and_bad_files_stay_in_their_place(file: Path) -> None:
    expected = _read(file)
    browser = complete(file)
    rows = browser.read(0, browser.known)
    if isinstance(expected, UserError):
        assert [row.text for row in rows if isinstance(row, BadRow)] in ([], [expected.message])
        assert rows or "holds no rows" in expected.message
    elif file.suffix == ".parquet":  # a broken row group is one bad row when read, and so many when looked at
        assert [row for row in rows if isinstance(row, RawRow)] == [row for row in expected if isinstance(row, RawRow)]
    elif file.suffix == ".arrow":  # nothing of a file without its end can be looked at by number
        assert isinstance(rows[-1], BadRow)
    else:
        assert rows == expected


def _read(file: Path) -> list[RawRow | BadRow] | UserError:
    try:
        return list(read_rows(file))
    except UserError as error:
        return error


def test_a_bad_file_does_not_hide_the_others(write: Write, tmp_path: Path) -> None:
    browser = complete(tmp_path / "missing.jsonl", write("a.jsonl", 2))
    rows = browser.read(0, 9)
    assert [type(row) for row in rows] == [BadRow, RawRow, RawRow]
    assert "missing.jsonl:0: the file does not exist. Check the path" in str(rows[0])


def test_search_in_steps(write: Write) -> None:
    browser = complete(write("a.jsonl"))
    assert browser.search("answer 2500", 0, 60).found == 2500
    assert browser.search("ANSWER 17", 18, 60).found == 170
    assert browser.search("question 17\nOF", 2999, 60, backwards=True).found == 17
    nothing = browser.search("nowhere", 0, 60)
    assert (nothing.found, nothing.go_on_at) == (None, None)
    step = browser.search("answer 3", 0, 0)
    assert (step.found, step.go_on_at) == (None, 1)
    steps = 0
    while step.go_on_at is not None:
        step = browser.search("answer 3", step.go_on_at, 0)
        steps += 1
    assert (step.found, steps) == (3, 3)


def test_search_waits_for_rows_that_are_not_found_yet(write: Write) -> None:
    browser = RowBrowser([write("a.jsonl")])
    browser.extend(0)
    step = browser.search("Answer 2999", 0, 60)
    assert (step.found, step.go_on_at) == (None, browser.known)
    while not browser.extend(0):
        pass
    assert browser.search("Answer 2999", browser.known - 1, 60).found == 2999


def test_bad_rows_are_found_by_what_is_wrong_with_them() -> None:
    browser = complete(BAD_FILES / "duplicate_keys.jsonl")
    assert browser.search("stands twice", 0, 60).found == 1


def test_rows_are_read_while_another_thread_finds_more(write: Write) -> None:
    file = write("a.csv.gz")
    expected = list(read_rows(file))
    browser = RowBrowser([file])
    finder = threading.Thread(target=lambda: [browser.extend(0) for _ in range(MANY)])
    finder.start()
    while not browser.is_complete:
        first = max(0, browser.known - 3)
        rows = browser.read(first, 3)
        assert rows == expected[first : first + len(rows)]
    finder.join()
    assert browser.known == MANY


def test_closing_stops_the_search_for_rows(write: Write) -> None:
    browser = RowBrowser([write("a.jsonl.gz")])
    browser.extend(0)
    browser.close()
    assert browser.extend(0) is False


def test_a_row_that_cannot_be_read_is_still_text(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'{"a": 1}\n{oops \xff\r\n{"a": 3}')
    browser = RowBrowser([file])
    browser.extend(10)
    assert [browser.text(number) for number in range(3)] == ['{"a": 1}', "{oops \\xff", '{"a": 3}']
    nowhere = RowBrowser([tmp_path / "nowhere.jsonl"])
    nowhere.extend(10)
    assert nowhere.text(0) is None
