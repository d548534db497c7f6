"""What was asked last, read out of rendered prompts: with the templates that come with trimtab."""

from __future__ import annotations

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from trainer.paths import shipped_folder
from trainer.stages.last_question import QuestionMarks


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(shipped_folder("data") / "demo_model")


@pytest.mark.parametrize(
    "name", ["alpaca", "chatml", "deepseek3", "gemma", "glm4", "llama2", "llama3", "mistral", "qwen"]
)
@pytest.mark.parametrize("asked", ["Write a poem.", "天空是什么\n颜色的？"])
def test_the_last_question_is_found_in_a_dialogue(tokenizer: PreTrainedTokenizerBase, name: str, asked: str) -> None:
    template = (shipped_folder("data") / "templates" / f"{name}.jinja").read_text(encoding="utf-8")
    tokenizer.chat_template = template
    marks = QuestionMarks.of(tokenizer)
    for before in ([], [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]):
        dialogue = [*before, {"role": "user", "content": asked}]
        prompt = tokenizer.apply_chat_template(dialogue, tokenize=False, add_generation_prompt=True)
        assert marks.last_question(prompt) == asked


def test_a_prompt_of_another_shape_is_shown_as_it_is(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = "{{ raise_exception('no dialogues here') }}"
    assert QuestionMarks.of(tokenizer).last_question(" Write a poem. ") == "Write a poem."
    assert QuestionMarks("<user>", "<bot>").last_question("Once upon a time") == "Once upon a time"
