"""What a user may have instead of a good file. Each says file, row or line, and the remedy; good rows still come.

The files are in `tests/data/bad/files`; those that no repository can hold are made here.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from trainer.data.messages import BadRow, RawRow
from trainer.data.registry import find_dataset
from trainer.data.sources import read_rows
from trainer.errors import UserError

FILES = Path(__file__).parents[2] / "data" / "bad" / "files"
GOOD = '{"instruction": "Name a colour.", "output": "Blue."}'


def read(file: Path) -> tuple[list[int], list[BadRow]]:
    """The numbers of the good rows, and the bad rows."""
    rows = list(read_rows(file))
    good = [row.source.row for row in rows if isinstance(row, RawRow)]
    return good, [row for row in rows if isinstance(row, BadRow)]


@pytest.mark.parametrize(
    ("name", "good", "line", "reason", "text", "remedy"),
    [
        ("truncated_line.jsonl", [1, 3], 2, "invalid_json", "Unterminated string", "was cut off here: complete"),
        ("truncated_end.jsonl", [1, 2], 3, "invalid_json", "starting at column 17", "was cut off here: complete"),
        ("unterminated_array.json", [1, 2], 4, "invalid_json", "the array is not closed", "Put ] at the end"),
        ("broken_row_in_array.json", [1, 3], 3, "invalid_json", "Expecting value at column 46 (row 2)", "Mend this"),
        ("missing_comma.json", [1, 3], 3, "invalid_json", "a comma is missing between two rows", "Put a comma"),
        ("trailing_comma.json", [1, 2], 4, "invalid_json", "comma stands after the last row", "Remove the comma"),
        ("text_after_array.json", [1], 4, "invalid_json", "after the end of the array", "Move the rows"),
        ("array_named_jsonl.jsonl", [2], 1, "not_an_object", "is a JSON array", "name the file .json"),
        ("rows_over_lines.jsonl", [5], 1, "invalid_json", "only a part of the row", "belong into a .json file"),
        ("invalid_utf8.jsonl", [1, 3], 2, "invalid_encoding", "not UTF-8 text (byte 0xd1)", "iconv -f GBK -t UTF-8"),
        ("invalid_utf8.json", [1, 3], 3, "invalid_encoding", "not UTF-8 text (byte 0xe9)", "-f LATIN1"),
        ("invalid_utf8.csv", [1, 3], 3, "invalid_encoding", "not UTF-8 text (byte 0xe9)", "Save the file as UTF-8"),
        ("lines_with_invalid.txt", [1, 2], 4, "invalid_encoding", "not UTF-8 text", "Save the file as UTF-8"),
        ("comments.jsonl", [2], 1, "invalid_json", "Expecting value at column 1", "hold one whole JSON object"),
        ("single_quotes.jsonl", [2], 1, "invalid_json", "in double quotes at column 2", "hold one whole JSON object"),
        ("null_bytes.jsonl", [1, 3], 2, "invalid_json", "null bytes (0x00)", "remove the line"),
        ("null_bytes.json", [1, 3], 3, "invalid_json", "null bytes (0x00) in row 2", "remove them"),
        ("duplicate_keys.jsonl", [1, 3], 2, "duplicate_keys", "the key 'output' stands twice", "remove or rename"),
        ("duplicate_keys.json", [1, 3], 3, "duplicate_keys", "the key 'role' stands twice", "remove or rename"),
        ("not_objects.jsonl", [1, 6], 2, "not_an_object", "the row is a JSON string", 'Write {"instruction"'),
        ("long_number.jsonl", [1, 3], 2, "invalid_json", "more digits than can be read", "numbers as strings"),
        ("ragged_row.csv", [1, 4], 3, "ragged_row", "the row has 4 cells, the header 2", "into double quotes"),
        ("stray_quote.csv", [1, 3], 3, "invalid_csv", "quotes of this row do not fit", "Write a quote"),
        ("open_quote.csv", [1, 3], 3, "invalid_csv", "begins here and does not end", "close every quoted cell"),
        ("cut_off.jsonl.gz", list(range(1, 189)), 189, "broken_file", "rest of the file cannot be read", "Copy or"),
        ("cut_off.arrow", list(range(1, 101)), 101, "broken_file", "part of the file is broken", "download the file"),
        (
            "broken_row_group.parquet",
            [*range(1, 101), *range(201, 301)],
            101,
            "broken_file",
            "100 rows cannot be read",
            "Copy or download",
        ),
    ],
)
def test_bad_rows(name: str, good: list[int], line: int, reason: str, text: str, remedy: str) -> None:
    rows, bad = read(FILES / name)
    assert rows == good
    assert bad[0].reason == reason
    assert (bad[0].source.line or bad[0].source.row) == line
    said = str(bad[0])
    assert f"{name}:{line}" in said
    assert text in said
    assert remedy in said


@pytest.mark.parametrize("name", ["byte_order_mark.jsonl", "byte_order_mark.csv", "quotes_and_newlines.csv"])
def test_odd_but_good_files(name: str) -> None:
    rows, bad = read(FILES / name)
    assert rows
    assert bad == []
    assert all(
        set(row.value) == {"instruction", "output"} for row in read_rows(FILES / name) if isinstance(row, RawRow)
    )


def test_semicolons_of_a_spreadsheet_are_understood() -> None:
    (row,) = read_rows(FILES / "semicolons.csv")
    assert isinstance(row, RawRow)
    assert row.value == {"instruction": "Name a colour.", "output": "Blue, or red."}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("empty.jsonl", "the file holds no rows: it is empty (0 bytes). Put one JSON object a row into it"),
        ("empty.json", "it is empty (0 bytes)"),
        ("empty.csv", "it is empty (0 bytes). The first line names the columns"),
        ("header_only.csv", "the file holds no rows. The first line names the columns; put the rows below it"),
        ("blank_lines.jsonl", "the file holds no rows"),
        ("empty_list.json", "the file holds no rows"),
        ("unknown_extension.yaml", "files of type '.yaml' cannot be read. Convert it to .jsonl, or use .json"),
        ("no_extension", "files without an extension cannot be read"),
        ("utf16.jsonl", "the file is UTF-16 text, not UTF-8. Save it as UTF-8 (iconv -f UTF-16 -t UTF-8 utf16.jsonl"),
        ("utf16_without_mark.json", "the file is UTF-16 text"),
        ("twice_in_header.csv", ":1: the header names the column 'output' twice. Rename or remove one of them"),
        ("unnamed_column.csv", ":1: column 2 of the header has no name. The first line must name the columns"),
        ("carriage_returns.csv", ":1: the header is broken: a line ends with a carriage return alone. Save"),
        ("cut_off.parquet", "not a readable parquet file: Parquet magic bytes not found in footer. Copy or download"),
        ("text_named.parquet", "not a readable parquet file"),
        ("text_named.arrow", "not a readable arrow file"),
        ("not_gzip.jsonl.gz", "not a readable gzip file: Not a gzipped file (b'{\"'). Copy or download"),
        ("gzip_without_gz.jsonl", "the file is compressed with gzip. Add .gz to its name"),
        ("zip_named.jsonl", "the file is a zip archive (or an Excel file). Unpack it, or export it as .csv"),
        ("missing.jsonl", "the file does not exist. Check the path"),
    ],
)
def test_files_that_hold_nothing(name: str, text: str) -> None:
    with pytest.raises(UserError) as refused:
        list(read_rows(FILES / name))
    assert str(FILES / name) in str(refused.value)
    assert text in str(refused.value)


def test_a_row_of_ten_megabytes_is_a_row_like_any_other(tmp_path: Path) -> None:
    long = {"instruction": "x" * 10_000_000, "output": "y"}
    for name in ("rows.jsonl", "rows.json"):
        file = tmp_path / name
        rows = [json.dumps(long), GOOD]
        file.write_text("[" + ",".join(rows) + "]" if name == "rows.json" else "\n".join(rows))
        assert read(file) == ([1, 2], [])


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_nesting_without_end(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text(f"[{GOOD},\n{'[' * 100_000}" if name == "rows.json" else f"{GOOD}\n{'[' * 100_000}\n")
    good, bad = read(file)
    assert good == [1]
    assert f"{name}:2: nested too deeply. Flatten the row" in str(bad[0])


def test_a_folder_named_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").mkdir()
    with pytest.raises(UserError, match=r"rows.jsonl: this is a folder, not a file. Give the files in it"):
        list(read_rows(tmp_path / "rows.jsonl"))


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(UserError, match=r"this is a named pipe, not a file. Write its rows to a .jsonl file first"):
        list(read_rows(tmp_path / "pipe.jsonl"))
    (tmp_path / "zero.jsonl").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="this is a device, not a file"):
        list(read_rows(tmp_path / "zero.jsonl"))


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "b.jsonl")
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "a.jsonl")
    (file,) = find_dataset("a.jsonl", tmp_path).files
    with pytest.raises(UserError, match=r"a.jsonl: the link leads in a circle. Remove the link and name the file"):
        list(read_rows(file))
    (tmp_path / "c.jsonl").symlink_to("gone.jsonl")
    with pytest.raises(UserError, match=r"c.jsonl: the link leads to gone.jsonl, which is not there. Mend the link"):
        list(read_rows(tmp_path / "c.jsonl"))


def test_a_file_that_the_system_does_not_hand_out(tmp_path: Path) -> None:
    """Permissions do not stop root, so this is a file that nobody can read from its beginning."""
    (tmp_path / "rows.jsonl").symlink_to("/proc/self/mem")
    with pytest.raises(UserError, match=r"rows.jsonl: Input/output error. Check the disk and the path"):
        list(read_rows(tmp_path / "rows.jsonl"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(GOOD)
    file.chmod(0)
    with pytest.raises(UserError, match=r"no permission to read the file. .*chmod u\+r rows.jsonl"):
        list(read_rows(file))


def test_a_folder_of_many_schemas_gives_each_row_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(GOOD)
    (tmp_path / "b.csv").write_text("question,answer\nx,y\n")
    (tmp_path / "c.txt").write_text("Only text.\n")
    files = find_dataset(f"{tmp_path}/", tmp_path).files
    rows = [row for file in files for row in read_rows(file)]
    assert [(Path(row.source.file).name, *row.value) for row in rows if isinstance(row, RawRow)] == [
        ("a.jsonl", "instruction", "output"),
        ("b.csv", "question", "answer"),
        ("c.txt", "text"),
    ]
