"""Fixtures that many tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import make_tiny_data, make_tiny_model
from tests.training_runs import TrainingRuns


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
