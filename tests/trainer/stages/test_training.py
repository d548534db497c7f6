"""What is particular to a stage, on real runs: references, heads, balance. What holds for all is in tests/stages."""

from __future__ import annotations

import json
import math
import shutil
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from tests.trainer.stages.conftest import MakeRun, stage_rows
from tests.training_runs import TrainingRuns, events_of, losses_of, same_weights, weights_of
from trainer.chat.scoring import load_to_score
from trainer.data import prepare
from trainer.run import RunDirectory

LN2 = math.log(2)


def findings_of(run: RunDirectory) -> list[str]:
    return [event.id for event in events_of(run, "finding")]


def last_folder(run: RunDirectory, step: int = 6) -> str:
    return str(run.checkpoints_folder / f"step-{step:08d}")


def resumed_from(runs: TrainingRuns, run: RunDirectory, step: int) -> dict[str, Any]:
    """The weights of the last step, trained again from an earlier checkpoint."""
    shutil.rmtree(last_folder(run))
    assert runs.train(run, resume=True) == 0, run.log_file.read_text()[-2000:]
    assert events_of(run, "resume")[-1].step == step
    return weights_of(run, 6)


def test_a_fresh_policy_is_its_own_reference(runs: TrainingRuns, stage_run: MakeRun) -> None:
    for method, told in (("lora", "run_reference_base"), ("freeze", "run_reference_copy")):
        run = stage_run("dpo", method, name=method, train={"max_steps": 2, "eval_strategy": "no"})
        assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
        assert told in findings_of(run)
        assert losses_of(run)[1] == pytest.approx(LN2, abs=1e-6)
        assert losses_of(run)[2] != pytest.approx(LN2, abs=1e-6)


def test_preferences_after_fine_tuning_stay_near_the_fine_tuned_model(runs: TrainingRuns, stage_run: MakeRun) -> None:
    quick = {"max_steps": 2, "eval_strategy": "no"}
    # With dropout the policy would not be the reference before its first step.
    tuned = runs.create("tuned", lora={"lora_dropout": 0.0}, train=quick)
    assert runs.train(tuned) == 0
    adapter = {"adapter_name_or_path": [last_folder(tuned, 2)]}
    run = stage_run("dpo", name="after", model=adapter, train=quick)
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    assert "run_reference_copy" in findings_of(run)
    assert losses_of(run)[1] == pytest.approx(LN2, abs=1e-6)
    # The same adapter under a policy that starts from the base: another reference, other rewards.
    own = {"ref_model": str(runs.model), "ref_model_adapters": adapter["adapter_name_or_path"]}
    other = stage_run("dpo", name="other", preference=own, train=quick)
    assert runs.train(other) == 0, other.log_file.read_text()[-2000:]
    assert losses_of(other)[1] != pytest.approx(LN2, abs=1e-4)


def test_a_reference_of_few_bits_and_one_asked_before(runs: TrainingRuns, stage_run: MakeRun) -> None:
    own = {"ref_model": str(runs.model), "ref_model_quantization_bit": 4}
    quick = {"max_steps": 4, "eval_strategy": "no", "save_steps": 2}
    rounded = stage_run("dpo", name="rounded", preference=own, train=quick)
    assert runs.train(rounded) == 0, rounded.log_file.read_text()[-2000:]
    assert losses_of(rounded)[1] != pytest.approx(LN2, abs=1e-6)
    for stage in ("dpo", "kto"):
        plain, before = (
            stage_run(
                stage,
                "full",
                name=f"{stage}-{asked}",
                preference={"precompute_ref_log_probs": asked},
                train={**quick, "eval_strategy": "steps", "eval_steps": 4},
            )
            for asked in (False, True)
        )
        assert runs.train(plain) == runs.train(before) == 0, before.log_file.read_text()[-2000:]
        assert "run_reference_precomputed" in findings_of(before)
        assert list(losses_of(before).values()) == pytest.approx(list(losses_of(plain).values()), rel=1e-4)
        evaluated = [events_of(run, "evaluation")[-1].values["eval_loss"] for run in (plain, before)]
        assert evaluated[0] == pytest.approx(evaluated[1], rel=1e-4)


def test_every_row_weighs_the_same_however_rows_are_batched(runs: TrainingRuns, stage_run: MakeRun) -> None:
    found = []
    for batch, accumulation in ((5, 1), (2, 3)):
        run = stage_run(
            "dpo",
            "full",
            name=f"batches-of-{batch}",
            rows=stage_rows("dpo")[:8],
            data={"val_size": 3},
            train={
                "max_steps": 1,
                "eval_steps": 1,
                "per_device_train_batch_size": batch,
                "gradient_accumulation_steps": accumulation,
                "per_device_eval_batch_size": batch,
                "max_grad_norm": 0.0,
                "optim": "sgd",
            },
        )
        assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
        metrics, evaluation = events_of(run, "metrics")[0].values, events_of(run, "evaluation")[0].values
        found.append((weights_of(run, 1), metrics["tokens"], metrics["logps/chosen"], evaluation["eval_loss"]))
    (weights, *figures), (others, *other_figures) = found
    assert figures == pytest.approx(other_figures, rel=1e-5)
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, others[name], rtol=1e-4, atol=1e-6)


def test_the_shift_of_bco_survives_a_resume(runs: TrainingRuns, stage_run: MakeRun) -> None:
    run = stage_run("dpo", preference={"pref_loss": "bco_pair"}, train={"eval_strategy": "no"})
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    before = weights_of(run, 6)
    assert same_weights(before, resumed_from(runs, run, 3))


