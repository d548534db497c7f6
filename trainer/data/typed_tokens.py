"""Special tokens that somebody typed into a row: the tokenizer reads them as what they name. Not for those that the
chat template writes, and not for those that the recipe adds for the rows to hold.
"""

from __future__ import annotations

import re

from trainer.data.messages import Row
from trainer.data.tokenizer import TextTokenizer


class TypedTokens:
    """Finds rows whose own words hold special tokens; such a row can end a turn, or begin one, where it should not."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        special = tokenizer.all_special - tokenizer.meant_tokens
        texts = [text for text in special if tokenizer.backend.token_to_id(text) is not None]
        self._tokens = re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or "(?!)")
        # Looking for two characters first is much faster, and most rows have none of them.
        self._beginnings = tuple({text[:2] for text in texts if text})

    def are_in(self, row: Row) -> bool:
        """Whether any message of the row holds one. Plain text (stage pt) may hold them on purpose."""
        for message in (*row.messages, *row.chosen, *row.rejected):
            content = message.content
            if content and any(map(content.__contains__, self._beginnings)) and self._tokens.search(content):
                return True
        return False
