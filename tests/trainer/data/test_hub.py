"""Data sets of the hubs and of cloud storage: which files are fetched, when, and what is said when they cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.data.hub_server import COMMIT, HubServer
from trainer.data.hub import NotDownloadedError, entry_files, fetched_state, registry_file
from trainer.data.registry import find_dataset, list_datasets
from trainer.data.sources import read_rows
from trainer.errors import UserError

ROW = b'{"instruction": "A", "output": "B"}\n'


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub on this machine, and caches of our own."""
    for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("USE_MODELSCOPE_HUB", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("MODELSCOPE_DOMAIN", server.address)
        yield server


def fetched(name: str, folder: Path = Path("none")) -> list[str]:
    """The names of the files that a data set is read from."""
    return [file.name for file in entry_files(find_dataset(name, folder), download=True)]


@pytest.mark.parametrize("address", ["hf://me/rows", "ms://me/rows"])
def test_a_hub_name_is_fetched_once_and_only_when_asked(hub: HubServer, address: str) -> None:
    hub.repositories["me/rows"] = {"train.jsonl": ROW, "README.md": b"hello", "test.jsonl": ROW}
    entry = find_dataset(address, Path("none"))
    assert entry.files == ()
    with pytest.raises(NotDownloadedError, match="is not on this machine"):
        entry_files(entry, download=False)
    assert hub.requests == []
    assert fetched_state(entry) is None
    (file,) = entry_files(entry, download=True)
    assert [row.source.row for row in read_rows(file)] == [1]
    asked = len(hub.requests)
    assert entry_files(entry, download=True) == entry_files(entry, download=False) == (file,)
    assert len(hub.requests) == asked
    assert fetched_state(entry)


def test_the_commit_is_recorded_and_stays_until_a_refresh(hub: HubServer) -> None:
    hub.repositories["me/rows"] = {"rows.jsonl": ROW}
    entry = find_dataset("hf://me/rows", Path("none"))
    entry_files(entry, download=True)
    hub.commit = "b" * 40
    hub.repositories["me/rows"] = {"rows.jsonl": ROW * 2}
    assert len(list(read_rows(entry_files(entry, download=True)[0]))) == 1
    assert fetched_state(entry) == COMMIT
    assert len(list(read_rows(entry_files(entry, download=True, refresh=True)[0]))) == 2
    assert fetched_state(entry) == "b" * 40


def test_progress_names_each_file(hub: HubServer) -> None:
    hub.repositories["me/rows"] = {"data/train-00001-of-00002.jsonl": ROW, "data/train-00000-of-00002.jsonl": ROW}
    said: list[tuple[str, int, int]] = []
    entry = find_dataset("hf://me/rows", Path("none"))
    entry_files(entry, download=True, progress=lambda *step: said.append(step))
    assert said == [("data/train-00000-of-00002.jsonl", 1, 2), ("data/train-00001-of-00002.jsonl", 2, 2)]


CARD = b"""---
license: mit
configs:
- config_name: plain
  data_files: plain/*.jsonl
- config_name: split
  default: true
  data_files:
  - split: train
    path: ["split/a*.jsonl", "split/deep/**"]
  - split: held_out
    path: split/x.jsonl
- config_name: folder
  data_dir: folder
---
# Rows
"""


@pytest.mark.parametrize(
    ("files", "name", "expected"),
    [
        (["alpaca.json", "LICENSE.json", "dataset_infos.json"], "", ["alpaca.json"]),
        (["data.json", "test.json"], "", ["data.json"]),
        (["data.json", "test.json"], ":test", ["test.json"]),
        (["train/0.parquet", "dev/0.parquet"], ":validation", ["dev/0.parquet"]),
        (["data/train_sft-00000-of-00001.jsonl", "data/train_gen-00000-of-00001.jsonl"], ":train_gen", [1]),
        (["en/train.jsonl", "de/train.jsonl"], "/de", ["de/train.jsonl"]),
        (["en.jsonl", "en_test.jsonl", "english.jsonl"], "/en", ["en.jsonl"]),
        (["x-train.jsonl", "x-test.jsonl"], ":train+test", ["x-train.jsonl", "x-test.jsonl"]),
        (["a.parquet", "b.parquet", "a.jsonl"], "", ["a.parquet", "b.parquet"]),
        (["README.md", "plain/1.jsonl", "split/a1.jsonl", "split/deep/er/b.jsonl", "split/c.jsonl"], "", [2, 3]),
        (["README.md", "plain/1.jsonl", "split/x.jsonl"], "/split:held_out", ["split/x.jsonl"]),
        (["README.md", "plain/1.jsonl", "plain/sub/2.jsonl"], "/plain", ["plain/1.jsonl"]),
        (["README.md", "folder/train.jsonl", "folder/test.jsonl", "train.jsonl"], "/folder:test", [2]),
    ],
)
def test_the_files_of_subset_and_split(hub: HubServer, files: list[str], name: str, expected: list[str | int]) -> None:
    hub.repositories["me/rows"] = {file: CARD if file == "README.md" else ROW for file in files}
    chosen = [files[item] if isinstance(item, int) else item for item in expected]
    found = entry_files(find_dataset(f"hf://me/rows{name}", Path("none")), download=True)
    assert [str(file).partition(COMMIT)[2][1:] for file in found] == chosen


@pytest.mark.parametrize(
    ("files", "name", "text"),
    [
        (["train.jsonl"], "hf://me/rows:test", "has no split test. Choose one of: train"),
        (["README.md", "plain/1.jsonl"], "hf://me/rows/plane", "has no subset plane. Did you mean plain?"),
        (["en/train.jsonl"], "hf://me/rows/de", "has no subset de. There are: en"),
        (["rows.py", "README.md"], "hf://me/rows", "made by a script, which would run foreign code and is refused"),
        (["train.jsonl"], "hf://me/rows:train[:10]", "parts of a split cannot be named"),
        (["rows.zip"], "hf://me/rows", "holds no data files that can be read (only .zip)"),
        (["train.jsonl"], "hf://me/row", "no such data set at http://127.0.0.1"),
        (["train.jsonl"], "hf://me/rows@v9", "hf://me/rows has no revision v9"),
        (["train.jsonl"], "ms://me/row", "put an access token into MODELSCOPE_API_TOKEN"),
    ],
)
def test_what_is_not_there_is_named(hub: HubServer, files: list[str], name: str, text: str) -> None:
    hub.repositories["me/rows"] = {file: CARD if file == "README.md" else ROW for file in files}
    with pytest.raises(UserError) as refused:
        fetched(name)
    assert text in str(refused.value)


@pytest.mark.parametrize(("address", "token"), [("hf://me/rows", "HF_TOKEN"), ("ms://me/rows", "MODELSCOPE_API_TOKEN")])
def test_limited_access_asks_for_the_token_of_the_environment(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, address: str, token: str, tmp_path: Path
) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("left by another program")
    hub.repositories["me/rows"] = {"train.jsonl": ROW}
    hub.gated.add("me/rows")
    with pytest.raises(UserError, match=f"access is limited, and {token} is not set"):
        fetched(address)
    assert {authorization for _, _, authorization in hub.requests} == {None}
    monkeypatch.setenv(token, "secret-token")
    assert fetched(address) == ["train.jsonl"]
    assert ("GET", "Bearer secret-token") in {(method, header) for method, _, header in hub.requests}


@pytest.mark.parametrize(
    ("address", "mirror"), [("hf://me/rows", "HF_ENDPOINT"), ("ms://me/rows", "MODELSCOPE_DOMAIN")]
)
def test_without_a_network_the_error_names_the_ways_out(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, address: str, mirror: str
) -> None:
    monkeypatch.setenv(mirror, "http://127.0.0.1:9")
    with pytest.raises(UserError, match=rf"127.0.0.1:9 cannot be reached .* name a mirror with {mirror}"):
        fetched(address)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="downloads are turned off"):
        fetched(address)


