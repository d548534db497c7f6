"""What must hold for every stage with every kind of method."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.chat_worker import Worker
from tests.stages.courses import (
    ANSWERING,
    METHODS,
    STEPS,
    Course,
    Courses,
    check_it_went_on_as_if_left_alone,
)
from tests.training_runs import events_of
from trainer.chat.loading import load_for_chat
from trainer.chat.prompt import encode_prompt
from trainer.chat.scoring import load_to_score
from trainer.errors import UserError
from trainer.model.tokenizer import load_tokenizer

_ALWAYS = {
    "loss",
    "grad_norm",
    "learning_rate",
    "tokens",
    "tokens_per_second",
    "padded_tokens_per_second",
    "step_seconds",
}
_SEQUENCES = {"entropy", "mean_token_accuracy"}
_REWARDS = {"rewards/chosen", "rewards/rejected"}
_LOG_PROBABILITIES = {"logps/chosen", "logps/rejected"}
_ANSWERS = {"reward", "reward_std", "answer_tokens", "answers_ended", "entropy", "clipped", "kl"}
CURVES = {
    "pt": _SEQUENCES,
    "sft": _SEQUENCES,
    "rm": {*_REWARDS, "margin", "accuracy"},
    "dpo": {*_REWARDS, *_LOG_PROBABILITIES, "rewards/margins", "rewards/accuracies"},
    "kto": {*_REWARDS, *_LOG_PROBABILITIES, "rewards/margins", "kl"},
    "ppo": {*_ANSWERS, "kl_coef", "loss/policy", "loss/value", "value_explained"},
    "grpo": {*_ANSWERS, "groups_of_one_mind"},
    "rloo": {*_ANSWERS, "groups_of_one_mind"},
}
"""What each stage tells beside what all do."""
_QUESTION = [{"role": "user", "content": "What is 3 plus 1?"}]


@pytest.fixture(scope="module")
def chat() -> Iterator[Worker]:
    started = Worker()
    yield started
    started.process.kill()
    started.process.wait()


@pytest.fixture(
    scope="module", params=[(stage, method) for stage in CURVES for method in METHODS], ids=lambda pair: "-".join(pair)
)
def course(request: pytest.FixtureRequest, courses: Courses) -> Course:
    """Each stage is trained once with each method for all tests of it."""
    return courses.course(*request.param)


def test_stopped_and_resumed_a_run_is_the_one_that_was_left_alone(course: Course) -> None:
    check_it_went_on_as_if_left_alone(course)


def test_a_stage_tells_its_own_curves(course: Course) -> None:
    metrics = [event.values for event in events_of(course.whole.run, "metrics")]
    assert len(metrics) == STEPS
    curves = CURVES[course.stage]
    # Not every batch of judged answers has both kinds, and two steps go through each buffer of answers.
    assert set().union(*metrics) == _ALWAYS | curves
    if course.stage in ANSWERING:
        assert ["reward" in values for values in metrics] == [True, False] * 2
    evaluations = [event.values for event in events_of(course.whole.run, "evaluation")]
    if course.stage in ANSWERING:
        assert {f"eval_{name}" for name in _ANSWERS - {"entropy", "clipped"}} <= set(evaluations[-1])
        return
    more = {"eval_perplexity"} if course.stage == "pt" else set()
    assert {f"eval_{name}" for name in curves} | {"eval_loss"} | more <= set(evaluations[-1])
    assert evaluations[-1]["eval_loss"] < evaluations[0]["eval_loss"]


def test_the_checkpoint_can_be_asked_at_once(course: Course, chat: Worker) -> None:
    checkpoint, model = course.resumed.checkpoint, course.resumed.model
    if course.stage == "rm":
        _check_scores(course, checkpoint)
        return
    assert chat.ask(do="load", id=1, model=str(checkpoint))["event"] == "loaded"
    answer = chat.ask(do="generate", id=2, messages=_QUESTION, settings={"do_sample": False, "max_new_tokens": 8})
    assert answer["event"] == "done", answer
    tokenizer = load_tokenizer(course.resumed.run.recipe())
    prompt = encode_prompt(tokenizer, _QUESTION, None)
    model.eval()
    with torch.no_grad():
        written = model.generate(**prompt, do_sample=False, max_new_tokens=8, pad_token_id=tokenizer.pad_token_id)
    new = written[0, prompt["input_ids"].shape[1] :]
    assert answer["text"] == tokenizer.decode(new, skip_special_tokens=True).strip()


def _check_scores(course: Course, checkpoint: Path) -> None:
    """A reward model gives the numbers that it gave in training, and writes nothing."""
    with pytest.raises(UserError, match="this is a reward model"):
        load_for_chat(str(checkpoint))
    if course.method == "lora":
        with pytest.raises(UserError, match="this is a reward model"):
            load_for_chat(str(course.resumed.run.recipe().model.model_name_or_path), str(checkpoint))
    scored = load_to_score(str(checkpoint))
    ids = _tokens_of_a_pair(course)
    model: Any = course.resumed.model.eval()
    with torch.no_grad():
        assert torch.equal(scored.model(input_ids=ids).logits, model(input_ids=ids).logits)
    assert scored.score("What is 3 plus 1?", "It is 4.") != scored.score("What is 3 plus 1?", "No idea, none.")


def _tokens_of_a_pair(course: Course) -> torch.Tensor:
    tokenizer = load_tokenizer(course.resumed.run.recipe())
    return torch.tensor([tokenizer("What is 3 plus 1? It is 4.")["input_ids"]])
