"""Which tokens are learned, for templates of different kinds, against expectations written out by hand."""

from __future__ import annotations

import importlib.util
import random
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from tests.trainer.data import chat_templates
from tests.trainer.data.conftest import SPECIAL, MakeModel, MakeRecipe, dialogue, pieces, trained_texts
from trainer.data import ChatTemplate, Message, Row, SourceReference, load_tokenizer, prepare
from trainer.data.spans import AnswerFinder

TWO_TURNS = dialogue("What is it?", " A test. ", "Sure?", "Yes!", system="Be brief.")


def expected(backend: Tokenizer, *parts: tuple[str, bool]) -> tuple[list[int], list[int]]:
    """Ids and labels of text parts that are cut at token borders."""
    ids: list[int] = []
    labels: list[int] = []
    for text, trained in parts:
        new = backend.encode(text, add_special_tokens=False).ids
        ids += new
        labels += new if trained else [-100] * len(new)
    assert ids == backend.encode("".join(text for text, _ in parts), add_special_tokens=False).ids
    return ids, labels


def test_chatml_two_turns_with_system(make_model: MakeModel, make_recipe: MakeRecipe, backend: Tokenizer) -> None:
    example = prepare(make_recipe(make_model(chat_templates.CHATML), [TWO_TURNS])).train[0]
    head = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is it?<|im_end|>\n<|im_start|>assistant\n"
    ids, labels = expected(
        backend,
        (head, False),
        (" A test. <|im_end|>", True),
        ("\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n", False),
        ("Yes!<|im_end|>", True),
        ("\n", False),
    )
    assert example.input_ids == ids
    assert example.labels == labels


def test_llama2_has_no_generation_prompt(make_model: MakeModel, make_recipe: MakeRecipe, backend: Tokenizer) -> None:
    example = prepare(make_recipe(make_model(chat_templates.LLAMA2), [TWO_TURNS])).train[0]
    ids, labels = expected(
        backend,
        ("<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWhat is it? [/INST]", False),
        (" A test. </s>", True),
        ("<s>[INST] Sure? [/INST]", False),
        (" Yes! </s>", True),
    )
    assert example.input_ids == ids
    assert example.labels == labels


@pytest.mark.parametrize(
    ("template", "answers"),
    [
        (chat_templates.TRIMMING, ["A test.<|im_end|>", "Yes!<|im_end|>"]),
        (chat_templates.CHATML_MARKED, [" A test. <|im_end|>", "Yes!<|im_end|>"]),
        # What the model writes before the answer is learned with it; the thought that was dropped is not there.
        (chat_templates.THINKING, [" A test. <|im_end|>", "<think>\n\n</think>\n\nYes!<|im_end|>"]),
        (chat_templates.CLOSED_TWICE, [" A test. <|im_end|>", "Yes!<|im_end|>"]),
        (chat_templates.TWO_END_TOKENS, [" A test. <|im_end|><|assistant|>", "Yes!<|im_end|><|assistant|>"]),
        (chat_templates.OTHER_LAST_END, ["<|assistant|> A test. <|im_end|>", "<|assistant|>Yes!</s>"]),
    ],
    ids=["trimming", "marked", "thinking", "closed twice", "two end tokens", "other last end"],
)
def test_other_templates(make_model: MakeModel, make_recipe: MakeRecipe, template: str, answers: list[str]) -> None:
    model = make_model(template)
    example = prepare(make_recipe(model, [TWO_TURNS])).train[0]
    assert trained_texts(example, load_tokenizer(model)) == answers


