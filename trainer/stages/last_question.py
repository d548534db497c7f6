"""What was asked last, read out of a rendered prompt, for people who look at samples. Not for training, not exact.

The words around a question are found by rendering a dialogue whose words are known, so that it works for any template.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from jinja2 import TemplateError

_FIRST, _ANSWER, _LAST = "qzjvk", "wxyqz", "kvjzq"


@dataclass(frozen=True)
class QuestionMarks:
    """What a chat template writes before and after the words of a user; empty where it cannot be told."""

    before: str = ""
    after: str = ""

    @classmethod
    def of(cls, tokenizer: Any) -> QuestionMarks:
        """Those of the tokenizer's chat template."""
        roles = (("user", _FIRST), ("assistant", _ANSWER), ("user", _LAST))
        dialogue = [{"role": role, "content": words} for role, words in roles]
        try:
            rendered = tokenizer.apply_chat_template(dialogue, tokenize=False, add_generation_prompt=True)
        except (TemplateError, ValueError):
            return cls()
        head, found, rest = rendered.partition(_FIRST)
        between, found_last, after = rest.partition(_ANSWER)[2].partition(_LAST)
        if not (found and found_last):
            return cls()
        # What stands before every question: the end that the first one's surroundings and the last one's share.
        same = takewhile(lambda pair: pair[0] == pair[1], zip(reversed(head), reversed(between), strict=False))
        return cls("".join(one for one, _ in same)[::-1].strip(), after.strip())

    def last_question(self, prompt: str) -> str:
        """The words of the last question; the whole prompt where the marks are not found in it."""
        words = prompt.strip()
        if not self.before or self.before not in words or not words.endswith(self.after):
            return words
        return words[: len(words) - len(self.after)].rpartition(self.before)[2].strip()
