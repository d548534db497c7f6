"""A loss for each data set beside the one over all, which best model, early stopping and the chart go by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny import make_tiny_data
from tests.training_runs import TrainingRuns, events_of
from trainer.run import RunReader, list_checkpoints

TRAIN = {"max_steps": 4, "eval_strategy": "steps", "eval_steps": 2, "per_device_eval_batch_size": 5}


@pytest.fixture
def other(tmp_path: Path) -> str:
    """A second data file."""
    return str(make_tiny_data(tmp_path / "other.json", 11))


def evaluations(runs: TrainingRuns, name: str, **tables: dict[str, Any]) -> list[dict[str, float]]:
    tables["train"] = {**TRAIN, **tables.get("train", {})}
    run = runs.create(name, **tables)
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    return [event.values for event in events_of(run, "evaluation")]


def test_each_set_has_its_loss_and_all_together_have_theirs(runs: TrainingRuns, other: str) -> None:
    sets = [str(runs.data), other]
    together = evaluations(runs, "together", data={"eval_dataset": sets})
    apart = evaluations(runs, "apart", data={"eval_dataset": sets, "eval_on_each_dataset": True})
    alone = evaluations(runs, "alone", data={"eval_dataset": [other]})
    assert len(together) == len(apart) == 2
    for one, each, single in zip(together, apart, alone, strict=True):
        assert {"eval_loss", "eval_sums_loss", "eval_other_loss", "eval_mean_token_accuracy"} <= set(each)
        assert each["eval_loss"] == pytest.approx(one["eval_loss"], rel=1e-6)
        assert each["eval_mean_token_accuracy"] == pytest.approx(one["eval_mean_token_accuracy"], rel=1e-6)
        assert each["eval_other_loss"] == pytest.approx(single["eval_loss"], rel=1e-6)
        assert each["eval_sums_loss"] != each["eval_other_loss"]


def test_rows_that_were_held_back_are_told_apart_too(runs: TrainingRuns, other: str) -> None:
    data = {"dataset": [str(runs.data), other], "val_size": 12, "eval_on_each_dataset": True}
    found = evaluations(runs, "held", data=data)
    assert {"eval_loss", "eval_sums_loss", "eval_other_loss"} <= set(found[0])


def test_the_chart_and_the_best_checkpoint_go_by_the_loss_over_all(runs: TrainingRuns, other: str) -> None:
    run = runs.create(
        "best",
        data={"eval_dataset": [str(runs.data), other], "eval_on_each_dataset": True},
        train={**TRAIN, "save_steps": 2, "load_best_model_at_end": True, "metric_for_best_model": "loss"},
    )
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    found = {event.step: event.values["eval_loss"] for event in events_of(run, "evaluation")}
    best = min(found, key=found.__getitem__)
    assert events_of(run, "end")[0].values["best"] == best
    assert best in [checkpoint.step for checkpoint in list_checkpoints(run.checkpoints_folder, verify="size")]
    reader = RunReader(run)
    reader.poll()
    assert reader.evaluations["eval_loss"].points()[1] == pytest.approx(list(found.values()))


@pytest.mark.parametrize("metric", ["loss", "eval_other_loss"])
def test_early_stopping_finds_its_figure(runs: TrainingRuns, other: str, metric: str) -> None:
    run = runs.create(
        "early",
        data={"eval_dataset": [str(runs.data), other], "eval_on_each_dataset": True},
        method={"early_stopping_steps": 1},
        # Asking for a growing loss: the second evaluation is worse already.
        train={**TRAIN, "max_steps": 40, "metric_for_best_model": metric, "greater_is_better": True},
    )
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    assert events_of(run, "end")[0].id == "run_early"
