"""Special tokens in a row's own words, read as the plain text that they are (`split_special_tokens`). Not for counting
such rows (`typed_tokens`).

In the words the first character of a special token is replaced by a private one before the template is asked, so that
what the template itself writes can be told apart in the rendered text. Then both change places: what was typed gets its
character back, and what the template wrote goes by the private name, in a copy of the tokenizer that knows these names
and reads special tokens as plain text. The text keeps its length, so that positions stay what they are.

transformers' own switch of this name reads the special tokens of the template as plain text too, after which nothing
ends a turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from tokenizers import AddedToken, Encoding, Tokenizer

from trainer.data.answer_search import Rendering
from trainer.data.encoded_row import packed
from trainer.data.messages import BadRowError, Message, Row
from trainer.data.tokenization import Tokenization, tokenization
from trainer.data.tokenizer import TextTokenizer

_FIRST_PRIVATE = 0x100000
_PRIVATE = re.compile("[\U00100000-\U0010ffff]")


class SplitTokens:
    """Reads the special tokens of one tokenizer as plain text where rows hold them."""

    def __init__(self, tokenizer: TextTokenizer, kept: Collection[str] = ()) -> None:
        """`kept` are special tokens that words may hold and mean, such as the marks of thoughts; those that the recipe
        adds for them are kept too.
        """
        self._tokenizer = tokenizer
        added = tokenizer.backend.get_added_tokens_decoder().values()
        self._special = {each.content: each for each in added if each.content and each.content in tokenizer.all_special}
        names = [chr(_FIRST_PRIVATE + number) + text[1:] for number, text in enumerate(self._special)]
        self._name = dict(zip(self._special, names, strict=True))
        self._other = self._name | {name: text for text, name in self._name.items()}
        typed = [text for text in self._special if text not in {*kept, *tokenizer.meant_tokens}]
        self._typed = _any_of(typed)
        # Looking for two characters first is much faster, and most texts have none of them.
        self._beginnings = tuple({text[:2] for text in typed})
        self._both = _any_of(self._other)

    def hidden(self, row: Row) -> Row | None:
        """The row with special tokens in its words under their private names; None: it holds none.

        Raises: BadRowError when it holds private characters as well.
        """
        if not self._may_hold(row):
            return None
        found = _changed_row(row, self._hide)
        if found == row:
            return None
        for text in _texts(row):
            if _PRIVATE.search(text):
                told = "the row holds special tokens, and private characters that cannot be told from them"
                raise BadRowError("private_characters", told, "Remove one of them")
        return found

    def shown(self, rendering: Rendering) -> Rendering:
        """The rendering of a hidden row with its words as they were typed."""
        return replace(rendering, text=self._both.sub(self._show, rendering.text))

    def tokenized(self, rendering: Rendering) -> Tokenization:
        """The tokens of the rendering of a hidden row.

        Raises: BadRowError when the tokenizer finds a special token in plain text all the same.
        """
        text = self._both.sub(self._swap, rendering.text)
        encoding = self._plain.encode(text, add_special_tokens=False)
        tokens = tokenization(encoding, rendering.answers, len(text))
        return Tokenization(self._ids(encoding, text), tokens.spans)

    def encode(self, text: str) -> bytes:
        """The packed ids of part of such a rendering.

        Raises: BadRowError.
        """
        text = self._both.sub(self._swap, text)
        return self._ids(self._plain.encode(text, add_special_tokens=False), text)

    def _ids(self, encoding: Encoding, text: str) -> bytes:
        ids, special = [], self._back.values()
        # What the tokenizer has no piece for is unknown; that ends nothing.
        unknown = self._tokenizer.special_tokens.get("unk_token")
        for token, number in zip(encoding.tokens, encoding.ids, strict=True):
            if number not in self._back and number in special and token != unknown and token in text:
                told = f"the tokenizer has no way to read {token} in the words of the row as plain text"
                raise BadRowError("special_token_stays", told, "Remove it from the row")
            ids.append(self._back.get(number, number))
        return packed(ids)

    def _may_hold(self, row: Row) -> bool:
        """Whether a closer look is worth it: most rows have none, and are plain dialogues."""
        turns = (*row.messages, *row.chosen, *row.rejected)
        if row.tools or not all(turn.is_plain() for turn in turns):
            return True
        texts = [row.text or "", *(turn.content or "" for turn in turns)]
        return any(beginning in text for text in texts for beginning in self._beginnings)

    @cached_property
    def _plain(self) -> Tokenizer:
        """The tokenizer that reads special tokens as text, and their private names as ordinary tokens of their own."""
        copy = Tokenizer.from_str(self._tokenizer.backend.to_str())
        copy.encode_special_tokens = True
        # Some are not marked as special, such as an end of answers that only the template tells of.
        unmarked = [text for text, token in self._special.items() if not token.special]
        copy.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in unmarked])
        copy.add_tokens([_like(token, self._name[text]) for text, token in self._special.items()])
        return copy

    @cached_property
    def _back(self) -> Mapping[int, int]:
        """The ids of the private names, and those of what they stand for."""
        found = self._plain.token_to_id
        return {int(found(name) or 0): int(found(text) or 0) for text, name in self._name.items()}

    def _hide(self, text: str) -> str:
        if not any(map(text.__contains__, self._beginnings)):
            return text
        return self._typed.sub(lambda match: self._name[match.group()], text)

    def _show(self, match: re.Match[str]) -> str:
        found = match.group()
        return found if found in self._special else self._other[found]

    def _swap(self, match: re.Match[str]) -> str:
        return self._other[match.group()]


def _any_of(texts: Collection[str]) -> re.Pattern[str]:
    """The longest of these texts wherever one begins, as tokenizers look for added tokens."""
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or "(?!)")


def _like(token: AddedToken, name: str) -> AddedToken:
    sides = {"lstrip": token.lstrip, "rstrip": token.rstrip, "single_word": token.single_word}
    return AddedToken(name, special=False, normalized=False, **sides)


def _changed_row(row: Row, change: Callable[[str], str]) -> Row:
    def messages(turns: Sequence[Message]) -> tuple[Message, ...]:
        return tuple(_changed_message(message, change) for message in turns)

    return replace(
        row,
        messages=messages(row.messages),
        chosen=messages(row.chosen),
        rejected=messages(row.rejected),
        tools=tuple(_changed(tool, change) for tool in row.tools),
        text=None if row.text is None else change(row.text),
    )


def _changed_message(message: Message, change: Callable[[str], str]) -> Message:
    return replace(
        message,
        content=_changed(message.content, change),
        reasoning_content=_changed(message.reasoning_content, change),
        tool_calls=tuple(_changed(call, change) for call in message.tool_calls),
        name=_changed(message.name, change),
        tool_call_id=_changed(message.tool_call_id, change),
    )


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """The same with all texts in it changed, keys of objects too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_changed(key, change): _changed(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_changed(inner, change) for inner in value)
    return value


def _texts(row: Row) -> list[str]:
    """All texts of a row."""
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    _changed_row(row, note)
    return found
