"""A small world for the data tests: a model folder with a tokenizer of our own, and data files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from tests.trainer.data.chat_templates import CHATML
from trainer.config import Recipe
from trainer.data import EncodedExample, TextTokenizer

SPECIAL = ("<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|assistant|>")
CORPUS = (
    "the answer is yes and the question was what is the name of the assistant system user prompt",
    "Hello! How are you? I am fine, thank you. What can I do for you today? The capital of France is Paris.",
    "你好！我是一个助手。今天天气很好。北京是中国的首都。",
)

MakeModel = Callable[..., Path]
MakeRecipe = Callable[..., Recipe]


def train_backend() -> Tokenizer:
    """A byte-level BPE tokenizer of 420 entries."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    # Real folders have this one; it trims offsets, which must not move our labels.
    backend.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator(CORPUS * 3, trainer)
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return backend


@pytest.fixture(scope="session")
def backend() -> Tokenizer:
    """The tokenizer itself, to compare with."""
    return train_backend()


@pytest.fixture
def make_model(tmp_path: Path, backend: Tokenizer) -> MakeModel:
    """Writes a model folder with a tokenizer, the given chat template and two weights."""

    def make(template: str | None = CHATML, name: str = "model", **config: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        backend.save(str(folder / "tokenizer.json"))
        tokens = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
        content = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 4096, **tokens, **config}
        (folder / "tokenizer_config.json").write_text(json.dumps(content), encoding="utf-8")
        if template is not None:
            (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
        (folder / "config.json").write_text('{"model_type": "llama"}')
        write_safetensors(folder / "model.safetensors")
        return folder

    return make


def write_safetensors(file: Path) -> None:
    """Writes one tensor of two numbers."""
    head = json.dumps({"weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    file.write_bytes(len(head).to_bytes(8, "little") + head + bytes(8))


@pytest.fixture
def make_recipe(tmp_path: Path) -> MakeRecipe:
    """A recipe over a model folder and rows that are written to a .jsonl file; `data` values by keyword."""

    def make(model: Path, rows: Sequence[Any] | str, **data: Any) -> Recipe:
        file = tmp_path / "rows.jsonl"
        content = rows if isinstance(rows, str) else "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        file.write_text(content, encoding="utf-8")
        values: dict[str, object] = {f"data.{name}": value for name, value in data.items()}
        return Recipe().with_values(
            {"model.model_name_or_path": str(model), "data.dataset": [str(file)], "data.dataset_dir": str(tmp_path)}
            | values
        )

    return make


def dialogue(*contents: str, system: str | None = None) -> dict[str, Any]:
    """A messages row of alternating questions and answers."""
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": content} for number, content in enumerate(contents)]
    return {"messages": ([{"role": "system", "content": system}] if system else []) + messages}


def pieces(example: EncodedExample, tokenizer: TextTokenizer) -> list[tuple[str, bool]]:
    """The text of an example, cut where training begins and ends."""
    runs: list[tuple[list[int], bool]] = []
    for identifier, label in zip(example.input_ids, example.labels, strict=True):
        assert label in (identifier, -100)
        if not runs or runs[-1][1] != (label != -100):
            runs.append(([], label != -100))
        runs[-1][0].append(identifier)
    return [(tokenizer.decode(ids), trained) for ids, trained in runs]


def trained_texts(example: EncodedExample, tokenizer: TextTokenizer) -> list[str]:
    """The parts of an example that are learned."""
    return [text for text, trained in pieces(example, tokenizer) if trained]
