"""What chat sends for a dialogue is what training rendered for it, token by token, for every shipped template."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from trainer.chat.prompt import encode_prompt
from trainer.config import Recipe
from trainer.data.encode import EncodeOptions, RowEncoder
from trainer.data.encoded_row import EncodedRow, unpacked
from trainer.data.messages import Message, Row, SourceReference
from trainer.data.prepare import recipe_tokenizer
from trainer.data.templates import template_names, template_spec
from trainer.model.tokenizer import load_tokenizer

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "天气 <of> a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "北京"}}}
PLAIN = (
    Message("system", "Be brief.\nBe kind."),
    Message("user", "Who are you? 你是谁？"),
    Message("assistant", "A test. 🦫"),
    Message("user", "Sure?"),
    Message("assistant", "Yes!"),
)
WITH_TOOLS = (
    Message("user", "Rain?"),
    Message("assistant", None, tool_calls=(CALL,)),
    Message("tool", "sunny", name="weather"),
    Message("assistant", "No rain."),
)
THINKERS = [name for name in template_names() if template_spec(name).thought_words]


@dataclass(frozen=True)
class World:
    """A model, and what is written to the checkpoints of a run on it."""

    model: Path
    checkpoint: Path

    def trained(self, messages: Sequence[Message], tools: Sequence[Any] = (), **data: Any) -> EncodedRow:
        """The row as a run with these data settings trains on it; the checkpoint gets the run's tokenizer."""
        recipe = Recipe().with_values(
            {"model.model_name_or_path": str(self.model)} | {f"data.{name}": value for name, value in data.items()}
        )
        load_tokenizer(recipe).save_pretrained(self.checkpoint)
        options = EncodeOptions(
            enable_thinking=recipe.data.enable_thinking, preserve_thinking=recipe.data.preserve_thinking
        )
        row = Row(tuple(messages), SourceReference("rows.jsonl", 1), tuple(tools))
        [encoded] = RowEncoder(recipe_tokenizer(recipe), options).encode([row])
        assert isinstance(encoded, EncodedRow), encoded
        return encoded

    def sent(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> list[int]:
        """What the chat sends to the model of the checkpoint when it asks for the next answer."""
        tokenizer = AutoTokenizer.from_pretrained(self.checkpoint)
        dialogue = [message.for_template() for message in messages]
        ids: list[int] = encode_prompt(tokenizer, dialogue, tools)["input_ids"][0].tolist()
        return ids


@pytest.fixture(scope="module")
def model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a first token, as most families have one, and what ends earlier answers of gpt-oss."""
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("model") / "tiny")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"bos_token": "<|endoftext|>", "additional_special_tokens": ["<|end|>"]})
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def world(model: Path, tmp_path: Path) -> World:
    """A place for the checkpoint."""
    return World(model, tmp_path / "checkpoint")


def assert_prompt_and_answer(encoded: EncodedRow, prompt: list[int]) -> None:
    """The row begins with the prompt, and the last answer is learned from there on."""
    ids, labels = unpacked(encoded.columns["input_ids"]), unpacked(encoded.columns["labels"])
    assert ids[: len(prompt)] == prompt
    assert labels[len(prompt) - 1] == -100
    assert labels[len(prompt)] == ids[len(prompt)]


@pytest.mark.parametrize("name", template_names())
def test_chat_sends_what_was_trained(world: World, name: str) -> None:
    assert_prompt_and_answer(world.trained(PLAIN, template=name), world.sent(PLAIN[:-1]))


@pytest.mark.parametrize("name", template_names())
def test_chat_sends_what_was_trained_with_tools(world: World, name: str) -> None:
    encoded = world.trained(WITH_TOOLS, [TOOL], template=name)
    assert_prompt_and_answer(encoded, world.sent(WITH_TOOLS[:-1], [TOOL]))


@pytest.mark.parametrize("mode", [False, "mixed"])
@pytest.mark.parametrize("name", THINKERS)
def test_the_mode_of_the_run_is_the_mode_of_the_chat(world: World, name: str, mode: Any) -> None:
    thought = Message("assistant", "Yes!", reasoning_content="Hm.")
    encoded = world.trained((*PLAIN[:-1], thought), template=name, enable_thinking=mode, preserve_thinking=True)
    assert_prompt_and_answer(encoded, world.sent(PLAIN[:-1]))


def test_the_template_of_the_model_is_taken_where_none_is_named(world: World) -> None:
    encoded = world.trained(PLAIN)
    assert_prompt_and_answer(encoded, world.sent(PLAIN[:-1]))
    assert (world.checkpoint / "chat_template.jinja").read_text() == (world.model / "chat_template.jinja").read_text()


def test_a_tool_format_of_the_recipe_goes_into_the_checkpoint(world: World) -> None:
    encoded = world.trained(WITH_TOOLS, [TOOL], template="chatml", tool_format="qwen3_5")
    assert_prompt_and_answer(encoded, world.sent(WITH_TOOLS[:-1], [TOOL]))
    assert "<function=" in (world.checkpoint / "chat_template.jinja").read_text()


@pytest.mark.parametrize(
    "name", [None, "chatml", "default", "gemma3", "gpt_oss", "llama2", "mistral", "qwen3", "vicuna"]
)
def test_the_default_system_prompt_of_the_run_is_that_of_the_chat(world: World, name: str | None) -> None:
    """The rows had none of their own, and whoever chats need not know the one they were given."""
    prompt = str(PLAIN[0].content)
    encoded = world.trained(PLAIN, template=name, default_system=prompt)
    assert_prompt_and_answer(encoded, world.sent(PLAIN[1:-1]))
    other = Message("system", "Be long.")
    assert "Be long." in AutoTokenizer.from_pretrained(world.checkpoint).decode(world.sent((other, *PLAIN[1:-1])))
