"""A run says what memory it will take, and at its end what it took; later runs are foretold by its speed."""

from __future__ import annotations

import pytest

from tests.training_runs import TrainingRuns, events_of
from trainer.run.speeds import CPU, earlier_speed


def test_a_run_tells_its_memory_before_the_first_step_and_the_peak_after_the_last(
    runs: TrainingRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.create("told")
    assert runs.train(run) == 0
    said = {event.id: event for event in events_of(run, "finding")}
    before, after = said["run_memory"], said["run_memory_peak_estimated"]
    assert (before.step, before.values["batch"]) == (0, 2)
    assert 20 < before.values["length"] < 128  # the longest row, not cutoff_len
    assert after.step == 8
    assert 100 * 2**20 < after.values["bytes"] < 4 * 2**30

    monkeypatch.setattr("trainer.run.speeds.list_runs", lambda: [run])
    recipe = run.recipe()
    speed = earlier_speed(recipe, CPU)
    assert speed is not None
    assert speed.run == run.name
    assert speed.exact
    assert speed.tokens_per_second > 0
    other_length = earlier_speed(recipe.with_values({"data.cutoff_len": 64}), CPU)
    assert other_length is not None
    assert not other_length.exact
    assert earlier_speed(recipe, "Some GPU") is None
    assert earlier_speed(recipe.with_values({"method.finetuning_type": "full"}), CPU) is None
