"""Shipped templates against the published formats: exact texts, tools, names, and errors in names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trainer.data.conftest import train_backend
from tests.trainer.data.template_texts import ASKED, ASKED_WITHOUT_THOUGHTS, BRIEF, WHOLE
from trainer.data.templates import TemplateRefusedError, named_template, template_names, template_spec
from trainer.errors import UserError

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
QUESTION = [{"role": "user", "content": "Sure?"}]
TOOL = {"type": "function", "function": {"name": "look", "description": "Looks it up", "parameters": {}}}


@pytest.mark.parametrize("name", WHOLE)
def test_text_of_a_dialogue(name: str) -> None:
    assert named_template(name, TOKENS).render(BRIEF) == WHOLE[name]


@pytest.mark.parametrize("name", ASKED)
def test_text_that_asks_for_an_answer(name: str) -> None:
    assert named_template(name, TOKENS).render(QUESTION, add_generation_prompt=True) == ASKED[name]


@pytest.mark.parametrize("name", ASKED_WITHOUT_THOUGHTS)
def test_text_that_asks_for_an_answer_without_a_thought(name: str) -> None:
    template = named_template(name, TOKENS)
    text = template.render(QUESTION, add_generation_prompt=True, enable_thinking=False)
    assert text == ASKED_WITHOUT_THOUGHTS[name]


@pytest.mark.parametrize("name", template_names())
def test_transformers_renders_the_same(name: str, theirs: Any) -> None:
    template = named_template(name, TOKENS)
    for messages, prompt in ((BRIEF, False), (BRIEF[:-1], True), (QUESTION, True)):
        for tools in ([], [TOOL]):
            expected = theirs.apply_chat_template(
                messages,
                tools=tools or None,
                chat_template=template.text,
                add_generation_prompt=prompt,
                tokenize=False,
            )
            assert template.render(messages, tools=tools, add_generation_prompt=prompt) == expected


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer of transformers with <s> and </s>, to render with."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=train_backend(), bos_token="<s>", eos_token="</s>")


@pytest.mark.parametrize("name", template_names())
def test_tokenizers_without_named_tokens_are_no_obstacle(name: str) -> None:
    text = named_template(name).render(BRIEF)
    assert "<s>" not in text
    assert "</s>" not in text
    assert "Yes!" in text


@pytest.mark.parametrize("name", template_names())
def test_text_carries_no_comment_of_its_file(name: str) -> None:
    assert "{#" not in named_template(name).text
    assert template_spec(name).source


def test_aliases_mean_their_family() -> None:
    assert named_template("gemma3", TOKENS).text == named_template("gemma", TOKENS).text
    assert named_template("gemma3").name == "gemma"
    assert named_template("qwen3").stop_words == ("<|im_end|>",)
    assert named_template("vicuna").stop_words == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("qwen33", "template = 'qwen33': there is no chat template of this name"),
        ("qwen33", "Did you mean qwen3?"),
        ("xyz", "trimtab data templates lists them"),
        ("paligemma", "LLaMA-Factory's template paligemma has none here: it is for images"),
    ],
)
def test_unknown_names(name: str, text: str) -> None:
    with pytest.raises(UserError) as refused:
        named_template(name)
    assert text in str(refused.value)


def test_unknown_tool_formats() -> None:
    with pytest.raises(UserError, match=r"there is no tool format of this name.*Did you mean qwen\?") as refused:
        named_template("qwen", tool_format="qwenn")
    assert refused.value.field == "tool_format"
    with pytest.raises(UserError, match="Choose one of default, gemma4, glm4"):
        named_template("qwen", tool_format="?")


@pytest.mark.parametrize("name", ["gemma", "llama2", "mistral", "ministral"])
def test_a_system_prompt_is_never_lost(name: str) -> None:
    messages = [BRIEF[0], BRIEF[2], BRIEF[3]]
    with pytest.raises(TemplateRefusedError, match="must be a question"):
        named_template(name, TOKENS).render(messages)
    with pytest.raises(TemplateRefusedError, match="only stand at the beginning"):
        named_template(name, TOKENS).render([*BRIEF, BRIEF[0]])
