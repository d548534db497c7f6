"""Training from a run directory to weights on disk: what is trained, what is logged, what is saved."""

from __future__ import annotations

import json
import math

import pytest

from tests.training_runs import TrainingRuns, events_of, losses_of, weights_of
from trainer.run import RunState, list_checkpoints, read_events, result_checkpoint


def test_lora_run_lowers_the_loss_and_logs_every_step_once(runs: TrainingRuns) -> None:
    run = runs.create("lora", train={"max_steps": 20})
    assert runs.train(run) == 0
    losses = losses_of(run)
    assert list(losses) == list(range(1, 21))
    assert sum(list(losses.values())[-5:]) < sum(list(losses.values())[:5])
    assert run.state() is RunState.FINISHED
    assert [record.event.kind for record in read_events(run)][-1] == "end"


def test_metrics_hold_true_token_counts(runs: TrainingRuns) -> None:
    run = runs.create("tokens", method={"disable_shuffling": True}, train={"max_steps": 2})
    assert runs.train(run) == 0
    from trainer.data import prepare

    rows = prepare(run.recipe()).train
    last = events_of(run, "metrics")[-1].values
    assert last["tokens"] == sum(len(rows[index].input_ids) for index in range(8))
    assert last["padded_tokens_per_second"] >= last["tokens_per_second"] > 0


def test_a_checkpoint_is_complete_and_says_where_it_comes_from(runs: TrainingRuns) -> None:
    run = runs.create("whole", train={"max_steps": 3})
    assert runs.train(run) == 0
    (checkpoint,) = list_checkpoints(run.checkpoints_folder, verify="sha256")
    names = {file.name for file in checkpoint.path.iterdir()}
    assert {
        "adapter_model.safetensors",
        "adapter_config.json",
        "optimizer.pt",
        "scheduler.pt",
        "rng_state.pth",
    } <= names
    assert {"tokenizer.json", "chat_template.jinja", "trainer_state.json", "trimtab.json", "manifest.json"} <= names
    assert "training_args.bin" not in names
    details = json.loads((checkpoint.path / "trimtab.json").read_text())
    assert details["base_model"] == str(runs.model)
    assert details["step"] == 3


def test_old_checkpoints_go_and_the_newest_stay(runs: TrainingRuns) -> None:
    run = runs.create("rotation", train={"max_steps": 8, "save_steps": 2, "save_total_limit": 2})
    assert runs.train(run) == 0
    assert [found.step for found in list_checkpoints(run.checkpoints_folder, verify="sha256")] == [6, 8]


def test_evaluation_writes_losses_and_samples(runs: TrainingRuns) -> None:
    run = runs.create(
        "evaluation",
        data={"val_size": 0.25},
        train={"max_steps": 4, "eval_strategy": "steps", "eval_steps": 2, "sample_prompts": ["What is 1 plus 2?"]},
    )
    assert runs.train(run) == 0
    evaluations = events_of(run, "evaluation")
    assert [event.step for event in evaluations] == [2, 4]
    assert all(math.isfinite(event.values["eval_loss"]) for event in evaluations)
    assert [(event.step, event.prompt) for event in events_of(run, "sample")] == [
        (2, "What is 1 plus 2?"),
        (4, "What is 1 plus 2?"),
    ]


def test_evaluating_and_sampling_do_not_change_what_is_trained(runs: TrainingRuns) -> None:
    quiet = runs.create("quiet", data={"val_size": 8}, train={"max_steps": 4})
    busy = runs.create(
        "busy",
        data={"val_size": 8},
        train={"max_steps": 4, "eval_strategy": "steps", "eval_steps": 1, "sample_prompts": ["Hello"]},
    )
    assert runs.train(quiet) == runs.train(busy) == 0
    from tests.training_runs import same_weights

    assert same_weights(weights_of(quiet, 4), weights_of(busy, 4))


