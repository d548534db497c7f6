"""Shipped models and data are found from anywhere."""

from pathlib import Path

import pytest

from trainer.config import resolve_dataset_dir, resolve_model_path
from trainer.paths import shipped_folder


def test_shipped_names_become_paths_and_hub_names_stay() -> None:
    assert resolve_model_path("shipped:demo_model") == str(shipped_folder("data") / "demo_model")
    assert resolve_model_path("Qwen/Qwen3-8B") == "Qwen/Qwen3-8B"
    assert resolve_model_path("~/models/a") == str(Path.home() / "models/a")


def test_the_default_data_folder_falls_back_to_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_dataset_dir("data") == shipped_folder("data")
    (tmp_path / "data").mkdir()
    assert resolve_dataset_dir("data") == shipped_folder("data")
    (tmp_path / "data/dataset_info.json").write_text("{}")
    assert resolve_dataset_dir("data") == Path("data")


def test_a_named_data_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert resolve_dataset_dir(str(tmp_path)) == tmp_path
    assert resolve_dataset_dir("shipped:") == shipped_folder("data")
