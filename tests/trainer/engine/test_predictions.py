"""Evaluation by generated answers, and the predictions that a run writes at its end or instead of a training."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny import make_tiny_data
from tests.trainer.stages.conftest import stage_rows
from tests.training_runs import TrainingRuns, events_of, losses_of, same_weights, wait_for, weights_of
from trainer.chat.loading import load_for_chat
from trainer.chat.prompt import encode_prompt
from trainer.config import Recipe
from trainer.config.tables.names import ANSWER_SCORES
from trainer.engine.predictions import AnswerPredictions, prompt_and_answer
from trainer.engine.text_scores import text_scores
from trainer.run import RunDirectory, RunState

FIGURES = {f"eval_{name}" for name in ANSWER_SCORES}
EVALUATED = {"eval_strategy": "steps", "eval_steps": 2, "per_device_eval_batch_size": 5, "max_steps": 4}
GENERATED: dict[str, dict[str, Any]] = {
    "data": {"val_size": 7},
    "generation": {"max_new_tokens": 10},
    "train": {**EVALUATED, "predict_with_generate": True},
}


def generating(runs: TrainingRuns, name: str, **tables: dict[str, Any]) -> RunDirectory:
    values = {table: {**entries} for table, entries in GENERATED.items()}
    for table, entries in tables.items():
        values.setdefault(table, {}).update(entries)
    return runs.create(name, **values)


def log_of(run: RunDirectory) -> str:
    return run.log_file.read_text()[-2500:]


def predictions_of(run: RunDirectory) -> list[dict[str, str]]:
    lines = (run.evaluation_folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def scores_of(run: RunDirectory) -> dict[str, float]:
    found: dict[str, float] = json.loads((run.evaluation_folder / "scores.json").read_text())
    return found


def test_answers_are_scored_beside_the_loss_and_change_nothing(runs: TrainingRuns) -> None:
    plain = generating(runs, "plain", train={"predict_with_generate": False})
    best = {"metric_for_best_model": "rouge-l", "load_best_model_at_end": True, "save_steps": 2}
    run = generating(runs, "run", train=best, method={"compute_accuracy": True})
    assert (runs.train(plain), runs.train(run)) == (0, 0), log_of(run)
    assert same_weights(weights_of(plain, 4), weights_of(run, 4))
    assert losses_of(plain) == losses_of(run)
    found = {event.step: event.values for event in events_of(run, "evaluation")}
    assert list(found) == [2, 4]
    for values in found.values():
        assert FIGURES | {"eval_loss", "eval_accuracy"} <= set(values)
        assert all(0 <= values[name] <= 100 for name in FIGURES)
    assert [event.values["eval_loss"] for event in events_of(plain, "evaluation")] == [
        values["eval_loss"] for values in found.values()
    ]
    assert events_of(run, "end")[0].values["best"] == max(found, key=lambda step: found[step]["eval_rouge-l"])


def test_drawn_answers_are_the_same_after_a_resume(runs: TrainingRuns) -> None:
    run = generating(runs, "run")
    assert runs.train(run) == 0, log_of(run)
    killed = generating(runs, "killed", train={"save_steps": 2})
    assert runs.train(killed, TRIMTAB_FAULT="checkpoint:before-rename@2") == -9
    assert runs.train(killed, resume=True) == 0, log_of(killed)
    last = [{name: events_of(each, "evaluation")[-1].values[name] for name in FIGURES} for each in (run, killed)]
    assert last[0] == last[1]
    assert same_weights(weights_of(run, 4), weights_of(killed, 4))


def test_predictions_of_the_final_weights_are_those_of_the_chat(runs: TrainingRuns) -> None:
    settings = {"do_sample": False, "max_new_tokens": 12}
    train = {"do_predict": True, "eval_strategy": "no", "max_steps": 60, "save_strategy": "no"}
    run = generating(
        runs, "run", method={"finetuning_type": "full"}, generation=settings, train=train, data={"val_size": 6}
    )
    assert runs.train(run) == 0, log_of(run)
    rows = {row["instruction"]: row["output"] for row in json.loads(Path(runs.data).read_text())}
    loaded = load_for_chat(str(run.checkpoints_folder / "step-00000060"))
    predictions, scores = predictions_of(run), scores_of(run)
    assert len({len(prediction["prompt"]) for prediction in predictions}) > 1
    for prediction in predictions:
        question = prediction["prompt"].split("user\n")[1].split("<|im_end|>")[0]
        assert prediction["label"] == rows[question]
        inputs = encode_prompt(loaded.tokenizer, [{"role": "user", "content": question}])
        assert prediction["prompt"] == loaded.tokenizer.decode(inputs["input_ids"][0])
        ids = loaded.model.generate(**inputs, **settings)[0, inputs["input_ids"].shape[1] :]
        assert prediction["predict"] == loaded.tokenizer.decode(ids, skip_special_tokens=True).strip()
    assert all(prediction["predict"].startswith("It is") for prediction in predictions)
    means = [text_scores(each["predict"], each["label"])["bleu-4"] for each in predictions]
    assert scores["predict_bleu-4"] == pytest.approx(sum(means) / len(means))
    assert (scores["step"], scores["rows"]) == (60, len(predictions))
    (event,) = events_of(run, "evaluation")
    assert event.values == {f"predict_{name}": scores[f"predict_{name}"] for name in ANSWER_SCORES}


def test_a_run_without_training_needs_no_training_rows(runs: TrainingRuns, tmp_path: Path) -> None:
    other = str(make_tiny_data(tmp_path / "other.json", 5))
    sets = {"dataset": [], "val_size": 0.0, "eval_dataset": [str(runs.data), other], "eval_on_each_dataset": True}
    train = {"do_train": False, "do_eval": True, "do_predict": True, "eval_strategy": "no"}
    run = generating(runs, "run", data=sets, train=train, generation={"max_new_tokens": 3})
    assert runs.train(run) == 0, log_of(run)
    assert events_of(run, "end")[0].id == "run_only_evaluated"
    assert not events_of(run, "metrics")
    assert not [found for found in events_of(run, "finding") if found.severity != "info"]
    assert not list(run.checkpoints_folder.iterdir())
    evaluation, predicted = (event.values for event in events_of(run, "evaluation"))
    assert {"eval_loss", "eval_sums_loss"} | FIGURES <= set(evaluation)
    assert evaluation["eval_bleu-4"] == pytest.approx(
        (48 * evaluation["eval_sums_bleu-4"] + 5 * evaluation["eval_other_bleu-4"]) / 53
    )
    assert predicted["predict_bleu-4"] == pytest.approx(evaluation["eval_bleu-4"])
    assert [each["dataset"] for each in predictions_of(run)] == ["sums"] * 48 + ["other"] * 5
    again = generating(runs, "again", data=sets, train=train, generation={"max_new_tokens": 3})
    assert runs.train(again) == 0
    assert predictions_of(again) == predictions_of(run)


@pytest.mark.parametrize("stage", ["kto", "dpo", "pt"])
def test_other_stages_are_evaluated_without_training_too(runs: TrainingRuns, tmp_path: Path, stage: str) -> None:
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(stage_rows(stage)))
    data = {"dataset": [], "eval_dataset": [str(file)]}
    run = runs.create("run", method={"stage": stage}, data=data, train={"do_train": False, "do_eval": True})
    assert runs.train(run) == 0, log_of(run)
    assert [event.values["eval_loss"] > 0 for event in events_of(run, "evaluation")] == [True]


def test_a_stop_is_heard_while_answers_are_generated(runs: TrainingRuns) -> None:
    long = {"max_new_tokens": 4000, "top_p": 1.0}
    run = generating(runs, "run", generation=long, data={"val_size": 24}, train={"per_device_eval_batch_size": 1})
    process = runs.start(run)
    wait_for(lambda: "answered" in (status.message if (status := run.status()) else ""))
    run.send("stop")
    process.join(30)
    assert process.exitcode == 0, log_of(run)
    assert run.state() is RunState.STOPPED
    assert not events_of(run, "evaluation")
    # The evaluation that was cut short is made up for, now with shorter answers.
    text = run.recipe_file.read_text()
    run.recipe_file.write_text(text.replace("max_new_tokens = 4000", "max_new_tokens = 2"))
    assert runs.train(run, resume=True) == 0, log_of(run)
    assert [event.step for event in events_of(run, "evaluation")] == [2, 4]


def test_predictions_that_were_stopped_are_made_by_a_resume(runs: TrainingRuns) -> None:
    long = {"max_new_tokens": 4000, "top_p": 1.0}
    train = {"eval_strategy": "no", "do_predict": True, "per_device_eval_batch_size": 1}
    run = generating(runs, "run", generation=long, data={"val_size": 24}, train=train)
    process = runs.start(run)
    wait_for(lambda: "answered" in (status.message if (status := run.status()) else ""))
    run.send("stop")
    process.join(30)
    assert process.exitcode == 0, log_of(run)
    assert run.state() is RunState.FINISHED
    assert [event.accepted for event in events_of(run, "command-result")] == [True]
    assert "run_evaluation_given_up" in [found.id for found in events_of(run, "finding")]
    assert not (run.evaluation_folder / "scores.json").exists()
    text = run.recipe_file.read_text()
    run.recipe_file.write_text(text.replace("max_new_tokens = 4000", "max_new_tokens = 2"))
    assert runs.train(run, resume=True) == 0, log_of(run)
    assert scores_of(run)["rows"] == len(predictions_of(run)) == 24
    assert runs.train(run, resume=True) == 0, log_of(run)


def test_beams_are_those_of_the_evaluation(tiny_model: Path) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(tiny_model)
    prompts = [[70, 71, 72], [90, 80]]
    alone = [
        model.eval().generate(torch.tensor([prompt]), num_beams=beams, do_sample=False, max_new_tokens=12)
        for beams in (1, 4)
        for prompt in prompts
    ]
    answers = [tokenizer.decode(ids[0, len(prompt) :]).strip() for ids, prompt in zip(alone, prompts * 2, strict=True)]
    assert answers[:2] != answers[2:]
    trainer = ShortOfMemory(model, tokenizer, rows=2)
    trainer.recipe = Recipe.model_validate(
        {
            "data": {"eval_num_beams": 4},
            "generation": {"do_sample": False, "max_new_tokens": 12, "skip_special_tokens": False},
        }
    )
    rows = [{"input_ids": [*prompt, 5], "labels": [*[-100] * len(prompt), 5]} for prompt in prompts]
    assert [each.written["predict"] for each in AnswerPredictions(trainer).of(rows)] == answers[2:]


class ShortOfMemory:
    """A run's trainer whose model has memory for so many rows at once."""

    def __init__(self, model: Any, tokenizer: Any, rows: int) -> None:
        whole = model.generate

        def generate(**arguments: Any) -> Any:
            if len(arguments["input_ids"]) > rows:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return whole(**arguments)

        model.generate = generate
        self.model, self.processing_class = model, tokenizer
        self.recipe = Recipe.model_validate({"generation": {"max_new_tokens": 3}})
        self.args = SimpleNamespace(eval_batch_size=8)
        self.state = SimpleNamespace(global_step=3)
        self.accelerator = SimpleNamespace(unwrap_model=lambda model: model, autocast=torch.no_grad)
        self.live = SimpleNamespace(between_evaluation_batches=lambda: None, asked_to_stop=lambda: False)
        self.said: list[str] = []
        self.session = SimpleNamespace(
            finding=lambda severity, said, step: self.said.append(said.id),
            status=SimpleNamespace(update=lambda message: None),
        )


@pytest.mark.parametrize(("room", "said"), [(8, []), (2, ["run_smaller_answers"] * 2), (0, ["run_no_answers"])])
def test_without_memory_the_batches_get_smaller_and_the_run_goes_on(
    tiny_model: Path, room: int, said: list[str]
) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(tiny_model)
    trainer = ShortOfMemory(model.train(), tokenizer, room)
    rows = [{"input_ids": [9, 9, 7 + row], "labels": [-100, -100, 7 + row]} for row in range(9)]
    scores = AnswerPredictions(trainer).scores(rows, "eval")
    assert set(scores) == FIGURES
    assert trainer.said == said if room else trainer.said[-1:] == said
    assert all((value != value) is (room == 0) for value in scores.values())
    assert trainer.model.training


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([-100, -100, 3, 4], ([1, 2], [3, 4])),
        ([-100, 2, -100, 4], ([1, 2, 3], [4])),
        ([-100, 2, 3, -100], ([1], [2, 3])),
    ],
)
def test_the_answer_is_the_last_span_that_is_trained(labels: list[int], expected: tuple[list[int], list[int]]) -> None:
    assert prompt_and_answer({"input_ids": [1, 2, 3, 4], "labels": labels}) == expected