def test_best_checkpoint_is_kept_and_named(runs: TrainingRuns) -> None:
    run = runs.create(
        "best",
        data={"val_size": 0.25},
        train={
            "max_steps": 8,
            "eval_strategy": "steps",
            "eval_steps": 2,
            "save_steps": 2,
            "save_total_limit": 2,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
        },
    )
    assert runs.train(run) == 0, run.log_file.read_text()
    best = min(events_of(run, "evaluation"), key=lambda event: event.values["eval_loss"]).step
    assert best in [found.step for found in list_checkpoints(run.checkpoints_folder, verify="size")]
    end = events_of(run, "end")[0]
    assert end.id == "run_ends_with_best"
    assert end.values == {"step": 8, "best": best}


def test_a_loss_that_is_not_finite_ends_the_run_with_its_good_weights(runs: TrainingRuns) -> None:
    run = runs.create(
        "nan",
        method={"finetuning_type": "full"},
        train={"max_steps": 30, "learning_rate": 1e30, "max_grad_norm": 0.0, "save_steps": 1},
    )
    assert runs.train(run) == 1
    end = events_of(run, "end")[0]
    assert end.reason == "failed"
    assert "not finite for 5 steps in a row" in end.text
    assert run.state() is RunState.FAILED
    assert any(
        event.id == "run_gradient_not_finite" or event.id == "run_loss_not_finite"
        for event in events_of(run, "finding")
    )
    assert not all(
        math.isfinite(event.values["loss"]) and math.isfinite(event.values["grad_norm"])
        for event in events_of(run, "metrics")
    )


def test_a_wrong_module_name_is_one_line_with_the_names_that_exist(runs: TrainingRuns) -> None:
    run = runs.create("typo", method={"finetuning_type": "freeze"}, freeze={"freeze_trainable_modules": ["mpl"]})
    assert runs.train(run) == 1
    text = events_of(run, "end")[0].text
    assert "freeze_trainable_modules = 'mpl'" in text
    assert "mlp" in text
    assert "Traceback" not in run.log_file.read_text()


@pytest.mark.parametrize(
    ("table", "values", "said"),
    [
        ("train", {"lr_scheduler_kwargs": {"bogus": 1}}, "lr_scheduler_kwargs = 'bogus'"),
        ("train", {"lr_scheduler_kwargs": {"num_cycles": "x"}}, "lr_scheduler_kwargs = {'num_cycles': 'x'}"),
        ("lora", {"lora_target": ["q_porj"]}, "lora_target = 'q_porj': no layer of this model has such a name. Choose"),
        ("lora", {"additional_target": ["head"]}, "additional_target = 'head': no layer of this model has such a name"),
        ("train", {"optim_args": "eps=0.1"}, "optim_args = 'eps=0.1'"),
        ("train", {"optim": "stable_adamw"}, "optim = 'stable_adamw'"),
    ],
)
def test_settings_that_would_fail_or_do_nothing_are_refused_before_the_first_step(
    runs: TrainingRuns, table: str, values: dict[str, object], said: str
) -> None:
    run = runs.create("refused", **{table: values})
    assert runs.train(run) == 1
    assert said in events_of(run, "end")[0].text
    assert "Traceback" not in run.log_file.read_text()


def test_a_best_figure_that_no_evaluation_has_is_one_line_with_those_that_exist(runs: TrainingRuns) -> None:
    train = {"metric_for_best_model": "bogus", "eval_strategy": "steps", "eval_steps": 1}
    run = runs.create("best", data={"val_size": 4.0}, train=train)
    assert runs.train(run) == 1
    text = events_of(run, "end")[0].text
    assert "metric_for_best_model = 'bogus': no figure of the evaluation. Choose loss, entropy" in text
    assert "Traceback" not in run.log_file.read_text()


