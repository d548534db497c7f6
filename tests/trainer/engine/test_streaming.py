"""Training on rows that are read on the way: an exact resume, bad rows told at the end, evaluation on the first."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.training_runs import TrainingRuns, events_of, losses_of, same_weights, weights_of
from trainer.run import RunState, list_checkpoints

STREAM = {"streaming": True, "buffer_size": 10}
# 8 steps of 4 rows: more than one pass over the 20 rows of the file.
ROWS = 20


@pytest.fixture(autouse=True)
def few_rows(runs: TrainingRuns) -> list[str]:
    """The data file as lines, so that single ones can be broken."""
    rows = [{"instruction": f"Count to {number}", "output": "1 " * (number + 1)} for number in range(ROWS)]
    lines = [json.dumps(row) for row in rows]
    runs.data = runs.data.with_suffix(".jsonl")
    runs.data.write_text("\n".join(lines) + "\n")
    return lines


@pytest.mark.parametrize(("workers", "way"), [(2, {}), (0, {"neat_packing": True})])
def test_killed_and_resumed_a_stream_goes_on_where_it_was(
    runs: TrainingRuns, workers: int, way: dict[str, Any]
) -> None:
    train = {"save_steps": 2, "dataloader_num_workers": workers}
    left_alone = runs.create("left-alone", data={**STREAM, **way}, train=train)
    assert runs.train(left_alone) == 0, left_alone.log_file.read_text()[-2000:]
    killed = runs.create("killed", data={**STREAM, **way}, train=train)
    assert runs.train(killed, TRIMTAB_FAULT="checkpoint:before-rename@3") == -signal.SIGKILL
    assert [found.step for found in list_checkpoints(killed.checkpoints_folder, verify="size")][-1] == 4
    assert runs.train(killed, resume=True) == 0, killed.log_file.read_text()[-2000:]
    assert same_weights(weights_of(killed, 8), weights_of(left_alone, 8))
    assert losses_of(killed) == losses_of(left_alone)


def test_a_stream_in_order_learns_what_the_whole_file_does(runs: TrainingRuns) -> None:
    values: dict[str, Any] = {
        "method": {"finetuning_type": "full", "disable_shuffling": True},
        "train": {"max_steps": 5, "save_strategy": "no"},
    }
    streamed = runs.create("streamed", data=STREAM, **values)
    whole = runs.create("whole", **values)
    assert runs.train(streamed) == runs.train(whole) == 0, streamed.log_file.read_text()[-2000:]
    assert losses_of(streamed) == losses_of(whole)
    assert events_of(streamed, "metrics")[-1].values["tokens"] == events_of(whole, "metrics")[-1].values["tokens"]


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_rows_are_told_with_their_places_at_the_end(runs: TrainingRuns, few_rows: list[str], workers: int) -> None:
    few_rows[3:3], few_rows[15:15] = ["{broken"], ["{also broken"]
    runs.data.write_text("\n".join(few_rows) + "\n")
    run = runs.create("bad", data={**STREAM, "on_bad_row": "skip"}, train={"dataloader_num_workers": workers})
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    [told] = [event for event in events_of(run, "finding") if event.id == "data_bad_rows_skipped"]
    assert (told.severity, told.step, told.values["count"], told.values["rows"]) == ("warning", 8, 2, ROWS + 2)
    assert f"{runs.data}:4" in str(told.values["places"])
    assert f"{runs.data}:16" in str(told.values["places"])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_row_ends_the_run_in_its_own_words_and_what_was_learned_is_kept(
    runs: TrainingRuns, few_rows: list[str], workers: int
) -> None:
    few_rows[17:17] = ["{broken"]
    runs.data.write_text("\n".join(few_rows) + "\n")
    run = runs.create(
        "stop",
        data={**STREAM, "buffer_size": 1, "preprocessing_batch_size": 1},
        train={"save_steps": 100, "dataloader_num_workers": workers},
    )
    assert runs.train(run) == 1
    assert run.state() is RunState.FAILED
    assert f"{runs.data}:18" in events_of(run, "end")[0].text
    assert "Traceback" not in run.log_file.read_text()
    steps = max(losses_of(run))
    assert [found.step for found in list_checkpoints(run.checkpoints_folder, verify="sha256")] == [steps]
    # The row is mended: the run goes on.
    few_rows[17] = few_rows[16]
    runs.data.write_text("\n".join(few_rows) + "\n")
    assert runs.train(run, resume=True) == 0, run.log_file.read_text()[-2000:]
    assert sorted(losses_of(run)) == list(range(1, 9))


def test_the_first_rows_are_for_evaluation(runs: TrainingRuns) -> None:
    run = runs.create(
        "held", data={**STREAM, "val_size": 5}, train={"max_steps": 4, "eval_strategy": "steps", "eval_steps": 2}
    )
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    assert [event.step for event in events_of(run, "evaluation")] == [2, 4]
