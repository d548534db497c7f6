"""Which files a data set name stands for, `dataset_info.json`, and what its mistakes are called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainer.data.registry import DatasetEntry, find_dataset, list_datasets, read_info, scan_info
from trainer.errors import UserError

ROW = '{"instruction": "A", "output": "B"}\n'

Find = Callable[..., DatasetEntry]


@pytest.fixture
def find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Find:
    """Finds a data set in a folder that holds rows.jsonl and the given dataset_info.json."""
    (tmp_path / "rows.jsonl").write_text(ROW)
    monkeypatch.delenv("USE_MODELSCOPE_HUB", raising=False)

    def found(name: str, info: Any = None) -> DatasetEntry:
        if info is not None:
            text = info if isinstance(info, str) else json.dumps(info, indent=2)
            (tmp_path / "dataset_info.json").write_text(text, encoding="utf-8")
        return find_dataset(name, tmp_path)

    return found


def refusal(find: Find, name: str, info: Any = None) -> UserError:
    """The error for a data set name."""
    with pytest.raises(UserError) as error:
        find(name, info)
    return error.value


def test_all_keys_of_an_entry(find: Find, tmp_path: Path) -> None:
    raw = {
        "file_name": "rows.jsonl",
        "formatting": "sharegpt",
        "ranking": True,
        "columns": {"messages": "conversations", "chosen": "good", "rejected": "bad"},
        "tags": {"role_tag": "role"},
        "num_samples": 12,
        "split": "train",
        "subset": "en",
        "folder": "deep",
    }
    entry = find("mine", {"mine": raw})
    assert entry.files == (tmp_path / "rows.jsonl",)
    assert (entry.formatting, entry.ranking, entry.num_samples) == ("sharegpt", True, 12)
    assert (entry.split, entry.subset, entry.folder, entry.hub) == ("train", "en", "deep", None)
    assert entry.columns
    assert (entry.columns.messages, entry.columns.chosen, entry.columns.prompt) == ("conversations", "good", None)
    assert entry.tags
    assert (entry.tags.role_tag, entry.tags.content_tag) == ("role", "value")


def test_remarks_that_llama_factory_passes_over_do_no_harm(find: Find, tmp_path: Path) -> None:
    raw = {"file_name": "rows.jsonl", "file_sha1": "0f", "_comment": "mine", "columns": {"prompt": "q", "zzz": 3}}
    entry = find("mine", {"mine": raw})
    assert entry.columns
    assert entry.columns.prompt == "q"


@pytest.mark.parametrize(
    ("name", "info", "text"),
    [
        ("identiti", {"identity": {"file_name": "rows.jsonl"}}, "Did you mean identity?"),
        ("zzz", {"identity": {"file_name": "rows.jsonl"}}, "Known: identity"),
        ("zzz", {}, "register the file in one, or give the path of a data file"),
        ("rows.json", {}, "dataset = 'rows.json': the data file does not exist"),
        ("x.xlsx", {}, ".xlsx files cannot be read (only json, jsonl, csv, tsv, txt"),
        ("some/x.pkl", {"identity": {"file_name": "rows.jsonl"}}, "Convert it to .jsonl, one row a line"),
        ("rows.json", {}, "(dataset_dir = "),
        ("part*.jsonl", {}, "no file fits the pattern"),
        ("mine", {"mine": {"file_name": "../rows.txt"}}, "the data file does not exist"),
        ("mine", {"mine": {"file_name": "row.jsonl"}}, "Did you mean rows.jsonl?"),
        ("mine", {"mine": {"file_name": "dataset_info.json.bak"}}, "the data file does not exist"),
        ("mine", {"mine": {"script_url": "x"}}, "script_url runs foreign code and is refused"),
        ("mine", {"mine": {"om_hub_url": "x"}}, "OpenMind cannot be read"),
        ("mine", {"mine": {}}, "no file_name"),
        ("mine", {"mine": []}, "must be an object"),
        ("mine", {"mine": {"file_name": 3}}, "mine.file_name = 3: must be text"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "formating": "alpaca"}}, "Did you mean formatting?"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "formatting": "chatml"}}, "expected alpaca, sharegpt or openai"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "columns": {"promt": "q"}}}, "Did you mean prompt?"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "columns": {"prompt": 3}}}, "must be text"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "columns": []}}, "must be an object"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "tags": {"role": "x"}}}, "Did you mean role_tag?"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "ranking": "yes"}}, "must be true or false"),
        ("mine", {"mine": {"file_name": "rows.jsonl", "num_samples": 0}}, "must be a number of rows, 1 or more"),
        ("mine", [], "must be an object of data set names"),
        ("mine", "", "the file is empty"),
        ("ftp://x/y", {}, "addresses of the kind ftp:// are not known"),
        ("hf://rows", {}, "Write hf://owner/name, then as needed /subset, @revision and :split"),
    ],
)
def test_mistakes(find: Find, name: str, info: Any, text: str) -> None:
    assert text in str(refusal(find, name, info))


def test_a_missing_file_is_named_with_every_place_where_it_was_looked_for(find: Find, tmp_path: Path) -> None:
    said = str(refusal(find, "sub/none.jsonl", {}))
    assert f"{tmp_path}/sub/none.jsonl" in said
    assert f"{Path.cwd()}/sub/none.jsonl" in said


def test_a_missing_file_of_an_entry_says_what_to_do(find: Find) -> None:
    said = str(refusal(find, "mine", {"mine": {"file_name": "else.csv"}}))
    assert "else.csv" in said
    assert said.endswith("Put it there, or mend dataset_info.json")


def test_of_many_known_names_some_are_told(find: Find) -> None:
    said = str(refusal(find, "mine", {f"set_{number}": {"file_name": "x"} for number in range(14)}))
    assert said.endswith("set_8, set_9 and 4 more")


def test_names_are_listed_in_order(tmp_path: Path) -> None:
    assert list_datasets(tmp_path) == ()
    (tmp_path / "dataset_info.json").write_text('{"b": {}, "a": {}}', encoding="utf-8")
    assert list_datasets(tmp_path) == ("b", "a")


BROKEN = [
    # Text of the file, the entries that can be read, and line, column and words of each problem.
    ('{\n  "a": {"file_name": "a"}\n  "b": {"file_name": "b"}\n}', ["a", "b"], [(3, 3, "Expecting ',' or '}'")]),
    ('{\n  "a": {"file_name": "a"},\n  "b": {"file_name": b},\n  "c": {}\n}', ["a", "c"], [(3, 22, "Expecting value")]),
    (
        '{\n  "a": {\n    "file_name": "a\n    "columns": {\n      "prompt": "q"\n    }\n  },\n  "b": {}\n}',
        ["b"],
        [(3, 20, "Invalid control character")],
    ),
    ('{\n  "a": {},\n  b: {},\n  "c": {}\n}', ["a", "c"], [(3, 3, "Expecting a data set name in double quotes")]),
    ('{\n  "a": {},\n  "b" {},\n  "c": {}\n}', ["a", "c"], [(3, 7, "Expecting ':' after the name")]),
    ('{\n  "a": {},\n  "b": {"x": [1,}\n  },\n  "c": {}\n}', ["a", "c"], [(3, 17, "Expecting value")]),
    ('{\n  "a": {},\n  "b": {},\n}', ["a", "b"], [(3, 10, "A comma stands after the last entry")]),
    ('{\n  "a": {},\n  "b": {"file_name": "b"', ["a"], [(3, 25, "Expecting ',' delimiter")]),
    ('{"a": {}, "b": {]}, "c": {}}', ["a"], [(1, 17, "Expecting property name")]),
    ('{"a": {}} {"b": {}}', ["a"], [(1, 11, "More text after the end")]),
    (
        '{\n  "a": {x},\n  "b": {},\n  "c": {y},\n  "d": {}\n}',
        ["b", "d"],
        [(2, 9, "Expecting property name"), (4, 9, "Expecting property name")],
    ),
]


@pytest.mark.parametrize(("text", "names", "problems"), BROKEN)
def test_what_is_broken_does_not_cost_the_other_entries(
    tmp_path: Path, text: str, names: list[str], problems: list[tuple[int, int, str]]
) -> None:
    file = tmp_path / "dataset_info.json"
    file.write_text(text)
    info = scan_info(file)
    assert list(info.values) == names == list(read_info(file))
    assert not info.is_whole
    assert len(info.problems) == len(problems)
    for problem, (line, column, words) in zip(info.problems, problems, strict=True):
        assert problem.line == line
        assert f"dataset_info.json:{line}: not valid JSON: {words}" in str(problem)
        assert f"(column {column})" in str(problem)
        assert f"the entries that could be read: {', '.join(names)}" in str(problem)


def test_good_entries_of_a_broken_file_are_used_and_others_name_the_damage(find: Find, tmp_path: Path) -> None:
    info = '{\n  "mine": {"file_name": "rows.jsonl"}\n  "other": {"file_name": rows.jsonl}\n}'
    assert find("mine", info).files == (tmp_path / "rows.jsonl",)
    said = str(refusal(find, "other"))
    assert f"{tmp_path}/dataset_info.json:3: not valid JSON" in said
    assert "could be read: mine" in said


def test_nothing_readable_gives_line_and_column(find: Find, tmp_path: Path) -> None:
    for ask in (lambda: find("mine", '{\n  "mine": {\n    x\n  }\n}'), lambda: list_datasets(tmp_path)):
        with pytest.raises(UserError) as refused:
            ask()
        assert refused.value.line == 3
        assert "column 5" in str(refused.value)


def test_two_entries_of_one_name_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "dataset_info.json"
    file.write_text('{\n  "a": {"file_name": "1"},\n  "b": {},\n  "a": {"file_name": "2"}\n}')
    info = scan_info(file)
    assert info.values["a"] == {"file_name": "2"}
    assert info.is_whole
    (problem,) = info.problems
    assert ":4: the data set a is registered twice (first in line 2). The second one is used" in str(problem)


def test_direct_paths_folders_and_patterns(find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "many"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.jsonl", "a.csv", "deep/c.txt.gz", ".hidden.jsonl", "notes.md", "dataset_info.json"):
        (folder / name).write_text("{}")
    (folder / "deep" / "up").symlink_to(folder)
    (folder / ".git").mkdir()
    (folder / ".git" / "x.json").write_text("{}")

    def names(name: str) -> list[str]:
        return [str(file.relative_to(folder)) for file in find(name, {"mine": {"file_name": "many"}}).files]

    expected = ["a.csv", "b.jsonl", "deep/c.txt.gz"]
    assert names("mine") == names(str(folder)) == names("./many") == names("many/") == expected
    assert names(f"{folder}/*.jsonl") == names("many/b.*") == ["b.jsonl"]
    assert names(f"{folder}/**/*.gz")[0] == "deep/c.txt.gz"
    monkeypatch.chdir(folder)
    assert find("b.jsonl").files == (Path("b.jsonl"),)
    assert find(".").files == find("./").files
    assert "no data set is named" in str(refusal(find, " "))
    (tmp_path / "empty").mkdir()
    assert "the folder holds no json, jsonl" in str(refusal(find, "./empty"))


def test_a_folder_that_the_datasets_library_saved(find: Find, tmp_path: Path) -> None:
    for split in ("train", "test"):
        folder = tmp_path / "saved" / split
        folder.mkdir(parents=True)
        for name in ("data-00000-of-00001.arrow", "state.json", "dataset_info.json"):
            (folder / name).write_text("{}")
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    info = {"all": {"file_name": "saved"}, "test": {"file_name": "saved", "split": "test"}}
    assert find("all", info).files == (tmp_path / "saved" / "train" / "data-00000-of-00001.arrow",)
    assert find("test").files == (tmp_path / "saved" / "test" / "data-00000-of-00001.arrow",)
    assert find("./saved/test").files == find("test").files


def test_a_broken_registry_does_not_hide_files(find: Find, tmp_path: Path) -> None:
    assert find("rows.jsonl", "{").files == (tmp_path / "rows.jsonl",)


def test_a_file_whose_name_looks_like_a_pattern(find: Find, tmp_path: Path) -> None:
    (tmp_path / "rows[1].jsonl").write_text(ROW)
    assert find("rows[1].jsonl").files == (tmp_path / "rows[1].jsonl",)


@pytest.mark.parametrize(
    ("name", "kind", "repository", "revision", "subset", "split"),
    [
        ("hf://me/rows", "hf", "me/rows", None, None, None),
        ("hf://me/rows/en", "hf", "me/rows", None, "en", None),
        ("hf://me/rows@v1.0:test", "hf", "me/rows", "v1.0", None, "test"),
        (
            "hf://me/rows/en@refs/convert/parquet:train+test",
            "hf",
            "me/rows",
            "refs/convert/parquet",
            "en",
            "train+test",
        ),
        ("ms://me/rows-2.1:validation", "ms", "me/rows-2.1", None, None, "validation"),
        ("s3://bucket/rows.jsonl", "cloud", "s3://bucket/rows.jsonl", None, None, None),
    ],
)
def test_addresses(
    find: Find, name: str, kind: str, repository: str, revision: str | None, subset: str | None, split: str | None
) -> None:
    entry = find(name)
    assert entry.hub
    assert entry.files == ()
    assert (entry.hub.kind, entry.hub.name, entry.hub.revision) == (kind, repository, revision)
    assert (entry.subset, entry.split) == (subset, split)
