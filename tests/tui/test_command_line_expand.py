"""`trimtab expand`: the larger model, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.command_line_world import World, a_world


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with a_world(tmp_path, monkeypatch, capsys) as made:
        yield made


def test_the_larger_model_says_which_blocks_are_new(world: World) -> None:
    told = world.trimtab("expand", "demo", "larger", "--num-expand", "2")
    assert (told.code, told.err) == (0, "")
    assert "larger has new blocks: 2, 5. Train them with use_llama_pro = true" in told.out
    config = json.loads((world.folder / "larger" / "config.json").read_text())
    assert (config["num_hidden_layers"], config["added_blocks"]) == (6, [2, 5])
    again = world.trimtab("expand", "demo", "larger", "--num-expand", "2")
    assert again.code == 2
    assert "a model is never overwritten" in again.err


@pytest.mark.parametrize(
    ("number", "problem"),
    [("3", "3 blocks cannot be spread evenly over 4: expected one of 1, 2, 4"), ("x", "expected a whole number")],
)
def test_numbers_that_do_not_fit_are_refused(world: World, number: str, problem: str) -> None:
    told = world.trimtab("expand", "demo", "larger", "--num-expand", number)
    assert told.code == 2
    assert problem in told.err
    assert not (world.folder / "larger").exists()
