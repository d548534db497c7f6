"""Every shipped template with the label finder: what is learned of an answer is its content and what ends it."""

from __future__ import annotations

import re

import pytest

from trainer.data.answer_search import Rendering
from trainer.data.messages import Message, Row, SourceReference
from trainer.data.spans import AnswerFinder
from trainer.data.templates import ChatTemplate, named_template, template_names

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
MARKS = re.compile(r"<\|\w+\|>|<｜[^｜]+｜>")
"""Marks in a template that are single tokens of its models, beside its stop words."""

# What the model writes itself between the generation prompt and the answer, and between the answer and its end.
LEADS = {
    "aeva": "\n</think>",
    "breeze": " ",
    "chatglm3": "\n ",
    "deepseek": " ",
    "deepseekcoder": "\n",
    "falcon": " ",
    "glm4": "\n",
    "glm4_7": "</think>",
    "glm4_moe": "\n<think></think>\n",
    "glmz1": "\n",
    "gpt_oss": "<|channel|>final<|message|>",
    "hy3": "<think></think>",
    "llama2": " ",
    "llama2_zh": " ",
    "mistral": " ",
    "openchat": " ",
    "starchat": "\n",
    "vicuna": " ",
}
CLOSINGS = {"deepseekcoder": "\n", "llama2": " ", "llama2_zh": " "}
# What ends earlier answers where the last one ends otherwise.
OTHER_ENDS = {"gpt_oss": "<|end|>"}
# There is no mark at all.
WITHOUT_END = {"empty"}
THINKING = [name for name in template_names() if named_template(name).thought_words]

DIALOGUES = {
    "one turn": ["What is it?", "A test."],
    "several turns": ["What is it?", "A test.", "Sure?", "Yes!", "Really?", "Yes."],
    "Chinese": ["你是谁？", "我是小助手，鼹鼠🦫。", "北京在哪里？", "在中国。"],
    "spaces at the edges": ["  What?\n", "\n A test. \n", " Sure? ", "  Yes!  "],
    "the same text twice": ["Yes!", "Yes!", "Yes!", "Yes!"],
}
CALL = {"type": "function", "function": {"name": "look_up", "arguments": {"city": "Paris", "days": 2}}}
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "its name"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


def messages_of(contents: list[str], system: str | None) -> tuple[Message, ...]:
    """A dialogue of alternating questions and answers."""
    turns = [Message(("user", "assistant")[number % 2], content) for number, content in enumerate(contents)]
    return tuple(([] if system is None else [Message("system", system)]) + turns)


def special_tokens(template: ChatTemplate) -> frozenset[str]:
    """What a tokenizer of the family would hold as special tokens."""
    return frozenset({*TOKENS.values(), *template.stop_words, *MARKS.findall(template.text)})


def find(template: ChatTemplate, row: Row) -> tuple[Rendering, list[str]]:
    """The rendering of a row and the texts of its answers."""
    found = AnswerFinder(template, special_tokens(template)).render(row)
    return found, [found.text[start:end] for start, end in found.answers]


def ends_of(name: str) -> tuple[str, ...]:
    """The tokens that may end an answer."""
    return named_template(name).stop_words or (TOKENS["eos_token"],)


def wanted_texts(name: str, content: str, *, is_last: bool) -> set[str]:
    """What may be found for an answer: its lead, its content (which some families strip) and one of its ends."""
    leads = {LEADS.get(name, "")}
    if is_last and name in THINKING:
        # The last answer begins with an empty thought, which the generation prompt may have opened.
        before, after = named_template(name).thought_words or ("", "")
        leads |= {LEADS.get(name, "") + before + after, after}
    ends = {OTHER_ENDS[name]} if name in OTHER_ENDS and not is_last else {"", *ends_of(name)}
    if name not in WITHOUT_END:
        ends.discard("")
    closing = CLOSINGS.get(name, "")
    return {f"{lead}{text}{closing}{end}" for lead in leads for text in (content, content.strip()) for end in ends}


