"""The shipped demo presets of ppo and grpo, shortened: the toy reward rises clearly, and the distance stays bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training_runs import TrainingRuns, events_of
from trainer.config import Hardware, load_preset, resolve
from trainer.run import create_run

_CPU = Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2)


@pytest.mark.parametrize(("preset", "steps"), [("demo-ppo", 24), ("demo-grpo", 12)])
def test_the_model_learns_to_say_hello(runs: TrainingRuns, tmp_path: Path, preset: str, steps: int) -> None:
    recipe = load_preset(preset).recipe.with_values({"train.max_steps": steps, "train.logging_steps": 1})
    run = create_run("test", resolve(recipe, _CPU), name=None, folder=tmp_path / preset, extra_identity={})
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    buffers = [event.values for event in events_of(run, "metrics") if "reward" in event.values]
    assert buffers[0]["reward"] < 0.5
    assert sum(buffer["reward"] for buffer in buffers[-3:]) / 3 > buffers[0]["reward"] + 0.25
    assert buffers[0]["kl"] == pytest.approx(0, abs=1e-4)
    assert all(buffer["kl"] < 15 for buffer in buffers)
