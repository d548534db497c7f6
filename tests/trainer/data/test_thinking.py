"""enable_thinking and preserve_thinking: which thoughts stand in a row, and which of their characters are learned."""

from __future__ import annotations

import pytest

from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue, trained_texts
from trainer.data import prepare, recipe_tokenizer
from trainer.data.messages import Message, Row, SourceReference
from trainer.data.spans import AnswerFinder
from trainer.data.templates import ChatTemplate, named_template, template_names, template_spec, text_with_defaults
from trainer.data.thinking import EnableThinking, Thinking, default_variables, knows_thoughts

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
THINKERS = [name for name in template_names() if template_spec(name).thought_words]
PLACE = SourceReference("rows.jsonl", 1)


def row(*answers: str, reasoning: str | None = None) -> Row:
    """Questions with these answers; `reasoning` is the thought of the last one."""
    messages: list[Message] = []
    for number, answer in enumerate(answers, start=1):
        messages += [Message("user", f"question {number}"), Message("assistant", answer)]
    messages[-1] = Message("assistant", answers[-1], reasoning_content=reasoning)
    return Row(tuple(messages), PLACE)


def learned(name: str, given: Row, enable_thinking: EnableThinking, preserve_thinking: bool = False) -> list[str]:
    """What each answer of a row teaches, rendered with a shipped template."""
    thinking = Thinking(named_template(name, TOKENS), enable_thinking, preserve_thinking)
    special = frozenset({"</s>", "<|im_end|>", "<turn|>", "<｜User｜>"})
    rendering = AnswerFinder(thinking.template(given), special).render(thinking.row(given))
    return [rendering.text[start:end] for start, end in rendering.answers]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (True, ["one<|im_end|>", "<think>\n\n</think>\n\ntwo<|im_end|>"]),
        (False, ["one<|im_end|>", "two<|im_end|>"]),
        ("mixed", ["one<|im_end|>", "two<|im_end|>"]),
    ],
)
def test_an_empty_thought_is_learned_only_where_thinking_is_on(mode: EnableThinking, expected: list[str]) -> None:
    assert learned("qwen3", row("one", "two"), mode) == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (True, "<think>\nhm\n</think>\n\ntwo<|im_end|>"),
        (False, "two<|im_end|>"),
        ("mixed", "<think>\nhm\n</think>\n\ntwo<|im_end|>"),
    ],
)
@pytest.mark.parametrize(
    "given", [row("one", "<think>\nhm\n</think>\n\ntwo"), row("one", "two", reasoning="hm")], ids=["inline", "apart"]
)
def test_a_thought_is_learned_unless_thinking_is_off(given: Row, mode: EnableThinking, expected: str) -> None:
    assert learned("qwen3", given, mode) == ["one<|im_end|>", expected]


def test_earlier_thoughts_are_kept_only_when_asked_for() -> None:
    given = row("<think>\nfirst\n</think>\n\none", "<think>\nsecond\n</think>\n\ntwo")
    assert learned("qwen3", given, True) == ["one<|im_end|>", "<think>\nsecond\n</think>\n\ntwo<|im_end|>"]
    assert learned("qwen3", given, True, preserve_thinking=True) == [
        "<think>\nfirst\n</think>\n\none<|im_end|>",
        "<think>\nsecond\n</think>\n\ntwo<|im_end|>",
    ]
    assert learned("qwen3", row("one", "two"), False, preserve_thinking=True) == ["one<|im_end|>", "two<|im_end|>"]


@pytest.mark.parametrize(
    ("name", "on", "off"),
    [
        ("qwen3_5", "\n</think>\n\nyes<|im_end|>", "yes<|im_end|>"),
        ("deepseekr1", "\n</think>\n\nyes</s>", "yes</s>"),
        ("gemma4", "<|channel>thought\n<channel|>yes<turn|>", "yes<turn|>"),
    ],
)
def test_what_the_generation_prompt_opens_is_not_learned(name: str, on: str, off: str) -> None:
    assert learned(name, row("yes"), True) == [on]
    assert learned(name, row("yes"), False) == [off]


