"""`trimtab probe`: real steps of the demo in a folder that is gone afterwards."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.command_line_world import World, a_world
from trainer.run import list_runs


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with a_world(tmp_path, monkeypatch, capsys) as made:
        yield made


def test_three_steps_are_measured_and_nothing_stays(world: World, tmp_path: Path) -> None:
    told = world.trimtab("probe", "mine", "price_per_hour=36", "--json")
    assert told.code == 0, told.err
    found = json.loads(told.out)
    assert found["steps"] == 3
    assert found["step_seconds"] > 0
    assert found["tokens_per_second"] > 0
    assert found["memory"] > 100 * 2**20
    assert found["seconds"] == pytest.approx(found["total_steps"] * found["step_seconds"])
    assert found["price"] == pytest.approx(found["seconds"] / 100)
    assert not list(tmp_path.glob("trimtab-probe-*"))
    assert list_runs() == []


def test_a_run_that_cannot_start_says_why(world: World, tmp_path: Path) -> None:
    told = world.trimtab("probe", "mine", "dataset=nowhere.json")
    assert (told.code, told.out) == (2, "")
    assert "nowhere.json" in told.err
    assert not list(tmp_path.glob("trimtab-probe-*"))
