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


def test_answers_stand_in_the_order_of_their_numbers(world: World, tiny_model: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=1)
    model.save_pretrained("judge")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained("judge")
    answers = ("It is 4.", "No idea.", "Why?")
    found = json.loads(world.trimtab("score", "./judge", *answers, "--prompt", "What is 3 plus 1?", "--json").out)
    numbers = {each["answer"]: each["score"] for each in found["scores"]}
    assert list(numbers) == list(answers)
    assert len(set(numbers.values())) == 3
    lines = world.trimtab("score", "./judge", *answers, "--prompt", "What is 3 plus 1?").out.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines] == sorted(answers, key=lambda answer: -numbers[answer])


def test_what_cannot_be_scored_is_one_line(world: World) -> None:
    refused = world.trimtab("score", "shipped:demo_model", "Yes.", "--prompt", "Is it?")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "is no reward model" in refused.err
    assert "Chat with it: trimtab chat shipped:demo_model" in refused.err
    assert "--prompt is missing" in world.trimtab("score", "shipped:demo_model", "Yes.").err