@pytest.mark.parametrize("system", [None, "Be brief."], ids=["without system", "with system"])
@pytest.mark.parametrize("contents", DIALOGUES.values(), ids=DIALOGUES.keys())
@pytest.mark.parametrize("name", template_names())
def test_answers_are_content_and_end(name: str, contents: list[str], system: str | None) -> None:
    template = named_template(name, TOKENS)
    messages = messages_of(contents, system)
    found, answers = find(template, Row(messages, SourceReference("", 1)))
    assert found.text == template.render(messages)
    assert found.endless == (name in WITHOUT_END)
    assert len(answers) == len(contents) // 2
    for number, (answer, content) in enumerate(zip(answers, contents[1::2], strict=True), 1):
        assert answer in wanted_texts(name, content, is_last=number == len(answers))


@pytest.mark.parametrize("name", template_names())
def test_the_short_way_finds_the_same(name: str) -> None:
    template = named_template(name, TOKENS)
    before, after = template.thought_words or ("<think>", "</think>")
    more = [["", ""], ["Hi", f"{before}Hm.{after}Yes!"], ["Hi", "<|channel|>", "[INST]", "/nothink"]]
    short = AnswerFinder(template, special_tokens(template), short_way=True)
    # Twice, because the first rows are compared with the template itself.
    for contents in [*DIALOGUES.values(), *more] * 2:
        for system in (None, "Be brief.", ""):
            row = Row(messages_of(contents, system), SourceReference("", 1))
            assert short.render(row) == find(template, row)[0]


@pytest.mark.parametrize("name", template_names())
def test_the_generation_prompt_begins_what_a_finished_dialogue_says(name: str) -> None:
    template = named_template(name, TOKENS)
    for system in (None, "Be brief."):
        messages = messages_of(DIALOGUES["several turns"], system)
        text = template.render(messages)
        for number, message in enumerate(messages):
            # Families that open a thought for the answer show none in earlier answers.
            if message.role == "assistant" and (name not in THINKING or message is messages[-1]):
                assert text.startswith(template.render(messages[:number], add_generation_prompt=True))


@pytest.mark.parametrize("name", template_names())
def test_calls_and_the_answer_after_the_result_are_learned(name: str) -> None:
    template = named_template(name, TOKENS)
    messages = (
        Message("user", "Rain?"),
        Message("assistant", None, tool_calls=(CALL,)),
        Message("tool", "sunny", name="look_up"),
        Message("assistant", "No rain."),
    )
    found, answers = find(template, Row(messages, SourceReference("", 1), tools=(TOOL,)))
    call, answer = answers
    assert "look_up" in call
    assert "Paris" in call
    assert "sunny" not in call
    assert "The weather of a city" in found.text
    assert "No rain." in answer
    assert "sunny" not in answer
    if name not in WITHOUT_END:
        assert call.endswith(ends_of(name))
        assert answer.endswith(ends_of(name))


@pytest.mark.parametrize("name", THINKING)
def test_a_thought_of_the_last_answer_is_learned_with_it(name: str) -> None:
    template = named_template(name, TOKENS)
    before, after = template.thought_words or ("", "")
    for answer in (Message("assistant", f"{before}Hm.{after}Yes!"), Message("assistant", "Yes!", "Hm.")):
        found, [text] = find(template, Row((Message("user", "Sure?"), answer), SourceReference("", 1)))
        assert f"{before}Hm.{after}Yes!" in found.text
        assert f"Hm.{after}Yes!" in text
        assert found.text.count("Hm.") == 1
        assert text.endswith(ends_of(name))


@pytest.mark.parametrize("name", THINKING)
def test_without_thinking_the_empty_thought_belongs_to_the_prompt(name: str) -> None:
    template = named_template(name, TOKENS).with_variables({"enable_thinking": False, "thinking": False})
    contents = ["What is it?", "A test.", "Sure?", "Yes!"]
    _, answers = find(template, Row(messages_of(contents, None), SourceReference("", 1)))
    ends = {*ends_of(name), *OTHER_ENDS.values()}
    for answer, content in zip(answers, contents[1::2], strict=True):
        assert answer in {f"{content}{end}" for end in ends}
