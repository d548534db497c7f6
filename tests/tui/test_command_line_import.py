"""`trimtab import`, `export-config`, and LLaMA-Factory files in the place of a preset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.command_line_world import World, a_world
from trainer.config import load_preset
from trainer.paths import shipped_folder

YAML = f"""
model_name_or_path: {shipped_folder("data") / "demo_model"}
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 4  # small
dataset: identity
dataset_dir: {shipped_folder("data")}
output_dir: saves/first
overwrite_output_dir: true
learning_rate: 1e-4
max_steps: 20
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with a_world(tmp_path, monkeypatch, capsys) as made:
        (tmp_path / "run.yaml").write_text(YAML, encoding="utf-8")
        yield made


def test_import_writes_a_preset_and_tells_what_it_made(world: World) -> None:
    done = world.trimtab("import", "run.yaml")
    assert done.code == 0
    assert "run.yaml:10: overwrite_output_dir is not taken over" in done.out
    assert "LLaMA-Factory's defaults are kept where trimtab's differ: on_bad_row = skip" in done.out
    assert "start it with `trimtab train run`" in done.out
    assert load_preset("run").recipe == load_preset("run.yaml").recipe
    assert "lora_rank = 4 # small" in load_preset("run").path.read_text(encoding="utf-8")
    again = world.trimtab("import", "run.yaml")
    assert again.code == 2
    assert "is there already" in again.err
    assert world.trimtab("import", "run.yaml", "--replace").code == 0


def test_import_names_what_it_did_not_understand_and_fails(world: World) -> None:
    (world.folder / "odd.yaml").write_text("stage: sft\nlora_rnk: 4\nmax_steps: x\n", encoding="utf-8")
    done = world.trimtab("import", "odd.yaml", "-o", "odd.toml")
    assert done.code == 1
    assert "odd.yaml:2: lora_rnk: LLaMA-Factory and trimtab know no such setting. Did you mean 'lora_rank'" in done.out
    assert "odd.yaml:3: train.max_steps = 'x': expected a whole number" in done.out
    written = (world.folder / "odd.toml").read_text(encoding="utf-8")
    assert "# Not understood: lora_rnk in line 2" in written
    assert load_preset(world.folder / "odd.toml").recipe.method.stage == "sft"


@pytest.mark.parametrize(
    "words", [("import", "mine.toml"), ("import", "run.yaml", "-o", "x.txt"), ("import", "no.yaml")]
)
def test_import_refuses_what_is_no_such_file(world: World, words: tuple[str, ...]) -> None:
    done = world.trimtab(*words)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1


def test_a_run_starts_from_such_a_file_in_its_output_dir(world: World) -> None:
    done = world.trimtab("train", "run.yaml", "lora_rank=2", "--detach")
    assert done.code == 0, done.err
    assert done.err.count("overwrite_output_dir is not taken over") == 1
    assert done.err.count("LLaMA-Factory's defaults are kept") == 1
    run = world.find(str(world.folder / "saves/first"))
    assert run.recipe().lora.lora_rank == 2
    assert run.recipe().train.per_device_train_batch_size == 8
    again = world.trimtab("train", "run.yaml", "--detach")
    assert again.code == 2
    assert "exists" in again.err
    assert world.trimtab("train", "run.yaml", "--detach", "--name", "second").code == 0
    assert world.find(str(world.folder / "saves/second")).name == "second"
    for name in ("first", "second"):
        world.trimtab("stop", "--now", str(world.folder / "saves" / name))


def test_check_and_data_take_such_a_file(world: World) -> None:
    checked = world.trimtab("check", "run.yaml")
    assert checked.code == 0, checked.out
    assert "overwrite_output_dir is not taken over" in checked.out
    assert world.trimtab("check", "run.yaml", "lora_rank=x").code == 1
    data = world.trimtab("data", "check", "identity", "--preset", "run.yaml")
    assert data.code == 0, data.err


def test_export_config_prints_or_writes_yaml_and_lists_what_it_cannot_say(world: World) -> None:
    done = world.trimtab("export-config", "demo", "--llamafactory")
    assert done.code == 0
    assert "\nfinetuning_type: lora\n" in done.out
    assert "sample_prompts" in done.err
    written = world.trimtab("export-config", "mine", "lora_rank=3", "--llamafactory", "-o", "back.yaml")
    assert written.code == 0
    assert load_preset(world.folder / "back.yaml").recipe.lora.lora_rank == 3
    assert world.trimtab("export-config", "mine", "--llamafactory", "-o", "back.yaml").code == 2
    assert world.trimtab("export-config", "mine").code == 2


def test_a_file_that_does_not_train_is_not_offered_to_be_started(world: World) -> None:
    (world.folder / "talk.yaml").write_text("model_name_or_path: m\nfinetuning_type: lora\n", encoding="utf-8")
    done = world.trimtab("import", "talk.yaml")
    assert done.code == 0
    assert "`trimtab check talk`" in done.out
    assert "trimtab train" not in done.out
