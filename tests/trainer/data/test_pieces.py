"""Tokenizing by remembered pieces gives what the tokenizer gives, for any text; or is not done at all."""

from __future__ import annotations

import random

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from tests.trainer.data.conftest import CORPUS
from trainer.data.encoded_row import unpacked
from trainer.data.pieces import piece_tokenizer

GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = GPT4.replace("{1,3}", "")
QWEN35 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
MISTRAL = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEMO = (
    r"'(?:s|t|re|ve|m|ll|d)|\p{Han}|[^\r\n\p{L}\p{N}]?[\p{L}&&[^\p{Han}]]+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ("<|im_start|>", "<|im_end|>", "<s>")
# Everything that the expressions treat differently, and what joins in front of or behind it.
LETTERS = [
    *" " * 6,
    *"\n" * 4,
    *"\t\r/.,;:!?'\"-",
    *"abcdeXYZtslabcde",
    *"0123",
    *"\u0301\u0300éß\u017f你好。，",
    *"\u3000\xa0\u2003\u2028\u200b\x85\x1c\x1f\x0b\x0c😀",
    *("'s", "'LL", "the ", "  \n", "\n\n", "...", "//", ". \n", *SPECIAL),
]
HARD = "\n\n\n    \t  .\n\n  ,\n  don't WE'LL 1234 567 //\n/ ...!!! ...\n\n   foo   bar  1 12 123 é à \u3000 \xa0 "


def byte_level(*before: pre_tokenizers.PreTokenizer, use_regex: bool) -> pre_tokenizers.PreTokenizer:
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    return pre_tokenizers.Sequence([*before, last]) if before else last


def split_by(expression: str) -> pre_tokenizers.PreTokenizer:
    return byte_level(pre_tokenizers.Split(Regex(expression), behavior="isolated"), use_regex=False)


def make_backend(pre_tokenizer: pre_tokenizers.PreTokenizer, normalizer: object = None) -> Tokenizer:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator([*CORPUS, HARD] * 3, trainer)
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return backend


KNOWN = {
    "gpt2": byte_level(use_regex=True),
    "digits": byte_level(pre_tokenizers.Digits(individual_digits=True), use_regex=True),
    "numbers": byte_level(pre_tokenizers.Digits(individual_digits=False), use_regex=True),
    "gpt4": split_by(GPT4),
    "qwen2": split_by(QWEN2),
    "qwen3.5": split_by(QWEN35),
    "mistral": split_by(MISTRAL),
    "demo": split_by(DEMO),
    "gpt4o": split_by(GPT4O),
}


@pytest.mark.parametrize("composed", [False, True], ids=["plain", "nfc"])
@pytest.mark.parametrize("name", KNOWN)
def test_tokens_and_answers_are_those_of_the_tokenizer(name: str, composed: bool) -> None:
    backend = make_backend(KNOWN[name], normalizers.NFC() if composed else None)
    pieces = piece_tokenizer(backend)
    assert pieces is not None
    generator = random.Random(name)
    done = 0
    for _ in range(1500):
        text = "".join(generator.choices(LETTERS, k=generator.randint(0, 40)))
        marks = sorted(generator.randint(0, len(text)) for _ in range(4))
        answers = [(marks[0], marks[1]), (marks[2], marks[3])]
        found = pieces.tokenize(text, answers)
        if found is None:
            continue
        done += 1
        encoding = backend.encode(text, add_special_tokens=False)
        assert unpacked(found.ids) == encoding.ids, repr(text)
        # By hand: a token belongs to an answer if it holds a character of it.
        for (start, end), (first, after) in zip(answers, found.spans, strict=True):
            held = [n for n, (left, right) in enumerate(encoding.offsets) if right > start and left < end]
            if start < end and held:
                assert [*range(first, after)] == held, (text, start, end)
    assert done > 1000


def test_texts_that_cannot_be_cut_are_left_to_the_tokenizer() -> None:
    slashes = piece_tokenizer(make_backend(KNOWN["gpt4o"]))
    composing = piece_tokenizer(make_backend(KNOWN["qwen2"], normalizers.NFC()))
    assert slashes is not None
    assert composing is not None
    assert slashes.tokenize("look.\n/here", ()) is None
    assert composing.tokenize("cafe\u0301", ()) is None
    assert composing.tokenize("caf\u00e9", ()) is not None


def other(change: str) -> Tokenizer:
    backend = make_backend(KNOWN["gpt2"])
    if change == "unknown expression":
        backend = make_backend(split_by(r"\w+|\W+"))
    elif change == "prefix space":
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    elif change == "white space words":
        backend.pre_tokenizer = pre_tokenizers.Whitespace()
    elif change == "lower case":
        backend.normalizer = normalizers.Lowercase()
    elif change == "token that takes spaces":
        backend.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    elif change == "dropout":
        backend.model.dropout = 0.5
    elif change == "no byte pairs":
        backend = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    return backend


@pytest.mark.parametrize(
    "change",
    [
        "unknown expression",
        "prefix space",
        "white space words",
        "lower case",
        "token that takes spaces",
        "dropout",
        "no byte pairs",
    ],
)
def test_tokenizers_of_other_kinds_are_refused(change: str) -> None:
    assert piece_tokenizer(make_backend(KNOWN["gpt2"])) is not None
    assert piece_tokenizer(other(change)) is None


def test_text_whose_words_never_come_again_is_left_to_the_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.data.pieces._TRIAL", 2000)
    new, repeated = piece_tokenizer(make_backend(KNOWN["qwen2"])), piece_tokenizer(make_backend(KNOWN["qwen2"]))
    assert new is not None
    assert repeated is not None
    generator = random.Random(5)
    texts = ["".join(generator.choices("你好北京天气助手回答", k=40)) for _ in range(100)]
    assert [new.tokenize(text, ()) is None for text in texts] == [False] * 51 + [True] * 49
    assert all(repeated.tokenize("the same words again", ()) is not None for _ in range(1000))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.data.pieces._MOST_REMEMBERED", 50)
    backend = make_backend(KNOWN["gpt4"])
    pieces = piece_tokenizer(backend)
    assert pieces is not None
    for number in range(300):
        text = f"<s>word{number} and{number * 7} 12<|im_end|>"
        found = pieces.tokenize(text, [(5, len(text))])
        assert found is not None
        assert unpacked(found.ids) == backend.encode(text, add_special_tokens=False).ids
    assert pieces.remembered <= 50