@pytest.mark.parametrize("name", THINKERS)
def test_shipped_templates_think_unless_told_otherwise(name: str) -> None:
    template = named_template(name, TOKENS)
    messages = row("one", "two").messages
    for asked, prompt in ((messages, False), (messages[:-1], True)):
        text = template.render(asked, add_generation_prompt=prompt)
        assert template.render(asked, add_generation_prompt=prompt, enable_thinking=True) == text
    assert default_variables(template, True, False) == {}


@pytest.mark.parametrize("given", [row("<think>\nhm\n</think>\n\nyes"), row("yes", reasoning="hm")])
def test_thoughts_are_text_where_the_template_has_no_place_for_them(given: Row) -> None:
    assert learned("chatml", given, True) == ["<think>\nhm\n</think>\n\nyes<|im_end|>"]
    assert learned("chatml", given, "mixed") == ["<think>\nhm\n</think>\n\nyes<|im_end|>"]
    assert learned("chatml", given, False) == ["yes<|im_end|>"]


def test_rows_are_encoded_in_the_mode_of_the_recipe(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    rows = [dialogue("A?", "<think>\nfirst\n</think>\n\none", "B?", "<think>\nlast\n</think>\n\ntwo")]
    recipe = make_recipe(make_model(), rows, template="qwen3")
    tokenizer = recipe_tokenizer(recipe)
    expected = {
        (True, False): ["one<|im_end|>", "<think>\nlast\n</think>\n\ntwo<|im_end|>"],
        (True, True): ["<think>\nfirst\n</think>\n\none<|im_end|>", "<think>\nlast\n</think>\n\ntwo<|im_end|>"],
        (False, False): ["one<|im_end|>", "two<|im_end|>"],
    }
    for (thinking, preserved), texts in expected.items():
        changed = recipe.with_values({"data.enable_thinking": thinking, "data.preserve_thinking": preserved})
        assert trained_texts(prepare(changed).train[0], tokenizer) == texts


def test_thoughts_are_taken_out_wherever_they_stand() -> None:
    thinking = Thinking(named_template("qwen3"), False)
    question = Message("user", "Say <think>this</think>")
    answers = {
        "<think>a</think>b<think>c</think>d": "bd",
        "opened by the prompt\n</think>\n\nyes": "yes",
        "</think>yes": "yes",
        "never closed <think> no": "never closed <think> no",
        "plain": "plain",
    }
    for content, left in answers.items():
        given = Row((question,), PLACE, chosen=(Message("assistant", content),), rejected=(Message("assistant", "x"),))
        assert thinking.row(given).chosen[0].content == left
        assert thinking.row(given).messages == (question,)
    call = Message("assistant", None, reasoning_content="hm", tool_calls=({"name": "look"},))
    assert thinking.row(Row((question, call), PLACE)).messages[1] == Message(
        "assistant", None, tool_calls=({"name": "look"},)
    )


def test_templates_of_models_are_told_what_they_ask_for() -> None:
    with_switch = ChatTemplate("{{ enable_thinking }} <think> {{ messages | length }}")
    assert default_variables(with_switch, True, False) == {}
    assert default_variables(with_switch, False, False) == {"enable_thinking": False}
    assert default_variables(ChatTemplate("{{ thinking }} reasoning_content"), False, True) == {
        "thinking": False,
        "preserve_thinking": True,
    }
    without_switch = ChatTemplate("<think>")
    assert knows_thoughts(without_switch)
    assert default_variables(without_switch, False, False) == {}
    assert not knows_thoughts(ChatTemplate("{{ messages }}"))


def test_the_mode_of_an_earlier_run_can_be_taken_back() -> None:
    own = "{{ '' if enable_thinking is false else '<think>' }}"
    trained = text_with_defaults(own, {"enable_thinking": False})
    assert ChatTemplate(trained).render([]) == ""
    assert ChatTemplate(trained).render([], enable_thinking=True) == "<think>"
    again = ChatTemplate(trained)
    assert default_variables(again, True, False) == {"enable_thinking": True}
    twice = text_with_defaults(trained, default_variables(again, True, False))
    assert twice.count("is not defined") == 1
    assert ChatTemplate(twice).render([]) == "<think>"
    assert text_with_defaults(trained, {}) == own
