"""Fixtures that many tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiny import make_tiny_data, make_tiny_model
from tests.training_runs import TrainingRuns


@pytest.fixture(scope="session", autouse=True)
def no_list_of_runs_at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Not even a fixture that outlives its test writes into the list of runs of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield


@pytest.fixture(autouse=True)
def own_list_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a list of runs of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random tiny model folder, shared by the whole session and never written to."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def runs(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingRuns:
    """Makes and trains runs in a folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return TrainingRuns(tmp_path, tiny_model, make_tiny_data(tmp_path / "sums.json"))
