"""What every test of the cockpit stands on: folders of its own, English, nothing that moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.cockpit_world import own_folders, speaking


@pytest.fixture(autouse=True)
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """English, and nothing of the user's is read or written; gives the runs folder."""
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    # A worker with torch for each test that opens Setup would take seconds: those about it have a fake one.
    monkeypatch.setattr("tui.screens.setup.ESTIMATE_DELAY", 3600.0)
    with speaking("en"):
        yield own_folders(tmp_path, monkeypatch)
