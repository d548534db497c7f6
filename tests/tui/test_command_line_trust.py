"""`trimtab trust`: the code of a model is shown before it is agreed to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.code_model import CONFIGURATION, MODELING
from tests.tui.command_line_world import World, a_world
from trainer.paths import shipped_folder

AUTO_MAP = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with a_world(tmp_path, monkeypatch, capsys) as made:
        folder = tmp_path / "own"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": "own_llama", "auto_map": AUTO_MAP}))
        (folder / "configuration_own.py").write_text(CONFIGURATION)
        (folder / "modeling_own.py").write_text(MODELING)
        demo = shipped_folder("data") / "demo_model"
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors"):
            (folder / name).symlink_to(demo / name)
        yield made


def test_files_are_shown_then_agreed_to_then_forgotten(world: World) -> None:
    asked = world.trimtab("trust", "./own")
    assert asked.code == 2
    assert "nobody is here to answer. Read the files, then add --yes" in asked.err
    assert "modeling_own.py" in asked.out
    assert "config.json: AutoConfig = configuration_own.OwnConfig" in asked.out
    assert "cannot be used without it" in asked.out
    assert "Agreed" in world.trimtab("trust", "./own", "--yes").out
    assert "before" in world.trimtab("trust", "./own").out
    (world.folder / "own" / "modeling_own.py").write_text("# other")
    assert world.trimtab("trust", "./own").code == 2
    (world.folder / "own" / "modeling_own.py").write_text(MODELING)
    assert "withdrawn" in world.trimtab("trust", "./own", "--forget").out
    assert world.trimtab("trust", "./own").code == 2


def test_a_model_without_code(world: World) -> None:
    result = world.trimtab("trust", "shipped:demo_model")
    assert (result.code, "nothing to agree to" in result.out) == (0, True)


def test_check_names_the_command_and_training_is_refused(world: World) -> None:
    words = ("mine", "model_name_or_path=./own", "trust_remote_code=true")
    said = world.trimtab("check", *words)
    assert said.code == 1
    assert "look at it with `trimtab trust ./own`" in said.out
    assert world.trimtab("train", *words).code == 2
    assert world.run_names() == []
    world.trimtab("trust", "./own", "--yes")
    assert world.trimtab("check", *words).code == 0
