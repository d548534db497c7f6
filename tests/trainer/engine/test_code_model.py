"""Training a model that brings its own code: refused without consent, then trained, saved, and talked to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.code_model import make_code_model
from tests.training_runs import TrainingRuns, events_of
from trainer.data.remote_code import give_consent, model_code
from trainer.errors import UserError


@pytest.fixture(scope="module", autouse=True)
def own_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where transformers copies code before it runs it in this process; it can be chosen only once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path_factory.mktemp("modules")))
        yield


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The model in a folder of the test's own."""
    return make_code_model(tmp_path / "own")


def agree(model: Path) -> None:
    """Agree to its code."""
    code = model_code(model)
    assert code is not None
    give_consent(code, str(model))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_it_is_trained_only_with_consent(runs: TrainingRuns, model: Path, tmp_path: Path, method: str) -> None:
    own = {"HF_MODULES_CACHE": str(tmp_path / "modules"), "XDG_DATA_HOME": os.environ["XDG_DATA_HOME"]}
    settings = {
        "model": {"model_name_or_path": str(model), "trust_remote_code": True},
        "method": {"finetuning_type": method},
        "train": {"max_steps": 1, "save_steps": 1},
        "lora": {"lora_rank": 4} if method == "lora" else {},
    }
    if method == "lora":
        refused = runs.create("refused", **settings)
        assert runs.train(refused, **own) == 1
        [end] = events_of(refused, "end")
        assert "brings its own code (2 files)" in end.text
        assert not (tmp_path / "modules").exists()
    agree(model)
    run = runs.create("agreed", **settings)
    assert runs.train(run, **own) == 0, run.log_file.read_text()[-2000:]
    checkpoint = run.checkpoints_folder / "step-00000001"

    from trainer.chat.loading import load_for_chat

    loaded = load_for_chat(str(checkpoint))
    assert loaded.model.config.model_type == "own_llama"
    (model / "modeling_own.py").write_text("raise SystemExit('changed code was run')")
    if method == "lora":
        with pytest.raises(UserError, match="is not the one that you agreed to before"):
            load_for_chat(str(checkpoint))
