"""What needs a CUDA GPU: the same training, in bf16, on it. Run by `make test-gpu`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import make_tiny_data
from tests.training_runs import TrainingRuns, events_of, losses_of
from trainer.config import Hardware
from trainer.run import RunState, list_checkpoints, sample

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("method", ["lora", "freeze", "full"])
def test_training_uses_the_gpu_and_its_precision(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    runs = TrainingRuns(tmp_path, tiny_model, make_tiny_data(tmp_path / "sums.json"))
    run = runs.create("gpu", method={"finetuning_type": method}, train={"max_steps": 20, "bf16": True})
    assert runs.train(run) == 0, run.log_file.read_text()
    assert run.state() is RunState.FINISHED
    assert any("cuda" in event.text for event in events_of(run, "finding"))
    losses = list(losses_of(run).values())
    assert sum(losses[-5:]) < sum(losses[:5])
    assert list_checkpoints(run.checkpoints_folder, verify="sha256")


@pytest.mark.parametrize(
    "tables",
    [
        {"galore": {"use_galore": True, "galore_rank": 4, "galore_update_interval": 3}},
        {"apollo": {"use_apollo": True, "apollo_rank": 4}},
        {"badam": {"use_badam": True, "badam_switch_interval": 3}},
        {"badam": {"use_badam": True, "badam_mode": "ratio", "badam_update_ratio": 0.5}},
        {"method": {"use_adam_mini": True}},
        {"method": {"use_muon": True}},
        {"method": {"use_asft_loss": True}},
        {"method": {"use_eaft_loss": True}},
    ],
    ids=lambda each: "-".join(name for table in each.values() for name in table),
)
def test_our_optimizers_and_losses_run_on_the_gpu_and_resume(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tables: dict[str, dict[str, object]]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    runs = TrainingRuns(tmp_path, tiny_model, make_tiny_data(tmp_path / "sums.json"))
    method = {"finetuning_type": "full", **tables.get("method", {})}
    values = {**tables, "method": method, "train": {"max_steps": 6, "bf16": True}}
    run = runs.create("gpu", **values)
    assert runs.train(run) == 0, run.log_file.read_text()
    again = runs.create("again", **values)
    (run.checkpoints_folder / "step-00000003").rename(again.checkpoints_folder / "step-00000003")
    assert runs.train(again, resume=True) == 0, again.log_file.read_text()
    for step, loss in losses_of(again).items():
        assert loss == pytest.approx(losses_of(run)[step], rel=1e-2)


def test_gauges_and_hardware_see_the_gpu() -> None:
    assert Hardware.detect().cuda
    (first, *_) = sample().gpus
    assert first.memory_total is not None
    assert first.memory_total > 0
