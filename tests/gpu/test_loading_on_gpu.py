"""What of loading needs a CUDA GPU: few bits, offloaded checkpointing, kernels of other packages."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import make_tiny_data
from tests.training_runs import TrainingRuns, losses_of
from trainer.chat.loading import load_for_chat
from trainer.run import latest_checkpoint

pytestmark = pytest.mark.gpu

# The first transformers that can move activations away.
_OFFLOADS = tuple(map(int, version("transformers").split(".")[:2])) >= (5, 23)
_NO_OFFLOADING = "the installed transformers cannot offload activations"

CASES: dict[str, tuple[dict[str, dict[str, Any]], str | None]] = {
    "plain": ({}, None),
    "4 bits": ({"quantization": {"quantization_bit": 4}}, "bitsandbytes"),
    "8 bits": ({"quantization": {"quantization_bit": 8}}, "bitsandbytes"),
    "hqq": ({"quantization": {"quantization_bit": 4, "quantization_method": "hqq"}}, "hqq"),
    "offloaded": ({"model": {"use_unsloth_gc": True}}, None),
    "shifted": ({"model": {"shift_attn": True}}, None),
    "upcast": ({"model": {"upcast_layernorm": True, "upcast_lmhead_output": True}}, None),
    "fa2": ({"model": {"flash_attn": "fa2"}}, "flash_attn"),
    "liger": ({"model": {"enable_liger_kernel": True}}, "liger_kernel"),
}


@pytest.fixture
def gpu_runs(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingRuns:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return TrainingRuns(tmp_path, tiny_model, make_tiny_data(tmp_path / "sums.json"))


@pytest.mark.parametrize("name", CASES)
def test_the_loss_falls_and_the_checkpoint_can_be_chatted_with(gpu_runs: TrainingRuns, name: str) -> None:
    tables, package = CASES[name]
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    if name == "offloaded" and not _OFFLOADS:
        pytest.skip(_NO_OFFLOADING)
    model = {"model_name_or_path": str(gpu_runs.model), **tables.get("model", {})}
    run = gpu_runs.create("gpu", **{**tables, "model": model}, train={"max_steps": 20, "bf16": True})
    assert gpu_runs.train(run) == 0, run.log_file.read_text()[-3000:]
    losses = list(losses_of(run).values())
    assert sum(losses[-5:]) < sum(losses[:5])
    checkpoint = latest_checkpoint(run.checkpoints_folder)
    assert checkpoint is not None
    assert load_for_chat(str(checkpoint.path)).model.device.type == "cuda"


@pytest.mark.skipif(not _OFFLOADS, reason=_NO_OFFLOADING)
def test_offloaded_activations_give_the_same_losses(gpu_runs: TrainingRuns) -> None:
    losses = []
    for name, offload in (("kept", False), ("offloaded", True)):
        model = {"model_name_or_path": str(gpu_runs.model), "use_unsloth_gc": offload}
        train = {"max_steps": 5, "bf16": True, "gradient_checkpointing": True}
        run = gpu_runs.create(name, model=model, train=train)
        assert gpu_runs.train(run) == 0, run.log_file.read_text()[-3000:]
        losses.append(losses_of(run))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
