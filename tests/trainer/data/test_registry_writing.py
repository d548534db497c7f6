"""`dataset_info.json` gets an entry and keeps everything else."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from trainer.data.registry import find_dataset, list_datasets, register_dataset
from trainer.errors import UserError

ENTRY: dict[str, Any] = {"file_name": "rows.jsonl", "columns": {"prompt": "question", "response": "answer"}}
LINES = [
    '"new": {',
    '  "file_name": "rows.jsonl",',
    '  "columns": {',
    '    "prompt": "question",',
    '    "response": "answer"',
    "  }",
    "}",
]


def written(indent: str) -> str:
    """The new entry as it stands in a file with this indentation."""
    return "\n".join(indent + line.replace("  ", indent) for line in LINES)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the registry is or will be."""
    (tmp_path / "rows.jsonl").write_text("{}")
    return tmp_path / "dataset_info.json"


def test_a_new_file_is_made(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "dataset_info.json"
    register_dataset(file, "new", ENTRY)
    assert file.read_text() == "{\n" + written("  ") + "\n}\n"
    (file.parent / "rows.jsonl").write_text("{}")
    entry = find_dataset("new", file.parent)
    assert entry.columns
    assert entry.columns.response == "answer"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", "{\n" + written("  ") + "\n}"),
        ("{\n}\n", "{\n" + written("  ") + "\n}\n"),
        ('{\n    "a" : {"file_name":"x"}\n}\n', '{\n    "a" : {"file_name":"x"},\n' + written("    ") + "\n}\n"),
        ('{\n\t"a": {}\n}', '{\n\t"a": {},\n' + written("\t") + "\n}"),
        ('{"a": {}, "b": {}}', '{"a": {}, "b": {},\n' + written("  ") + "\n}"),
        ('{\r\n  "a": {}\r\n}\r\n', ('{\n  "a": {},\n' + written("  ") + "\n}\n").replace("\n", "\r\n")),
        (
            '\ufeff{\n  "名": {"file_name": "é\\u00e9"}\n}',
            '\ufeff{\n  "名": {"file_name": "é\\u00e9"},\n' + written("  ") + "\n}",
        ),
    ],
)
def test_other_entries_keep_every_byte(file: Path, before: str, after: str) -> None:
    file.write_bytes(before.encode())
    register_dataset(file, "new", ENTRY)
    assert file.read_bytes().decode() == after
    assert json.loads(after.removeprefix("\ufeff"))["new"] == ENTRY


def test_a_taken_name_needs_replace(file: Path) -> None:
    file.write_text('{\n  "a": {"file_name": "1"},\n  "new": {"file_name": "2"},\n  "b": {"file_name": "3"}\n}\n')
    with pytest.raises(UserError, match=r"name = 'new': this name is registered already. Choose another name, or"):
        register_dataset(file, "new", ENTRY)
    register_dataset(file, "new", ENTRY, replace=True)
    expected = '{\n  "a": {"file_name": "1"},\n' + written("  ") + ',\n  "b": {"file_name": "3"}\n}\n'
    assert file.read_text() == expected
    register_dataset(file, "other", ENTRY, replace=True)
    assert list_datasets(file.parent) == ("a", "new", "b", "other")


def test_a_broken_file_is_left_as_it_is(file: Path) -> None:
    text = '{\n  "a": {}\n  "b": {}\n}'
    file.write_text(text)
    with pytest.raises(UserError, match=r"dataset_info.json:3: the file is broken and is left as it is"):
        register_dataset(file, "new", ENTRY)
    assert file.read_text() == text
    assert sorted(path.name for path in file.parent.iterdir()) == ["dataset_info.json", "rows.jsonl"]


@pytest.mark.parametrize("name", ["", " a", "a,b", "a/b", "hf://a", "*.jsonl", "a\nb", "a\x1bb", "a=b", "-a"])
def test_names_that_lists_and_paths_would_misread(file: Path, name: str) -> None:
    with pytest.raises(UserError, match="not a name for a data set"):
        register_dataset(file, name, ENTRY)
    assert not file.exists()


def test_an_entry_that_could_not_be_used_is_refused(file: Path) -> None:
    with pytest.raises(UserError, match="Did you mean formatting"):
        register_dataset(file, "new", {"file_name": "x", "formating": "alpaca"})
    with pytest.raises(UserError, match=r"new.columns.zzz: unknown key. Known: prompt"):
        register_dataset(file, "new", {"file_name": "x", "columns": {"zzz": "q"}})
    assert not file.exists()


def test_links_and_permissions_stay(file: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "info.json").write_text("{}")
    (shared / "info.json").chmod(0o640)
    file.symlink_to(shared / "info.json")
    register_dataset(file, "new", ENTRY)
    assert file.is_symlink()
    assert list_datasets(tmp_path) == ("new",)
    assert stat.S_IMODE((shared / "info.json").stat().st_mode) == 0o640


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(UserError, match=r"/proc/.*dataset_info.json: .*or choose another dataset_dir"):
        register_dataset(Path("/proc/trimtab/dataset_info.json"), "new", ENTRY)


def _register_ten(file: Path, who: int) -> None:
    for number in range(10):
        register_dataset(file, f"set_{who}_{number}", ENTRY)


def test_processes_that_register_at_once_lose_nothing(file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_register_ten, args=(file, who)) for who in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == os.EX_OK
    assert len(list_datasets(file.parent)) == 30
