"""The chat worker as a real process: load, answer, stop, compare with the base, and never outlive its parent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.chat_worker import Worker
from tests.training_runs import TrainingRuns
from trainer.run import latest_checkpoint

_GREEDY = {"do_sample": False, "max_new_tokens": 12}
_QUESTION = [{"role": "user", "content": "What is 1 plus 2?"}]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    started = Worker()
    yield started
    started.process.kill()
    started.process.wait()


def test_an_adapter_checkpoint_answers_and_its_base_differs(worker: Worker, runs: TrainingRuns) -> None:
    run = runs.create("chat", train={"max_steps": 30, "learning_rate": 3e-2, "save_strategy": "no"})
    assert runs.train(run) == 0
    checkpoint = latest_checkpoint(run.checkpoints_folder)
    assert checkpoint is not None
    loaded = worker.ask(do="load", id=1, model=str(checkpoint.path))
    assert loaded["event"] == "loaded"
    assert loaded["has_adapter"]
    tuned = worker.ask(do="generate", id=2, messages=_QUESTION, settings=_GREEDY)
    base = worker.ask(do="generate", id=3, messages=_QUESTION, settings=_GREEDY, adapter=False)
    again = worker.ask(do="generate", id=4, messages=_QUESTION, settings=_GREEDY)
    assert tuned["event"] == base["event"] == "done"
    assert tuned["text"] != base["text"]
    assert again["text"] == tuned["text"]
    assert tuned["streamed"].strip() == tuned["text"]
    assert tuned["new_tokens"] <= 12


def test_a_whole_model_checkpoint_knows_its_base(worker: Worker, runs: TrainingRuns) -> None:
    run = runs.create(
        "full",
        method={"finetuning_type": "full"},
        train={"max_steps": 30, "learning_rate": 1e-2, "save_strategy": "no"},
    )
    assert runs.train(run) == 0
    checkpoint = latest_checkpoint(run.checkpoints_folder)
    assert checkpoint is not None
    assert worker.ask(do="load", id=1, model=str(checkpoint.path))["has_adapter"]
    tuned = worker.ask(do="generate", id=2, messages=_QUESTION, settings=_GREEDY)
    base = worker.ask(do="generate", id=3, messages=_QUESTION, settings=_GREEDY, adapter=False)
    assert tuned["text"] != base["text"]


def test_a_reward_model_scores_a_dialogue_and_is_not_chatted_with(worker: Worker, runs: TrainingRuns) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(runs.model, num_labels=1)
    folder = runs.folder / "judge"
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(runs.model).save_pretrained(folder)
    assert worker.ask(do="load", id=1, model=str(folder), scores=True)["event"] == "loaded"
    answers = [[{"role": "assistant", "content": words}] for words in ("It is 3.", "No idea.")]
    worker.send(do="score", id=2, messages=_QUESTION, answers=answers)
    told = [worker.read() for _ in range(3)]
    assert [each["event"] for each in told] == ["score", "score", "done"]
    assert [each["answer"] for each in told[:2]] == [0, 1]
    longer = [{"role": "system", "content": "Count."}, *_QUESTION, *answers[1], *_QUESTION]
    further = worker.ask(do="score", id=3, messages=longer, answers=answers[:1])
    assert worker.read()["event"] == "done"
    assert len({further["score"], *(each["score"] for each in told[:2])}) == 3
    assert "no model is loaded" in worker.ask(do="generate", id=4, messages=_QUESTION)["text"]
    assert "this is a reward model" in worker.ask(do="load", id=5, model=str(folder))["text"]
    assert "this is no reward model" in worker.ask(do="load", id=6, model=str(runs.model), scores=True)["text"]


def test_stop_ends_a_long_answer(worker: Worker, tiny_model: Path) -> None:
    worker.ask(do="load", id=1, model=str(tiny_model))
    long = {"do_sample": True, "temperature": 5.0, "max_new_tokens": 480}
    worker.send(do="generate", id=2, messages=_QUESTION, settings=long)
    worker.send(do="stop")
    while (answer := worker.read())["event"] == "token":
        pass
    assert answer["event"] == "done"
    assert answer["stopped"]
    assert answer["new_tokens"] < 480


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"do": "load", "model": "/nowhere/model"}, "the model folder does not exist"),
        ({"do": "dance"}, "Expected load, generate, score, stop or quit"),
        ({"do": "score"}, "no reward model is loaded"),
        ({"do": "generate"}, "KeyError"),
    ],
)
def test_a_wrong_request_is_one_line_and_the_worker_goes_on(
    worker: Worker, tiny_model: Path, request_: dict[str, Any], reason: str
) -> None:
    worker.ask(do="load", id=0, model=str(tiny_model))
    answer = worker.ask(id=9, **request_)
    assert answer["event"] == "error"
    assert reason in answer["text"]
    assert "\n" not in answer["text"]
    assert worker.ask(do="load", id=10, model=str(tiny_model))["event"] == "loaded"


def test_the_worker_ends_with_its_parent(tiny_model: Path) -> None:
    worker = Worker()
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    assert worker.process.wait(30) == 0
