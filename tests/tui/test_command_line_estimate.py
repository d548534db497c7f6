"""`trimtab estimate`: the memory by part, the verdict, and what a script reads of it."""

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


def test_the_demo_fits_and_every_part_is_named(world: World) -> None:
    told = world.trimtab("estimate", "mine")
    assert told.code == 0
    assert "It fits." in told.out
    for part in ("frozen weights", "gradients", "optimizer", "activations", "all together", "free (CPU)"):
        assert part in told.out


def test_what_cannot_fit_ends_with_code_1_and_ways_out(world: World) -> None:
    shape = {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64}
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 128256, **shape}
    (world.folder / "large").mkdir()
    (world.folder / "large" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    told = world.trimtab("estimate", "mine", "model_name_or_path=large", "finetuning_type=full", "--json")
    found = json.loads(told.out)
    assert (told.code, found["verdict"]) == (1, "no")
    assert found["memory"]["layers"] == 80
    assert {"method.finetuning_type": "lora"} in [saving["change"] for saving in found["savings"]]
    assert found["total"] > found["device"]["free"]


def test_mistakes_are_one_line(world: World) -> None:
    missing = world.trimtab("estimate", "mine", "model_name_or_path=/nowhere")
    assert (missing.code, missing.out) == (2, "")
    assert "/nowhere" in missing.err
    assert len(missing.err.strip().splitlines()) == 1
