"""How near a generated text is to the expected one: BLEU-4, ROUGE-1, -2 and -L, exact match. Torch-free.

All scores go from 0 to 100. BLEU counts characters, as LLaMA-Factory does it, so that it needs no words; ROUGE counts
words, numbers and punctuation marks, and of Chinese and Japanese, which are written without spaces, single characters.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Sequence

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


def text_scores(predicted: str, expected: str) -> dict[str, float]:
    """Every score of one text, by the names of ANSWER_SCORES."""
    ours, theirs = (_TOKEN.findall(text) for text in (predicted, expected))
    return {
        "bleu-4": 100 * bleu(predicted, expected),
        "rouge-1": 100 * rouge_n(ours, theirs, 1),
        "rouge-2": 100 * rouge_n(ours, theirs, 2),
        "rouge-l": 100 * _f1(_common_subsequence(ours, theirs), len(ours), len(theirs)),
        "exact_match": 100.0 * (predicted.strip() == expected.strip()),
    }


def bleu(predicted: Sequence[Hashable], expected: Sequence[Hashable]) -> float:
    """BLEU with n-grams of up to four items, from 0 to 1.

    Where no n-gram of a length is common, half a one is taken to be, for the next such length a quarter: a text of
    three characters has a score too.
    Source: Papineni et al. 2002; smoothing 3 (NIST) of Chen and Cherry 2014.
    """
    if not set(predicted) & set(expected):
        return 0.0
    logarithms, missing = 0.0, 0
    for size in range(1, 5):
        ours = _ngrams(predicted, size)
        common = float((ours & _ngrams(expected, size)).total())
        if not common:
            missing += 1
            common = 0.5**missing
        logarithms += math.log(common / max(1, ours.total()))
    brevity = min(0.0, 1 - len(expected) / len(predicted))
    return math.exp(brevity + logarithms / 4)


def rouge_n(predicted: Sequence[Hashable], expected: Sequence[Hashable], size: int) -> float:
    """F1 of the common n-grams, each counted as often as both have it. Source: Lin 2004."""
    ours, theirs = _ngrams(predicted, size), _ngrams(expected, size)
    return _f1((ours & theirs).total(), ours.total(), theirs.total())


def _ngrams(items: Sequence[Hashable], size: int) -> Counter[tuple[Hashable, ...]]:
    return Counter(tuple(items[start : start + size]) for start in range(len(items) - size + 1))


def _f1(common: int, ours: int, theirs: int) -> float:
    return 2 * common / (ours + theirs) if common else 0.0


def _common_subsequence(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """Length of the longest common subsequence, a bit for each item of `one`. Source: Hyyrö 2004."""
    places: dict[Hashable, int] = {}
    for place, item in enumerate(one):
        places[item] = places.get(item, 0) | 1 << place
    row = every = (1 << len(one)) - 1
    for item in other:
        matching = row & places.get(item, 0)
        row = (row + matching | row - matching) & every
    return len(one) - row.bit_count()
