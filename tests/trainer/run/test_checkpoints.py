"""Checkpoints are whole or not there: damage is seen, saves are atomic, two good ones always stay."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.run import (
    Checkpoint,
    clean_staging,
    damaged_checkpoints,
    latest_checkpoint,
    list_checkpoints,
    rotate_checkpoints,
    write_checkpoint,
)


def save(folder: Path, step: int, content: str = "weights") -> Checkpoint:
    """A checkpoint of two files, one of them in a folder of its own."""

    def fill(staging: Path) -> None:
        (staging / "model.safetensors").write_text(content * 100)
        (staging / "optimizer").mkdir()
        (staging / "optimizer" / "state.bin").write_text(f"{step}")

    return write_checkpoint(folder, step, fill, details={"step": step, "tuple": (1, 2), "none": None})


def steps(folder: Path) -> list[int]:
    return [checkpoint.step for checkpoint in list_checkpoints(folder)]


def test_a_checkpoint_is_listed_with_what_is_in_it(tmp_path: Path) -> None:
    saved = save(tmp_path / "checkpoints", 200)

    assert saved.path.name == "step-00000200"
    assert saved.details == {"step": 200, "tuple": [1, 2], "none": None}
    assert saved.bytes == 703
    assert list_checkpoints(tmp_path / "checkpoints", verify="sha256") == [saved]
    assert latest_checkpoint(tmp_path / "checkpoints") == saved
    manifest = json.loads((saved.path / "manifest.json").read_text())
    assert set(manifest["files"]) == {"model.safetensors", "optimizer/state.bin"}
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000200"]


def test_the_newest_is_the_highest_step_whatever_the_files_times(tmp_path: Path) -> None:
    for step in (300, 100, 1_000_000_000):
        os.utime(save(tmp_path, step).path, (step % 7, step % 7))

    assert steps(tmp_path) == [100, 300, 1_000_000_000]
    newest = latest_checkpoint(tmp_path)
    assert newest is not None
    assert newest.step == 1_000_000_000


def flip_a_byte(path: Path) -> None:
    data = bytearray((path / "model.safetensors").read_bytes())
    data[50] ^= 1
    (path / "model.safetensors").write_bytes(data)


def edit_manifest(path: Path) -> None:
    text = (path / "manifest.json").read_text()
    (path / "manifest.json").write_text(text.replace('"created": 1', '"created": 2'))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing file: optimizer/state.bin": lambda path: (path / "optimizer" / "state.bin").unlink(),
    "wrong size (5 bytes instead of 700): model.safetensors": lambda path: (path / "model.safetensors").write_text(
        "12345"
    ),
    "wrong hash: model.safetensors": flip_a_byte,
    "no manifest": lambda path: (path / "manifest.json").unlink(),
    "damaged manifest": edit_manifest,
    "holds step 300": lambda path: path.rename(path.with_name("step-00000301")),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_damage_is_seen_named_and_passed_over(tmp_path: Path, reason: str) -> None:
    save(tmp_path, 100)
    good = save(tmp_path, 200)
    DAMAGES[reason](save(tmp_path, 300).path)

    assert [damaged.reason for damaged in damaged_checkpoints(tmp_path)] == [reason]
    assert latest_checkpoint(tmp_path) == good
    if reason != "wrong hash: model.safetensors":
        assert steps(tmp_path) == [100, 200]


def test_an_empty_manifest_is_damage(tmp_path: Path) -> None:
    (save(tmp_path, 1).path / "manifest.json").write_bytes(b"")

    assert [damaged.reason for damaged in damaged_checkpoints(tmp_path)] == ["damaged manifest"]


def test_without_a_folder_there_is_nothing(tmp_path: Path) -> None:
    assert list_checkpoints(tmp_path / "none") == []
    assert damaged_checkpoints(tmp_path / "none") == []
    assert latest_checkpoint(tmp_path / "none") is None
    clean_staging(tmp_path / "none")


def test_saving_a_step_again_replaces_it(tmp_path: Path) -> None:
    save(tmp_path, 100, "old")
    save(tmp_path, 100, "new")

    assert steps(tmp_path) == [100]
    assert (tmp_path / "step-00000100" / "model.safetensors").read_text().startswith("new")
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000100"]


def test_a_save_that_fails_leaves_everything_as_it_was(tmp_path: Path, full_disk) -> None:  # type: ignore[no-untyped-def]
    before = save(tmp_path, 100)

    def fail(staging: Path) -> None:
        (staging / "half").touch()
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        write_checkpoint(tmp_path, 200, fail)
    with full_disk(300), pytest.raises(OSError, match="File too large"):
        save(tmp_path, 100)

    assert list_checkpoints(tmp_path, verify="sha256") == [before]
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000100"]


@pytest.mark.parametrize(
    ("keep", "protect", "left"),
    [
        (None, (), [100, 200, 300, 400, 500]),
        (0, (), [100, 200, 300, 400, 500]),
        (1, (), [400, 500]),
        (3, (), [300, 400, 500]),
        (2, (100,), [100, 400, 500]),
        (9, (), [100, 200, 300, 400, 500]),
    ],
)
def test_rotation_keeps_the_newest_at_least_two_and_the_protected(
    tmp_path: Path, keep: int | None, protect: tuple[int, ...], left: list[int]
) -> None:
    for step in (500, 100, 200, 300, 400):
        save(tmp_path, step)

    removed = rotate_checkpoints(tmp_path, keep, protect)

    assert steps(tmp_path) == left
    assert len(removed) == 5 - len(left)


def test_damaged_checkpoints_do_not_count_as_kept(tmp_path: Path) -> None:
    for step in (100, 200, 300, 400):
        save(tmp_path, step)
    (tmp_path / "step-00000400" / "model.safetensors").unlink()

    rotate_checkpoints(tmp_path, 2)

    assert steps(tmp_path) == [200, 300]
    assert [damaged.path.name for damaged in damaged_checkpoints(tmp_path)] == ["step-00000400"]


def test_leftovers_of_a_killed_save_are_never_listed_and_tidied_away(tmp_path: Path) -> None:
    save(tmp_path, 100)
    save(tmp_path, 200, "old").path.rename(tmp_path / ".replaced-step-00000200-123")
    for name in (".staging-step-00000300-123", ".deleting-step-00000001-5", ".replaced-step-00000100-9"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
    assert steps(tmp_path) == [100]

    clean_staging(tmp_path)

    # The one that was moved aside for a newer save, which never came, is back.
    assert steps(tmp_path) == [100, 200]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000100", "step-00000200"]