def test_a_reward_model_predicts_the_numbers_that_it_gives_when_asked(runs: TrainingRuns, stage_run: MakeRun) -> None:
    run = stage_run("rm", train={"do_predict": True, "eval_strategy": "no", "per_device_eval_batch_size": 4})
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    lines = (run.evaluation_folder / "predictions.jsonl").read_text().splitlines()
    predictions = [json.loads(line) for line in lines]
    scored = load_to_score(last_folder(run))
    assert len(predictions) == 6
    for each in predictions:
        question = each["prompt"].split("user\n")[1].split("<|im_end|>")[0]
        answer = each["chosen_text"].removesuffix("<|im_end|>\n").removesuffix("<|im_end|>")
        assert each["chosen"] == pytest.approx(scored.score(question, answer), abs=1e-5)
    scores = json.loads((run.evaluation_folder / "scores.json").read_text())
    margins = [each["chosen"] - each["rejected"] for each in predictions]
    assert scores["predict_accuracy"] == pytest.approx(sum(margin > 0 for margin in margins) / 6)
    assert scores["predict_margin"] == pytest.approx(sum(margins) / 6)


@pytest.mark.parametrize("method", ["lora", "full", "freeze", "qlora"])
def test_a_reward_model_is_a_standard_model_with_its_head(runs: TrainingRuns, stage_run: MakeRun, method: str) -> None:
    more = {"quantization": {"quantization_bit": 4}} if method == "qlora" else {}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "accuracy", "save_steps": 3}
    run = stage_run("rm", "lora" if method == "qlora" else method, train=best, **more)
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    evaluation = events_of(run, "evaluation")[-1].values
    assert evaluation["eval_accuracy"] == 1.0
    (head,) = [tensor for name, tensor in weights_of(run, 6).items() if "score" in name]
    assert head.shape == (1, 32)
    scored = load_to_score(last_folder(run))
    assert scored.score("What is 3 plus 1?", "It is 4.") > scored.score("What is 3 plus 1?", "No idea, none.")
    if method == "qlora":
        # Without the few bits it gives other numbers, but has the same head.
        base = AutoModelForSequenceClassification.from_pretrained(str(runs.model), num_labels=1)
        assert torch.equal(PeftModel.from_pretrained(base, last_folder(run)).score.weight, head)
        return
    folder = last_folder(run) if method in ("full", "freeze") else str(runs.model)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
    if method == "lora":
        model = PeftModel.from_pretrained(model, last_folder(run))
    model.eval()
    rows = prepare(run.recipe()).evaluation
    assert rows is not None
    numbers = []
    with torch.no_grad():
        for row in rows:
            for name in ("chosen_ids", "rejected_ids"):
                ids = torch.tensor([row.columns["prompt_ids"] + row.columns[name]])
                numbers.append(float(model(input_ids=ids).logits[0, 0]))
    margin = sum(numbers[::2]) / len(rows) - sum(numbers[1::2]) / len(rows)
    assert margin == pytest.approx(evaluation["eval_margin"], rel=1e-3)


@pytest.mark.parametrize("anew", [False, True])
def test_a_fine_tuned_adapter_becomes_one_of_a_reward_model(runs: TrainingRuns, stage_run: MakeRun, anew: bool) -> None:
    tuned = runs.create("tuned", train={"max_steps": 1})
    assert runs.train(tuned) == 0
    run = stage_run("rm", model={"adapter_name_or_path": [last_folder(tuned, 1)]}, lora={"create_new_adapter": anew})
    assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
    assert any("score" in name for name in weights_of(run, 6))
    assert events_of(run, "evaluation")[-1].values["eval_accuracy"] > 0.8
    scored = load_to_score(last_folder(run))
    assert scored.score("What is 3 plus 1?", "It is 4.") > scored.score("What is 3 plus 1?", "No idea, none.")


def test_kto_tells_the_balance_of_its_rows(runs: TrainingRuns, stage_run: MakeRun) -> None:
    quick = {"max_steps": 1, "eval_strategy": "no"}
    run = stage_run("kto", train=quick, data={"val_size": 0})
    assert runs.train(run) == 0
    (told,) = [event for event in events_of(run, "finding") if event.id.startswith("run_kto")]
    assert (told.id, told.values) == (
        "run_kto_unbalanced",
        {"good": 20, "bad": 10, "name": "kto_rejected_weight", "weight": "2"},
    )
    balanced = stage_run(
        "kto", name="balanced", train=quick, data={"val_size": 0}, preference={"kto_rejected_weight": 2.0}
    )
    assert runs.train(balanced) == 0
    assert "run_kto_balanced" in findings_of(balanced)


def test_kto_with_one_kind_of_answers_is_refused(runs: TrainingRuns, stage_run: MakeRun) -> None:
    run = stage_run("kto", rows=[{**row, "kto_tag": True} for row in stage_rows("kto")])
    assert runs.train(run) == 1
    assert "kto learns from both kinds" in events_of(run, "end")[0].text


def test_pre_training_loses_no_token_and_tells_its_perplexity(runs: TrainingRuns, stage_run: MakeRun) -> None:
    epoch = {"max_steps": -1, "num_train_epochs": 1.0, "save_steps": 100, "eval_strategy": "epoch"}
    losses = {}
    for neat in (None, False):
        run = stage_run("pt", name=f"neat-{neat}", data={"neat_packing": neat, "cutoff_len": 100}, train=epoch)
        assert runs.train(run) == 0, run.log_file.read_text()[-2000:]
        rows = prepare(run.recipe()).train
        assert events_of(run, "metrics")[-1].values["tokens"] == rows.token_count
        evaluation = events_of(run, "evaluation")[-1].values
        assert evaluation["eval_perplexity"] == pytest.approx(math.exp(evaluation["eval_loss"]))
        losses[neat] = losses_of(run)[1]
    assert losses[None] != losses[False]