def test_generation_prompt_that_says_more_than_the_dialogue(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model(chat_templates.OPENED_THOUGHT)
    example = prepare(make_recipe(model, [dialogue("Hi", "Hello!", "And?", "Fine.")])).train[0]
    assert pieces(example, load_tokenizer(model)) == [
        ("<|im_start|>Hi<|assistant|>", False),
        ("Hello!<|im_end|>", True),
        ("<|im_start|>And?<|assistant|>", False),
        ("Fine.<|im_end|>", True),
    ]


def test_a_thought_in_the_row_takes_the_slow_way(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model(chat_templates.THINKING)
    row = dialogue("Hi", "<think>\nOld\n</think>\n\nHello!", "And?", "<think>\nHm.\n</think>\n\nFine.")
    example = prepare(make_recipe(model, [row])).train[0]
    assert trained_texts(example, load_tokenizer(model)) == [
        "Hello!<|im_end|>",
        "<think>\nHm.\n</think>\n\nFine.<|im_end|>",
    ]


def test_chinese(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model()
    example = prepare(make_recipe(model, [dialogue("你是谁？", "我是小助手，鼹鼠🦫。")])).train[0]
    assert trained_texts(example, load_tokenizer(model)) == ["我是小助手，鼹鼠🦫。<|im_end|>"]


@pytest.mark.parametrize("content", ["<|im_end|>", "assistant\n", "  ", "\n\nA\n\n", "<|im_start|>assistant\n", "Yes!"])
def test_questions_and_answers_that_look_like_the_template(
    make_model: MakeModel, make_recipe: MakeRecipe, content: str
) -> None:
    model = make_model()
    example = prepare(make_recipe(model, [dialogue(content, f"{content}!", content, f"{content}.")])).train[0]
    assert trained_texts(example, load_tokenizer(model)) == [f"{content}!<|im_end|>", f"{content}.<|im_end|>"]


def test_answers_without_an_end_are_reported(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model(chat_templates.WITHOUT_END)
    prepared = prepare(make_recipe(model, [dialogue("Hi", "Hello!")]))
    assert trained_texts(prepared.train[0], load_tokenizer(model)) == ["Hello!"]
    assert [finding.id for finding in prepared.report.findings()] == ["data_endless"]


def test_a_template_that_rewrites_answers_is_still_located(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model(chat_templates.SHOUTING)
    example = prepare(make_recipe(model, [dialogue("Hi", "Hello!")])).train[0]
    assert trained_texts(example, load_tokenizer(model)) == ["assistant: HELLO!<|im_end|>"]


def test_tool_calls_are_learned_and_results_are_not(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    template = (
        "{% if tools %}{{ '<|im_start|>system\\n' + tools | tojson + '<|im_end|>\\n' }}{% endif %}"
        "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content }}"
        "{% for call in message.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}"
        "{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )
    row = {
        "conversations": [
            {"from": "human", "value": "Weather?"},
            {"from": "function_call", "value": '{"name": "look", "arguments": {"city": "北京"}}'},
            {"from": "observation", "value": "rain"},
            {"from": "gpt", "value": "It rains."},
        ],
        "tools": '[{"name": "look", "parameters": {}}]',
    }
    model = make_model(template)
    example = prepare(make_recipe(model, [row])).train[0]
    assert trained_texts(example, load_tokenizer(model)) == [
        '{"name": "look", "arguments": {"city": "北京"}}<|im_end|>',
        "It rains.<|im_end|>",
    ]
    assert '"name": "look", "parameters": {}' in pieces(example, load_tokenizer(model))[0][0]


CONTENTS = ("Yes!", " A test. ", "你好🦫", "\n\nA\n", "<|im_end|>", "assistant\n", "[/INST] </s>", "</think>", "x" * 40)


@pytest.mark.parametrize("template", [chat_templates.CHATML, chat_templates.LLAMA2, chat_templates.TRIMMING])
def test_many_dialogues_against_a_plain_slow_reference(
    make_model: MakeModel, make_recipe: MakeRecipe, backend: Tokenizer, template: str
) -> None:
    model = make_model(template)
    dice = random.Random(1)
    rows = [
        dialogue(*dice.choices(CONTENTS, k=2 * dice.randint(1, 4)), system=dice.choice([None, "Be brief.", " S "]))
        for _ in range(60)
    ]
    examples = prepare(make_recipe(model, rows)).train
    renderer = load_tokenizer(model).template
    assert renderer is not None
    for row, example in zip(rows, examples, strict=True):
        messages = row["messages"]
        text = renderer.render(messages)
        wanted = set()
        for number, message in enumerate(messages):
            if message["role"] == "assistant":
                start = len(renderer.render(messages[:number], add_generation_prompt=True))
                wanted |= set(range(start, len(renderer.render(messages[: number + 1]).rstrip())))
        encoding = ByteOffsets(backend).encode(text)
        assert example.input_ids == [identifier for identifier, _ in encoding]
        assert example.labels == [
            identifier if wanted & set(range(start, end)) else -100 for identifier, (start, end) in encoding
        ]


class ByteOffsets:
    """Where each token stands in the text, counted in bytes and without the library's own offsets."""

    def __init__(self, backend: Tokenizer) -> None:
        self._backend = backend

    def encode(self, text: str) -> list[tuple[int, tuple[int, int]]]:
        """Ids with the characters that they hold at least one byte of."""
        owner = [number for number, character in enumerate(text) for _ in character.encode()]
        placed, position = [], 0
        for identifier in self._backend.encode(text, add_special_tokens=False).ids:
            token = self._backend.id_to_token(identifier)
            size = len(token.encode()) if token in SPECIAL else len(token)
            placed.append((identifier, (owner[position], owner[position + size - 1] + 1)))
            position += size
        assert position == len(owner)
        return placed


@pytest.mark.parametrize("name", ["cohere", "gemma3", "llama3", "phi3", "qwen2_5_vl", "qwen3", "qwen3_vl"])
def test_answers_are_those_that_templates_of_trl_mark(name: str) -> None:
    """TRL ships copies of model templates with `{% generation %}` marks; ours are found without them."""
    from transformers.utils.chat_template_utils import render_jinja_template

    package = importlib.util.find_spec("trl")
    assert package is not None
    file = Path(str(package.origin)).parent / "chat_templates" / f"{name}_training.jinja"
    if not file.is_file():
        pytest.skip(f"this TRL has no {file.name}")
    text = file.read_text(encoding="utf-8")
    tokens = {"bos_token": "<bos>", "eos_token": "<eos>"}
    special = frozenset(re.findall(r"<\|\w+\|>|<end_of_turn>", text)) | set(tokens.values())
    for row in (dialogue("What?", "A test."), dialogue("What?", "A test.", "Sure?", "Yes!", system="Be brief.")):
        messages = tuple(Message(message["role"], message["content"]) for message in row["messages"])
        found = AnswerFinder(ChatTemplate(text, tokens), special).render(Row(messages, SourceReference("", 1)))
        [rendered], [marked] = render_jinja_template(
            [row["messages"]], chat_template=text, return_assistant_tokens_mask=True, **tokens
        )
        assert found.text == rendered
        # Some of these mark the line break after the turn, and Phi-3 the token that ends the whole dialogue.
        answers = [rendered[start:end].rstrip() for start, end in marked]
        assert [rendered[start:end] for start, end in found.answers] == [part for part in answers if part != "<eos>"]
