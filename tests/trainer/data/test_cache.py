"""Encoded rows that are found again, and those that may not be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trainer.data.chat_templates import CHATML, TRIMMING
from tests.trainer.data.conftest import MakeModel, dialogue
from trainer.data import load_tokenizer
from trainer.data.encode import EncodeOptions
from trainer.data.pipeline import Encoded, PipelineOptions, encode_datasets
from trainer.data.row_store import MANIFEST
from trainer.errors import UserError

Run = Callable[..., Encoded]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stored rows."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/trimtab/data"


@pytest.fixture
def run(home: Path, tmp_path: Path, make_model: MakeModel) -> Run:
    """Encodes twenty rows, storing them however few they are; `encode` settings by keyword."""
    model = make_model(CHATML)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(dialogue(f"Q{n}?", "Yes. " * n)) + "\n" for n in range(1, 21)), encoding="utf-8")

    def encode(template: Path | None = None, options: dict[str, object] | None = None, **encoding: object) -> Encoded:
        settings = PipelineOptions(EncodeOptions(**encoding), str(tmp_path), **{"cache_from": 0, **(options or {})})  # type: ignore[arg-type]
        return encode_datasets((str(file),), load_tokenizer(template or model), settings)

    return encode


def stored(home: Path) -> list[Path]:
    return sorted(folder for folder in home.iterdir() if (folder / MANIFEST).exists()) if home.is_dir() else []


def stamps(home: Path) -> list[int]:
    """When the tokens of each stored set were written."""
    return [(folder / "input_ids.values").stat().st_mtime_ns for folder in stored(home)]


def test_rows_and_report_are_found_again(run: Run, home: Path) -> None:
    first = run()
    written = stamps(home)
    again = run()
    assert list(again.rows) == list(first.rows)
    assert again.report == first.report
    assert stamps(home) == written
    assert len(written) == 1


def test_few_rows_are_not_stored(run: Run, home: Path) -> None:
    run(options={"cache_from": 1_000_000})
    assert stored(home) == []


def test_nothing_is_stored_of_a_look_at_part_of_the_data(run: Run, home: Path) -> None:
    run(options={"limit_rows": 3})
    run(options={"keep_rows": False})
    assert stored(home) == []


@pytest.mark.parametrize("change", ["cutoff", "stage", "system", "max_samples", "template", "tokenizer", "content"])
def test_whatever_changes_is_encoded_anew(
    change: str, run: Run, home: Path, tmp_path: Path, make_model: MakeModel
) -> None:
    first = run()
    file = tmp_path / "rows.jsonl"
    if change == "cutoff":
        found = run(cutoff_len=20)
    elif change == "stage":
        found = run(stage="ppo")
    elif change == "system":
        found = run(options={"default_system": "Be brief."})
    elif change == "max_samples":
        found = run(options={"max_samples": 7})
    elif change == "template":
        found = run(make_model(TRIMMING, name="other"))
    elif change == "tokenizer":
        model = make_model(CHATML, name="other")
        content = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
        content["added_tokens"].append({**content["added_tokens"][0], "id": 999, "content": "Yes"})
        (model / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
        found = run(model)
    else:
        # The same size and the same time: only the content tells.
        before = file.stat()
        file.write_text(file.read_text(encoding="utf-8").replace("Q1?", "Q9!"), encoding="utf-8")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        found = run()
    assert [row.columns for row in found.rows] != [row.columns for row in first.rows]
    assert len(stored(home)) == 2


def test_damaged_rows_are_made_anew(run: Run, home: Path) -> None:
    first = list(run().rows)
    [folder] = stored(home)
    file = folder / "labels.values"
    whole = file.read_bytes()
    file.write_bytes(whole[:-8])
    assert list(run().rows) == first
    assert file.read_bytes() == whole


def test_rows_can_be_made_anew_on_demand(run: Run, home: Path) -> None:
    run()
    written = stamps(home)
    run(options={"overwrite_cache": True})
    assert stamps(home) != written
    assert len(stored(home)) == 1


def test_bad_rows_are_remembered_too(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(file.read_text(encoding="utf-8") + "{broken\n" * 5, encoding="utf-8")
    reports = [run(options={"stop_at_bad_row": False}).report for _ in range(2)]
    assert reports[0] == reports[1]
    assert reports[1].rows_bad == 5
    with pytest.raises(UserError, match=r"rows\.jsonl:21"):
        run()


def test_a_failed_encoding_leaves_nothing(run: Run, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(file.read_text(encoding="utf-8") + "{broken\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"rows\.jsonl:21"):
        run()
    assert list(home.iterdir()) == []


def test_what_was_not_used_for_the_longest_time_goes_first(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    [oldest] = stored(home)
    os.utime(oldest / MANIFEST, (1, 1))
    run(cutoff_len=50)
    [newer] = set(stored(home)) - {oldest}
    size = sum(file.stat().st_size for folder in stored(home) for file in folder.iterdir())
    monkeypatch.setattr("trainer.data.cache.CACHE_LIMIT", size)
    run(cutoff_len=51)
    assert oldest not in stored(home)
    assert newer in stored(home)


def test_a_cache_that_cannot_be_written_does_not_matter(run: Run, home: Path) -> None:
    home.parent.parent.mkdir(parents=True)
    home.parent.write_text("a file in the way")
    assert len(run().rows) == 20


def test_a_cache_without_room_does_not_matter(run: Run, home: Path) -> None:
    home.mkdir(parents=True)
    mount = [str(shutil.which("mount")), "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(home)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small file system")
    try:
        assert len(run().rows) == 20
        assert list(home.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


def test_what_a_killed_encoding_left_behind_is_removed_once_it_is_old(run: Run, home: Path) -> None:
    old, young, living = (home / f".staging-{number}-x" for number in (2**22 + 1, 2**22 + 2, os.getpid()))
    for folder in (old, young, living):
        folder.mkdir(parents=True)
        (folder / "input_ids.values").write_bytes(b"1")
    for folder in (old, living):
        os.utime(folder / "input_ids.values", (1, 1))
        os.utime(folder, (1, 1))
    run()
    assert [folder.exists() for folder in (old, young, living)] == [False, True, True]


class TestTokenizedPath:
    """`tokenized_path`: the same in a folder of the user's."""

    def test_rows_are_kept_there_and_taken_from_there(self, run: Run, home: Path, tmp_path: Path) -> None:
        options: dict[str, object] = {"tokenized_path": str(tmp_path / "mine"), "cache_from": 1_000_000}
        first = run(options=options)
        [folder] = (tmp_path / "mine").iterdir()
        written = (folder / MANIFEST).stat().st_ino
        assert list(run(options=options).rows) == list(first.rows)
        assert (folder / MANIFEST).stat().st_ino == written
        assert stored(home) == []

    def test_other_settings_are_refused_by_name(self, run: Run, tmp_path: Path, make_model: MakeModel) -> None:
        options: dict[str, object] = {"tokenized_path": str(tmp_path / "mine")}
        run(options=options)
        with pytest.raises(UserError, match=r"made with other settings: cutoff_len \(2048 there, 99 now\)"):
            run(options=options, cutoff_len=99)
        with pytest.raises(UserError, match="made with other settings: the chat template"):
            run(make_model(TRIMMING, name="other"), options)
        file = tmp_path / "rows.jsonl"
        file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        with pytest.raises(UserError, match="made with other settings: the data files"):
            run(options=options)
        assert len(run(options={**options, "overwrite_cache": True}, cutoff_len=99).rows) == 20

    def test_damage_and_foreign_files_are_left_to_the_user(self, run: Run, tmp_path: Path) -> None:
        options: dict[str, object] = {"tokenized_path": str(tmp_path / "mine")}
        run(options=options)
        [folder] = (tmp_path / "mine").iterdir()
        (folder / "labels.values").unlink()
        with pytest.raises(UserError, match="the rows stored there are damaged"):
            run(options=options)
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        with pytest.raises(UserError, match="holds other files"):
            run(options={**options, "overwrite_cache": True})
        assert (folder / "notes.txt").read_text() == "mine"