@pytest.mark.parametrize("largest_page", [1000, 100])
def test_modelscope_lists_folders_page_by_page_and_checks_what_it_gets(hub: HubServer, largest_page: int) -> None:
    hub.largest_page = largest_page
    hub.repositories["me/rows"] = {f"data/part{number:03}.jsonl": ROW for number in range(450)}
    assert len(fetched("ms://me/rows")) == 450
    hub.repositories["me/damaged"] = {"rows.jsonl": ROW}
    hub.damage = True
    with pytest.raises(UserError, match="damaged"):
        fetched("ms://me/damaged")
    hub.damage = False
    assert fetched("ms://me/damaged") == ["rows.jsonl"]


@pytest.mark.parametrize(
    ("address", "variable"),
    [("hf://me/rows", "HF_HOME"), ("hf://me/rows", "XDG_CACHE_HOME"), ("ms://me/rows", "XDG_CACHE_HOME")],
)
def test_a_full_or_closed_disk_is_not_called_a_network_error(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, address: str, variable: str
) -> None:
    hub.repositories["me/rows"] = {"rows.jsonl": ROW}
    monkeypatch.setenv(variable, "/proc/nowhere")
    with pytest.raises(UserError, match=r"/proc/nowhere.*the download cannot be stored: .*Make room, or choose"):
        fetched(address)