def test_the_evaluation_loss_is_the_mean_over_labelled_tokens(runs: TrainingRuns) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from trainer.data import prepare

    run = runs.create(
        "exact",
        method={"finetuning_type": "full"},
        data={"val_size": 0.25},
        train={"max_steps": 2, "eval_strategy": "steps", "eval_steps": 2, "per_device_eval_batch_size": 5},
    )
    assert runs.train(run) == 0
    model = AutoModelForCausalLM.from_pretrained(run.checkpoints_folder / "step-00000002", dtype=torch.float32).eval()
    rows = prepare(run.recipe()).evaluation
    assert rows is not None
    total, tokens = 0.0, 0
    with torch.no_grad():
        for row in rows:
            labels = torch.tensor(row.labels[1:])
            logits = model(torch.tensor([row.input_ids])).logits[0, :-1]
            total += float(torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum"))
            tokens += int((labels != -100).sum())
    assert events_of(run, "evaluation")[0].values["eval_loss"] == pytest.approx(total / tokens, rel=1e-5)


def test_early_stopping_ends_with_the_last_and_the_best_weights_saved(runs: TrainingRuns) -> None:
    run = runs.create(
        "early",
        data={"val_size": 0.25},
        method={"early_stopping_steps": 1},
        train={
            "max_steps": 40,
            "save_steps": 100,
            "eval_strategy": "steps",
            "eval_steps": 2,
            "metric_for_best_model": "loss",
            # Asking for a growing loss: the second evaluation is worse already.
            "greater_is_better": True,
        },
    )
    assert runs.train(run) == 0
    end = events_of(run, "end")[0]
    assert end.id == "run_early"
    saved = [found.step for found in list_checkpoints(run.checkpoints_folder, verify="sha256")]
    assert saved == [end.values["best"], end.step]


def test_training_goes_on_from_an_adapter_and_says_whose_settings_hold(runs: TrainingRuns) -> None:
    first = runs.create("first", train={"max_steps": 3})
    assert runs.train(first) == 0
    adapter = first.checkpoints_folder / "step-00000003"
    second = runs.create(
        "second", model={"adapter_name_or_path": [str(adapter)]}, lora={"lora_rank": 16}, train={"max_steps": 2}
    )
    assert runs.train(second) == 0, second.log_file.read_text()
    before, after = weights_of(first, 3), weights_of(second, 2)
    assert before.keys() == after.keys()
    assert any(not before[name].equal(after[name]) for name in before)
    (told,) = [event for event in events_of(second, "finding") if event.id == "run_adapter_settings_hold"]
    assert "r 4, lora_alpha 8" in str(told.values["settings"])


def test_a_run_that_ends_with_its_best_checkpoint_is_chatted_with_in_that_one(runs: TrainingRuns) -> None:
    run = runs.create(
        "result",
        data={"val_size": 0.25},
        train={
            "max_steps": 6,
            "eval_strategy": "steps",
            "eval_steps": 2,
            "save_steps": 2,
            "load_best_model_at_end": True,
            "metric_for_best_model": "loss",
            "greater_is_better": True,
        },
    )
    assert runs.train(run) == 0
    result = result_checkpoint(run)
    assert result is not None
    assert result.step == max(events_of(run, "evaluation"), key=lambda event: event.values["eval_loss"]).step
    assert result.step != 6


@pytest.mark.parametrize(("method", "reentrant"), [("lora", True), ("freeze", False), ("full", True)])
def test_gradient_checkpointing_saves_memory_and_nothing_else(runs: TrainingRuns, method: str, reentrant: bool) -> None:
    values = {"max_steps": 3, "save_strategy": "no"}
    plain = runs.create("plain", method={"finetuning_type": method}, train=values)
    checkpointed = runs.create(
        "checkpointed",
        method={"finetuning_type": method},
        model={"use_reentrant_gc": reentrant},
        train={**values, "gradient_checkpointing": True},
    )
    assert runs.train(plain) == runs.train(checkpointed) == 0
    assert list(losses_of(checkpointed).values()) == pytest.approx(list(losses_of(plain).values()), rel=1e-5)
