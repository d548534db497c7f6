"""`trimtab score`: a reward model puts answers in order, and whatever is none is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.command_line_world import World, a_world


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with a_world(tmp_path, monkeypatch, capsys) as made:
        yield made


@pytest.fixture
def judge(world: World, tiny_model: Path) -> str:
    """A reward model, as a folder of its own."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=1)
    model.save_pretrained("judge")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained("judge")
    return "./judge"


def test_answers_stand_in_the_order_of_their_numbers(world: World, judge: str) -> None:
    answers = ("It is 4.", "No idea.", "Why?")
    lines = world.trimtab("score", judge, *answers, "--prompt", "What is 3 plus 1?").out.splitlines()
    numbers = [float(line.split(maxsplit=1)[0]) for line in lines]
    assert sorted(line.split(maxsplit=1)[1] for line in lines) == sorted(answers)
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 3


def test_the_pairs_of_a_file_are_judged_and_counted(world: World, judge: str) -> None:
    pairs = [("It is 4.", "No idea."), ("No idea.", "It is 4."), ("Why?", "It is 4.")]
    rows = [{"instruction": "What is 3 plus 1?", "chosen": good, "rejected": bad} for good, bad in pairs]
    rows.insert(1, {"instruction": "What is 3 plus 1?", "chosen": "It is 4.", "rejected": None})  # type: ignore[dict-item]
    Path("pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    judged = world.trimtab("score", judge, "--file", "pairs.jsonl")
    told = [json.loads(line) for line in judged.out.splitlines()]
    assert [each["line"] for each in told] == [1, 3, 4]
    assert told[0]["chosen"] == told[1]["rejected"]
    assert [(each["chosen_text"], each["rejected_text"]) for each in told] == pairs
    right = sum(each["chosen"] > each["rejected"] for each in told)
    margin = sum(each["margin"] for each in told) / 3
    assert judged.code == 1
    assert "pairs.jsonl:2: rejected is null" in judged.err
    assert (
        f"{right} of 3 pairs in the right order (accuracy {right / 3:.4f}), mean difference {margin:+.4f}" in judged.err
    )
    asked = world.trimtab("score", judge, "It is 4.", "Why?", "--prompt", "What is 3 plus 1?", "--json").out
    found = json.loads(asked)["scores"]
    assert [each["answer"] for each in found] == ["It is 4.", "Why?"]
    alone = [each["score"] for each in found]
    assert [told[0]["chosen"], told[2]["chosen"]] == pytest.approx(alone, abs=1e-6)


def test_what_cannot_be_scored_is_one_line(world: World) -> None:
    refused = world.trimtab("score", "shipped:demo_model", "Yes.", "--prompt", "Is it?")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "is no reward model" in refused.err
    assert "Chat with it: trimtab chat shipped:demo_model" in refused.err
    assert "--prompt is missing" in world.trimtab("score", "shipped:demo_model", "Yes.").err
    assert "nothing to score" in world.trimtab("score", "shipped:demo_model").err
    assert "leave --prompt" in world.trimtab("score", "shipped:demo_model", "--file", "a", "--prompt", "b").err


def test_a_file_that_is_not_there_is_told_before_the_model_is_loaded(world: World, judge: str) -> None:
    refused = world.trimtab("score", judge, "--file", "none.jsonl")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "the data file does not exist" in refused.err


def test_chat_sends_a_reward_model_to_score(world: World, judge: str) -> None:
    refused = world.trimtab("chat", judge, "--prompt", "hello")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert f"trimtab score {judge} --prompt TEXT ANSWER" in refused.err
