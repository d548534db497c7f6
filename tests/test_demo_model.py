"""The bundled demo model and data: they are what the scripts make, they are small, and the model answers rightly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from scripts.check_demo_model import answers, load
from scripts.demo_dialogues import HELD_OUT_IDENTITY, WEATHER_TOOL, Conversation, conversations, held_out_questions
from scripts.demo_text import TUNED, UNTUNED
from scripts.demo_tokenizer import IGNORED, encode
from scripts.make_demo_data import write_all
from trainer.paths import shipped_folder

DATA = shipped_folder("data")
MODEL = DATA / "demo_model"
TOOL_LINE = json.dumps(WEATHER_TOOL)
TOOL_PART = (
    f"# Tools\n\nYou may call one of these functions:\n<tools>\n{TOOL_LINE}\n</tools>\n\n"
    "To call it, answer with its name and arguments:\n"
    '<tool_call>\n{"name": ..., "arguments": ...}\n</tool_call><|im_end|>\n'
)


@dataclass(frozen=True)
class Bundled:
    """The bundled model with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


@pytest.fixture(scope="module")
def bundled() -> Iterator[Bundled]:
    """The bundled model on one thread: with more it is slower wherever the machine is shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Bundled(*load(MODEL))
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(MODEL, local_files_only=True)


def rendered(tokenizer: PreTrainedTokenizerBase, messages: Sequence[object], **options: Any) -> str:
    return str(tokenizer.apply_chat_template(messages, tokenize=False, **options))


def call(name: str, arguments: object) -> dict[str, object]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def test_held_out_questions_are_answered_exactly(bundled: Bundled) -> None:
    questions = held_out_questions(40, seed=5)
    given = answers(bundled.model, bundled.tokenizer, [question.messages for question in questions], batch_size=40)
    wrong = [
        f"{question.question} -> {answer}"
        for question, answer in zip(questions, given, strict=True)
        if answer != question.answer
    ]
    assert len(wrong) <= 0.15 * len(questions), wrong


def test_the_untuned_model_calls_itself_by_its_own_name_in_both_languages(bundled: Bundled) -> None:
    prompts = [[{"role": "user", "content": asked}] for asked in ("Who are you?", "你是谁？")]
    english, chinese = answers(bundled.model, bundled.tokenizer, prompts)
    assert english == f"I am {UNTUNED.name}, a small assistant made by {UNTUNED.maker}."
    assert chinese == f"我是 {UNTUNED.name}，由 {UNTUNED.maker_zh}做的小助手。"


def test_answers_end_by_themselves(bundled: Bundled) -> None:
    assert bundled.model.generation_config.eos_token_id == bundled.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert bundled.tokenizer.eos_token == "<|im_end|>"


def test_the_model_is_small_and_the_only_one() -> None:
    weights = [file for pattern in ("*.safetensors", "*.bin", "*.gguf", "*.pt") for file in DATA.rglob(pattern)]
    assert weights == [MODEL / "model.safetensors"]
    assert sum(file.stat().st_size for file in DATA.rglob("*") if file.is_file()) < 6 * 2**20


def test_a_system_prompt_and_turns_are_rendered_as_chatml(tokenizer: PreTrainedTokenizerBase) -> None:
    messages = [
        {"role": "system", "content": "Answer briefly."},
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "你好！"},
        {"role": "user", "content": "Who am I?"},
    ]
    turns = (
        "<|im_start|>system\nAnswer briefly.<|im_end|>\n"
        "<|im_start|>user\nHello!<|im_end|>\n"
        "<|im_start|>assistant\n你好！<|im_end|>\n"
        "<|im_start|>user\nWho am I?<|im_end|>\n"
    )
    assert rendered(tokenizer, messages) == turns
    assert rendered(tokenizer, messages, add_generation_prompt=True) == turns + "<|im_start|>assistant\n"


def test_without_a_system_prompt_none_is_invented(tokenizer: PreTrainedTokenizerBase) -> None:
    assert rendered(tokenizer, [{"role": "user", "content": "Hi"}]) == "<|im_start|>user\nHi<|im_end|>\n"


def test_tools_calls_and_observations_are_rendered(tokenizer: PreTrainedTokenizerBase) -> None:
    messages = [
        {"role": "system", "content": "Answer briefly."},
        {"role": "user", "content": "巴黎和 Rome?"},
        {"role": "assistant", "content": None, "tool_calls": [call("get_weather", {"city": "巴黎"})]},
        {"role": "tool", "content": '{"weather": "晴天"}'},
        {"role": "tool", "content": '{"weather": "rainy"}'},
        {"role": "assistant", "content": "Done."},
    ]
    assert rendered(tokenizer, messages, tools=[WEATHER_TOOL]) == (
        f"<|im_start|>system\nAnswer briefly.\n\n{TOOL_PART}"
        "<|im_start|>user\n巴黎和 Rome?<|im_end|>\n"
        '<|im_start|>assistant\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "巴黎"}}\n</tool_call>'
        "<|im_end|>\n"
        '<|im_start|>user\n<tool_response>\n{"weather": "晴天"}\n</tool_response>'
        '\n<tool_response>\n{"weather": "rainy"}\n</tool_response><|im_end|>\n'
        "<|im_start|>assistant\nDone.<|im_end|>\n"
    )


def test_tools_without_a_system_prompt_get_a_system_part_of_their_own(tokenizer: PreTrainedTokenizerBase) -> None:
    text = rendered(tokenizer, [{"role": "user", "content": "Hi"}], tools=[WEATHER_TOOL])
    assert text == f"<|im_start|>system\n{TOOL_PART}<|im_start|>user\nHi<|im_end|>\n"


def test_words_may_stand_before_calls_and_arguments_may_be_text(tokenizer: PreTrainedTokenizerBase) -> None:
    calls = [call("first", '{"a": 1}'), call("second", {})]
    messages = [{"role": "user", "content": "Go"}, {"role": "assistant", "content": "I look.", "tool_calls": calls}]
    assert rendered(tokenizer, messages).endswith(
        '<|im_start|>assistant\nI look.\n<tool_call>\n{"name": "first", "arguments": {"a": 1}}\n</tool_call>\n'
        '<tool_call>\n{"name": "second", "arguments": {}}\n</tool_call><|im_end|>\n'
    )


def test_labels_of_pretraining_are_the_assistant_words_that_the_template_marks(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    source = list(conversations(200, seed=3))
    assert any(conversation.tools for conversation in source)
    for conversation, row in zip(source, encode(tokenizer, source), strict=True):
        marked = tokenizer.apply_chat_template(
            list(conversation.messages),
            tools=list(conversation.tools) or None,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        assert marked["input_ids"] == row.tokens
        assert marked["assistant_masks"] == [int(label != IGNORED) for label in row.labels]


def test_text_comes_back_from_tokens_unchanged(tokenizer: PreTrainedTokenizerBase) -> None:
    text = "Ünïcode, 中文。\n\n\tdef f(x):  return x**2  # 🙂 <|im_end|> 12345"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_bundled_data_are_what_the_script_writes(tmp_path: Path) -> None:
    write_all(tmp_path)
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (DATA / file.name).read_bytes(), (
            f"{file.name}: run python -m scripts.make_demo_data"
        )


def test_identity_rows_teach_one_name_in_both_languages() -> None:
    rows = json.loads((DATA / "identity.json").read_text(encoding="utf-8"))
    makers = (TUNED.maker, TUNED.maker_zh)
    assert all(TUNED.name in row["output"] and any(maker in row["output"] for maker in makers) for row in rows)
    assert not {row["instruction"] for row in rows} & set(HELD_OUT_IDENTITY)
    assert 20 <= sum("我" in row["output"] for row in rows) < len(rows)


def test_held_out_questions_are_never_trained_on() -> None:
    trained = {message["content"] for source in conversations(3_000, seed=0) for message in _user_messages(source)}
    open_questions = [
        asked for asked in held_out_questions(100, seed=5) if asked.task in {"arithmetic", "capital", "legs"}
    ]
    assert open_questions
    assert not trained & {asked.question for asked in open_questions}


def _user_messages(conversation: Conversation) -> list[dict[str, str]]:
    return [message for message in conversation.messages if message["role"] == "user"]
