"""What a checkpoint carries of the template that it was trained with, and what the chat makes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.training_runs import TrainingRuns
from trainer.chat.loading import load_for_chat
from trainer.data.templates import named_template
from trainer.run import latest_checkpoint


@pytest.fixture
def base(tiny_model: Path, tmp_path: Path) -> Path:
    """A base model: no chat template, and its end token is not the one of ChatML."""
    folder = shutil.copytree(tiny_model, tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    for name, change in {
        "tokenizer_config.json": {"eos_token": "<|endoftext|>"},
        "config.json": {"eos_token_id": 0},
        "generation_config.json": {"eos_token_id": 0},
    }.items():
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
    return folder


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_checkpoint_of_a_base_model_chats_with_the_trained_template(
    runs: TrainingRuns, base: Path, method: str
) -> None:
    run = runs.create(
        "named",
        model={"model_name_or_path": str(base)},
        data={"template": "chatml"},
        method={"finetuning_type": method},
        train={"max_steps": 1, "save_strategy": "no"},
    )
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    checkpoint = latest_checkpoint(run.checkpoints_folder)
    assert checkpoint is not None
    loaded = load_for_chat(str(checkpoint.path))
    assert loaded.tokenizer.chat_template == named_template("chatml").text
    # The model's own end token, and what ends an answer in ChatML.
    assert loaded.tuned()[0].generation_config.eos_token_id == [0, 2]
    assert loaded.untuned()[0].generation_config.eos_token_id == [0, 2]
