"""Packed and padding-free training: the same loss as without, less padding, and a resume that is exact."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.training_runs import TrainingRuns, events_of, losses_of, same_weights, weights_of

ONE_BATCH = {"max_steps": 2, "per_device_train_batch_size": 48, "gradient_accumulation_steps": 1}
FULL = {"finetuning_type": "full", "disable_shuffling": True}


def train(runs: TrainingRuns, name: str, **data: Any) -> Any:
    run = runs.create(name, method=FULL, data={"cutoff_len": 300, **data}, train={**ONE_BATCH, "save_strategy": "no"})
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    return run


def test_isolated_rows_give_the_loss_of_unpacked_ones_and_plainly_packed_rows_do_not(runs: TrainingRuns) -> None:
    unpacked = losses_of(train(runs, "unpacked"))
    neat = train(runs, "neat", neat_packing=True)
    flat = train(runs, "flat", padding_free=True)
    plain = train(runs, "plain", packing=True)
    assert losses_of(neat) == pytest.approx(unpacked, rel=1e-6)
    assert losses_of(flat) == pytest.approx(unpacked, rel=1e-6)
    # All rows are in each of these batches: where they see each other, the loss is another one.
    assert losses_of(plain)[1] != pytest.approx(unpacked[1], rel=1e-5)


def test_the_first_token_of_a_row_is_never_learned_also_where_prompts_are(runs: TrainingRuns) -> None:
    unpacked = losses_of(train(runs, "unpacked", train_on_prompt=True))
    neat = losses_of(train(runs, "neat", train_on_prompt=True, neat_packing=True))
    flat = losses_of(train(runs, "flat", train_on_prompt=True, padding_free=True))
    assert neat == pytest.approx(unpacked, rel=1e-6)
    assert flat == pytest.approx(unpacked, rel=1e-6)


def test_packing_computes_all_tokens_with_less_padding(runs: TrainingRuns) -> None:
    rows = [{"instruction": "Count", "output": "1 " * (number + 1)} for number in range(48)]
    runs.data.write_text(json.dumps(rows))

    def share(run: Any) -> tuple[float, float]:
        values = events_of(run, "metrics")[-1].values
        return values["tokens"], values["tokens_per_second"] / values["padded_tokens_per_second"]

    unpacked, packed = share(train(runs, "unpacked")), share(train(runs, "packed", packing=True))
    flat = share(train(runs, "flat", padding_free=True))
    assert unpacked[0] == packed[0] == flat[0]
    assert unpacked[1] < packed[1] < flat[1] == pytest.approx(1)


@pytest.mark.parametrize("way", ["neat_packing", "padding_free"])
def test_killed_while_rows_are_packed_a_run_resumes_to_the_same_weights(runs: TrainingRuns, way: str) -> None:
    values: dict[str, Any] = {"max_steps": 6, "save_steps": 2, "per_device_train_batch_size": 1}
    left_alone = runs.create("left-alone", data={way: True}, train=values)
    assert runs.train(left_alone) == 0
    killed = runs.create("killed", data={way: True}, train=values)
    assert runs.train(killed, TRIMTAB_FAULT="checkpoint:before-rename@2") == -signal.SIGKILL
    assert runs.train(killed, resume=True) == 0
    assert same_weights(weights_of(killed, 6), weights_of(left_alone, 6))


def test_evaluation_is_the_same_packed_or_not(runs: TrainingRuns) -> None:
    found = []
    for way in ({}, {"packing": True}, {"neat_packing": True}, {"padding_free": True}):
        run = runs.create(
            "-".join(way) or "unpacked",
            data={"val_size": 9, **way},
            method={"finetuning_type": "full"},
            train={"max_steps": 1, "learning_rate": 1e-20, "eval_strategy": "steps", "eval_steps": 1},
        )
        assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
        found.append(events_of(run, "evaluation")[0].values["eval_loss"])
    assert found == pytest.approx([found[0]] * 4, rel=1e-6)
