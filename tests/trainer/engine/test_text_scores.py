"""BLEU, ROUGE and exact match against values that were worked out by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from trainer.config.tables.names import ANSWER_SCORES
from trainer.engine.text_scores import bleu, rouge_n, text_scores


def test_an_english_answer() -> None:
    # Tokens: It is 42 . against It is 43 . - three of four words, and one of three pairs of words.
    scores = text_scores("It is 42.", "It is 43.")
    assert tuple(scores) == ANSWER_SCORES
    assert scores["rouge-1"] == pytest.approx(75)
    assert scores["rouge-2"] == pytest.approx(100 / 3)
    assert scores["rouge-l"] == pytest.approx(75)
    # Characters: 8 of 9, 6 of 8, 5 of 7 and 4 of 6 n-grams are common.
    assert scores["bleu-4"] == pytest.approx(100 * (8 / 9 * 6 / 8 * 5 / 7 * 4 / 6) ** 0.25)
    assert scores["exact_match"] == 0


def test_a_chinese_answer_is_counted_by_characters() -> None:
    # 北京大学在北京。 against 清华大学在北京。: 6 of 8 characters, 5 of 7 pairs, as many of three and 3 of 5 of four.
    scores = text_scores("北京大学在北京。", "清华大学在北京。")
    assert scores["rouge-1"] == scores["rouge-l"] == pytest.approx(75)
    assert scores["rouge-2"] == pytest.approx(100 * 5 / 7)
    assert scores["bleu-4"] == pytest.approx(100 * (6 / 8 * 5 / 7 * 4 / 6 * 3 / 5) ** 0.25)


@pytest.mark.parametrize("text", ["The cat sat on the mat.", "今天天气很好。", "5 加 6 是 11。"])
def test_the_expected_text_has_every_score(text: str) -> None:
    assert set(text_scores(f" {text}\n".strip(), text).values()) == {100.0}


@pytest.mark.parametrize(("predicted", "expected"), [("", "yes"), ("yes", ""), ("dog", "cut"), ("猫", "狗")])
def test_nothing_in_common_has_none(predicted: str, expected: str) -> None:
    assert set(text_scores(predicted, expected).values()) == {0.0}


def test_an_n_gram_counts_as_often_as_both_have_it() -> None:
    # Four of one word against one of it: 1 common, 4 and 2 in all.
    assert rouge_n("aaaa", "ab", 1) == pytest.approx(2 / 6)
    # 1 of 4, then no common pair, triple and quadruple: a half of 3, a quarter of 2, an eighth of 1.
    assert bleu("aaaa", "ab") == pytest.approx((1 / 4 * (1 / 2) / 3 * (1 / 4) / 2 * (1 / 8)) ** 0.25)


def test_too_short_a_text_pays_for_its_brevity() -> None:
    # All n-grams are common, and 4 characters stand against 8: exp(1 - 8 / 4).
    assert bleu("abcd", "abcdefgh") == pytest.approx(2.718281828459045**-1)


def test_the_longest_common_subsequence_is_that_of_the_table() -> None:
    source = random.Random(0)
    for _ in range(200):
        one, other = (" ".join(source.choice("abcd") for _ in range(source.randint(1, 12))) for _ in range(2))
        common = _by_table(one.split(), other.split())
        total = len(one.split()) + len(other.split())
        assert text_scores(one, other)["rouge-l"] == pytest.approx(100 * 2 * common / total)


def _by_table(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for left in one:
        above, row = row, [0]
        for column, right in enumerate(other):
            row.append(above[column] + 1 if left == right else max(above[column + 1], row[-1]))
    return row[-1]