def test_names_from_the_network_do_not_lead_out_of_the_cache(hub: HubServer) -> None:
    hub.repositories["me/rows"] = {"train.jsonl": ROW, "../../evil.jsonl": ROW}
    assert fetched("ms://me/rows") == ["train.jsonl"]


def test_registered_hub_data_sets(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = {
        "both": {"hf_hub_url": "me/hf", "ms_hub_url": "me/ms", "folder": "en", "split": "test"},
        "openmind": {"om_hub_url": "me/om"},
    }
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    hub.repositories["me/hf"] = {"en/test.jsonl": ROW, "de/test.jsonl": ROW, "en/train.jsonl": ROW}
    hub.repositories["me/ms"] = {"en/test_ms.jsonl": ROW}
    assert fetched("both", tmp_path) == ["test.jsonl"]
    monkeypatch.setenv("USE_MODELSCOPE_HUB", "1")
    assert fetched("both", tmp_path) == ["test_ms.jsonl"]
    with pytest.raises(UserError, match="OpenMind cannot be read"):
        find_dataset("openmind", tmp_path)


def test_online_takes_all_names_from_the_hub(hub: HubServer) -> None:
    hub.repositories["me/rows"] = {"train.jsonl": ROW}
    assert fetched("me/rows", Path("ONLINE")) == ["train.jsonl"]
    with pytest.raises(UserError, match="not the address of a data set"):
        fetched("rows", Path("ONLINE"))


def test_a_registry_on_the_hub(hub: HubServer) -> None:
    info = {"mine": {"file_name": "rows.jsonl"}, "all": {"file_name": "parts"}, "none": {"file_name": "x.jsonl"}}
    content = {"dataset_info.json": json.dumps(info).encode(), "rows.jsonl": ROW, "parts/b.jsonl": ROW}
    hub.repositories["me/sets"] = content
    folder = Path("REMOTE:me/sets")
    with pytest.raises(NotDownloadedError):
        list_datasets(folder)
    registry_file(folder, download=True)
    assert list_datasets(folder) == ("mine", "all", "none")
    assert fetched("mine", folder) == ["rows.jsonl"]
    assert fetched("all", folder) == ["b.jsonl"]
    with pytest.raises(UserError, match=r"holds no x.jsonl"):
        fetched("none", folder)


def test_cloud_storage_is_read_through_fsspec(hub: HubServer, tmp_path: Path) -> None:
    import fsspec

    storage = fsspec.filesystem("memory")
    storage.pipe({"/bucket/rows/a.jsonl": ROW, "/bucket/rows/b.jsonl": ROW, "/bucket/rows/notes.md": b"x"})
    info = {
        "one": {"cloud_file_name": "memory://bucket/rows/a.jsonl"},
        "all": {"cloud_file_name": "memory://bucket/rows"},
        "none": {"cloud_file_name": "memory://bucket/nothing.jsonl"},
        "odd": {"cloud_file_name": "odd://bucket/rows.jsonl"},
    }
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    assert fetched("one", tmp_path) == ["a.jsonl"]
    assert fetched("all", tmp_path) == ["a.jsonl", "b.jsonl"]
    for name, text in (("none", "no such file"), ("odd", "are not known")):
        with pytest.raises(UserError, match=text):
            fetched(name, tmp_path)


def test_a_missing_storage_package_is_named(hub: HubServer) -> None:
    pytest.importorskip("fsspec")
    try:
        import gcsfs  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        with pytest.raises(UserError, match=r"needs the package gcsfs.*pip install gcsfs"):
            fetched("gs://bucket/rows.jsonl")
    else:
        pytest.skip("gcsfs is installed")
