"""Optimizers, schedules and the order of the rows in whole runs: what is refused, left out, saved and told."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.training_runs import TrainingRuns, events_of, same_weights, weights_of
from trainer.data import prepare
from trainer.engine.length_groups import LengthGroups

FULL = {"finetuning_type": "full"}
AT_ONCE = {"gradient_accumulation_steps": 1, "per_device_train_batch_size": 4}


def end_of(run: Any) -> str:
    return str(events_of(run, "end")[0].text)


def test_updates_that_are_left_out_in_the_backward_pass_are_told_and_end_the_run(runs: TrainingRuns) -> None:
    run = runs.create(
        "lomo",
        method=FULL,
        train={**AT_ONCE, "optim": "lomo", "learning_rate": 1e30, "max_steps": 30, "max_grad_norm": 0.0},
    )
    assert runs.train(run) == 1
    assert "not finite for 5 steps in a row" in end_of(run)
    told = [event for event in events_of(run, "finding") if event.id == "run_weights_left_out"]
    assert len(told) == 4
    assert all(event.values["count"] > 0 for event in told)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"galore": {"use_galore": True, "galore_target": ["nonsense"]}}, "galore_target"),
        (
            {"badam": {"use_badam": True, "badam_start_block": 7}},
            "badam_start_block = 7: expected a number from 0 to 1",
        ),
        (
            {"train": {"optim": "stable_adamw"}},
            "it needs the package torch-optimi. Install it: pip install torch-optimi",
        ),
        (
            {
                "train": {"optim": "galore_adamw", "optim_args": "rang=4"},
                "trainer": {"optim_target_modules": "all-linear"},
            },
            "optim_args = 'rang=4'",
        ),
        (
            {"train": {"optim": "apollo_adamw"}, "trainer": {"optim_target_modules": ["nonsense"]}},
            "optim_target_modules",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(runs: TrainingRuns, tables: dict[str, Any], said: str) -> None:
    run = runs.create("refused", **{"method": FULL, **tables})
    assert runs.train(run) == 1
    assert said in end_of(run)
    assert "Traceback" not in run.log_file.read_text()
    told = {event.id for event in events_of(run, "finding")}
    # BAdam leaves embeddings as they are: that nothing is frozen would be untrue.
    assert ("run_parameters_in_turns" in told, "run_all_trained" in told) == ("badam" in tables, "badam" not in tables)


def test_lora_plus_trains_b_at_its_own_rate(runs: TrainingRuns) -> None:
    """With the sign of the gradient as the step, how far a matrix moves shows its rate."""
    run = runs.create(
        "plus",
        lora={"loraplus_lr_ratio": 8.0, "lora_dropout": 0.0},
        train={"max_steps": 1, "save_steps": 1, "optim": "adamw_torch", "learning_rate": 1e-3},
    )
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    b = [value for name, value in weights_of(run, 1).items() if "lora_B" in name]
    assert max(float(value.abs().max()) for value in b) == pytest.approx(8e-3, rel=1e-3)
    assert [event.values["other"] for event in events_of(run, "finding") if event.id == "run_loraplus_rates"] == [
        "0.008"
    ]


def test_a_schedule_that_stays_before_it_falls_has_a_default(runs: TrainingRuns) -> None:
    run = runs.create(
        "wsd",
        train={"max_steps": 10, "warmup_steps": 1, "lr_scheduler_type": "warmup_stable_decay", "save_strategy": "no"},
    )
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    rates = [event.values["learning_rate"] for event in events_of(run, "metrics")]
    assert rates[0] == 0.0
    assert rates[1:5] == pytest.approx([1e-2] * 4)
    assert all(later < earlier for earlier, later in pairwise(rates[4:]))
    assert [event.values["steps"] for event in events_of(run, "finding") if event.id == "run_decay_steps"] == [6]


def test_averaging_optimizers_save_the_average_and_resume_from_it(runs: TrainingRuns) -> None:
    values = {"optim": "schedule_free_adamw", "lr_scheduler_type": "constant", "max_steps": 6}
    straight = runs.create("straight", method=FULL, train=values)
    assert runs.train(straight) == 0, straight.log_file.read_text()[-2000:]
    import torch

    state = torch.load(straight.checkpoints_folder / "step-00000006" / "optimizer.pt", weights_only=True)
    assert not any(group["train_mode"] for group in state["param_groups"])
    interrupted = runs.create("interrupted", method=FULL, train={**values, "max_steps": 3})
    assert runs.train(interrupted) == 0
    again = runs.create("again", method=FULL, train=values)
    (interrupted.checkpoints_folder / "step-00000003").rename(again.checkpoints_folder / "step-00000003")
    assert runs.train(again, resume=True) == 0, again.log_file.read_text()[-2000:]
    assert same_weights(weights_of(straight, 6), weights_of(again, 6))


# Rows of like length


LENGTHS = [(7 * number) % 101 + 1 for number in range(203)]


def batches(epoch: int = 0, seed: int = 1) -> list[list[int]]:
    sampler = LengthGroups(LENGTHS, 4, seed)
    sampler.set_epoch(epoch)
    rows = list(sampler)
    return [rows[first : first + 4] for first in range(0, len(rows), 4)]


def test_every_row_comes_once_with_rows_of_like_length_and_the_longest_first() -> None:
    found = batches()
    assert sorted(row for batch in found for row in batch) == list(range(203))
    padding = sum(
        max(LENGTHS[row] for row in batch) * len(batch) - sum(LENGTHS[row] for row in batch) for batch in found
    )
    assert padding < 0.1 * sum(LENGTHS)
    assert max(LENGTHS[row] for row in found[0]) == max(LENGTHS)
    assert [len(batch) for batch in found] == [4] * 50 + [3]


def test_the_order_is_another_in_each_epoch_and_the_same_for_a_seed() -> None:
    assert batches() == batches()
    assert batches() != batches(epoch=1)
    assert batches() != batches(seed=2)


def test_a_run_with_batches_by_length_wastes_less_and_resumes_in_the_second_epoch(runs: TrainingRuns) -> None:
    values = {**AT_ONCE, "group_by_length": True, "max_steps": 18, "save_steps": 14}
    grouped = runs.create("grouped", train=values)
    assert len(prepare(grouped.recipe()).train) == 48
    assert runs.train(grouped) == 0, grouped.log_file.read_text()[-2000:]
    again = runs.create("again", train=values)
    (grouped.checkpoints_folder / "step-00000014").rename(again.checkpoints_folder / "step-00000014")
    assert runs.train(again, resume=True) == 0, again.log_file.read_text()[-2000:]
    assert same_weights(weights_of(grouped, 18), weights_of(again, 18))
    plain = runs.create("plain", train={**values, "group_by_length": False})
    assert runs.train(plain) == 0
    last = [events_of(run, "metrics")[11].values for run in (grouped, plain)]
    waste = [values["padded_tokens_per_second"] / values["tokens_per_second"] for values in last]
    assert waste[0] < waste[1]


# Noise on the embeddings


@pytest.mark.parametrize("method", ["lora", "full"])
def test_neftune_disturbs_what_is_trained_on_and_not_what_is_evaluated(runs: TrainingRuns, method: str) -> None:
    """With steps too small to move anything, only the noise can make a difference."""
    losses: list[tuple[float, float]] = []
    for alpha in (None, 5.0):
        run = runs.create(
            "noise",
            method={"finetuning_type": method},
            data={"val_size": 8},
            lora={"lora_dropout": 0.0},
            train={
                "neftune_noise_alpha": alpha,
                "learning_rate": 1e-20,
                "max_steps": 1,
                "save_strategy": "no",
                "eval_strategy": "steps",
                "eval_steps": 1,
            },
        )
        assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
        (trained,), (evaluated,) = events_of(run, "metrics"), events_of(run, "evaluation")
        losses.append((trained.values["loss"], evaluated.values["eval_loss"]))
    (plain, evaluated), (noisy, evaluated_too) = losses
    assert abs(plain - noisy) > 1e-4
    assert evaluated_too == pytest.approx(evaluated, rel=1e-7)
