"""Which tokens of a row are learned, which columns its stage has, and what the cut leaves. Not for making tokens
(`encode`).

The cut: of a row longer than `cutoff_len` tokens the first `cutoff_len` are kept (sft, pt), or of its answers what the
prompt leaves room for (dpo, rm, kto). A row that then has nothing left to learn, or whose prompt alone fills
`cutoff_len`, is left out; so is a prompt of ppo or grpo that is longer, because its end is where the answer begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from trainer.data.answer_search import Rendering
from trainer.data.dataset import NOT_TRAINED
from trainer.data.encoded_row import PROMPT_STAGES, TOKEN_BYTES, EncodedRow, packed, packed_text
from trainer.data.messages import Message, Row
from trainer.data.tokenization import Spans, Tokenization
from trainer.data.tokenizer import TextTokenizer

_NOT_TRAINED = packed([NOT_TRAINED])


@dataclass(frozen=True)
class LabelOptions:
    """The settings that matter here; see `EncodeOptions`."""

    stage: str
    cutoff_len: int
    on_long_row: str
    train_on_prompt: bool
    mask_history: bool


class StageLabels:
    """Makes the columns of one stage out of tokens."""

    def __init__(self, tokenizer: TextTokenizer, options: LabelOptions, encode: Callable[[str], bytes]) -> None:
        """`encode` gives the packed ids of part of a rendering."""
        self._encode = encode
        self._options = options
        self._begin = packed(tokenizer.text_begin_ids)
        end = tokenizer.eos_token_id
        self._end = b"" if end is None else packed([end])

    def encoded(self, row: Row, renderings: Sequence[Rendering], tokens: Sequence[Tokenization]) -> EncodedRow:
        """The row in the columns of the stage; `tokens` are those of its `renderings`."""
        stage = self._options.stage
        if stage == "pt":
            return self._text(row, tokens[0])
        if stage in PROMPT_STAGES:
            return self._prompt(row, tokens[0])
        if stage == "kto":
            return self._judged(row, renderings[0], tokens[0])
        if stage in ("dpo", "rm"):
            return self._ranked(row, renderings, tokens)
        trained = self._trained_spans(row.messages, tokens[0])
        return self._sequence(row, tokens[0].ids, trained, endless=renderings[0].endless)

    def _text(self, row: Row, tokens: Tokenization) -> EncodedRow:
        ids = self._begin + tokens.ids + self._end
        return self._sequence(row, ids, [(0, len(ids) // TOKEN_BYTES)] if tokens.ids else [], endless=not self._end)

    def _sequence(self, row: Row, ids: bytes, trained: Spans, *, endless: bool) -> EncodedRow:
        """A row of one sequence: its ids and labels."""
        length, limit = len(ids) // TOKEN_BYTES, self._options.cutoff_len
        count = _count(trained)
        encoded = EncodedRow(row.source, length, length, count, _hash(ids), endless=endless)
        if length > limit and self._options.on_long_row != "keep":
            if self._options.on_long_row != "truncate":
                encoded.left_out = "long"
                return encoded
            kept = [(first, min(end, limit)) for first, end in trained if first < limit]
            encoded.length, encoded.trained_count = limit, _count(kept)
            encoded.labels_lost = count - encoded.trained_count
            encoded.end_lost = bool(kept) and kept[-1][1] < trained[len(kept) - 1][1]
            ids, trained = ids[: limit * TOKEN_BYTES], kept
        if not encoded.trained_count:
            encoded.left_out = "unlabelled"
            return encoded
        encoded.columns = {"input_ids": ids, "labels": _labels(ids, trained)}
        return encoded

    def _trained_spans(self, messages: Sequence[Message], tokens: Tokenization) -> Spans:
        answers = [message for message in messages if message.role == "assistant"]
        everything = self._options.train_on_prompt
        if everything and all(message.train is not False for message in answers):
            return [(0, len(tokens))] if tokens.ids else []
        spans = []
        for number, (message, (first, after)) in enumerate(zip(answers, tokens.spans, strict=True), start=1):
            wanted = message.train
            if wanted is None:
                wanted = not self._options.mask_history or number == len(answers)
            if after > first and wanted is not everything:
                spans.append((first, after))
        return _gaps(spans, len(tokens)) if everything else spans

    def _prompt(self, row: Row, tokens: Tokenization) -> EncodedRow:
        length = len(tokens)
        encoded = EncodedRow(row.source, length, length, 0, _hash(tokens.ids))
        if length > self._options.cutoff_len:
            encoded.left_out = "no_room" if self._options.on_long_row == "truncate" else "long"
        elif not length:
            encoded.left_out = "unlabelled"
        else:
            encoded.columns = {"prompt_ids": tokens.ids, "expected": packed_text(row.reference or "")}
        return encoded

    def _judged(self, row: Row, rendering: Rendering, tokens: Tokenization) -> EncodedRow:
        first, end = tokens.spans[-1]
        prompt, completion = _cut_out(tokens.ids, 0, first), _cut_out(tokens.ids, first, end)
        encoded = self._fitted(row, prompt, {"completion_ids": completion}, endless=rendering.endless)
        encoded.kto_tag = row.kto_tag
        return encoded

    def _ranked(self, row: Row, renderings: Sequence[Rendering], tokens: Sequence[Tokenization]) -> EncodedRow:
        # Answers before the ranked ones are part of the prompt.
        before = sum(message.role == "assistant" for message in row.messages)
        places = [(item.spans[before][0], item.spans[-1][1]) for item in tokens]
        prompts = [_cut_out(item.ids, 0, first) for item, (first, _) in zip(tokens, places, strict=True)]
        answers = [_cut_out(item.ids, first, end) for item, (first, end) in zip(tokens, places, strict=True)]
        if prompts[0] != prompts[1]:
            characters = [(item.answers[before][0], item.answers[-1][1]) for item in renderings]
            prompts = [self._encode(renderings[0].text[: characters[0][0]])]
            answers = [
                self._encode(item.text[first:end]) for item, (first, end) in zip(renderings, characters, strict=True)
            ]
        columns = {"chosen_ids": answers[0], "rejected_ids": answers[1]}
        return self._fitted(row, prompts[0], columns, endless=any(item.endless for item in renderings))

    def _fitted(self, row: Row, prompt: bytes, answers: dict[str, bytes], *, endless: bool) -> EncodedRow:
        """A row of a prompt and its answers, which get the room that the prompt leaves."""
        longest = max(map(len, answers.values())) // TOKEN_BYTES
        start, limit = len(prompt) // TOKEN_BYTES, self._options.cutoff_len
        count = sum(map(len, answers.values())) // TOKEN_BYTES
        text_hash = _hash(prompt, *answers.values())
        encoded = EncodedRow(row.source, start + longest, start + longest, count, text_hash, endless=endless)
        if encoded.full_length > limit:
            if self._options.on_long_row != "truncate":
                encoded.left_out = "long"
                return encoded
            room = max(0, limit - start)
            answers = {name: _cut_out(ids, 0, room) for name, ids in answers.items()}
            encoded.length = min(limit, start) + max(map(len, answers.values())) // TOKEN_BYTES
            encoded.trained_count = sum(map(len, answers.values())) // TOKEN_BYTES
            encoded.labels_lost = count - encoded.trained_count
            encoded.end_lost = room > 0
        # Of a pair that differs behind the cut alone nothing can be learned.
        same = encoded.labels_lost > 0 and len(set(answers.values())) < len(answers)
        if same or not all(answers.values()):
            encoded.left_out = "no_room" if start >= limit else "unlabelled"
            encoded.end_lost = False
            return encoded
        encoded.columns = {"prompt_ids": prompt, **answers}
        return encoded


def _cut_out(ids: bytes, first: int, end: int) -> bytes:
    return ids[first * TOKEN_BYTES : end * TOKEN_BYTES]


def _count(spans: Spans) -> int:
    return sum([end - first for first, end in spans])


def _hash(*parts: bytes) -> int:
    digest = blake2b(parts[0], digest_size=8)
    for part in parts[1:]:
        # The length between them: the same tokens divided otherwise are another row.
        digest.update(len(part).to_bytes(8, "little") + part)
    return int.from_bytes(digest.digest(), "little", signed=True)


def _labels(ids: bytes, trained: Spans) -> bytes:
    """The ids where they are learned, NOT_TRAINED elsewhere."""
    parts: list[bytes] = []
    position = 0
    for first, end in trained:
        parts += (_NOT_TRAINED * (first - position), ids[first * TOKEN_BYTES : end * TOKEN_BYTES])
        position = end
    parts.append(_NOT_TRAINED * (len(ids) // TOKEN_BYTES - position))
    return b"".join(parts)


def _gaps(spans: Spans, length: int) -> Spans:
    """What `spans` leave of 0 to `length`."""
    gaps, position = [], 0
    for first, end in [*spans, (length, length)]:
        if first > position:
            gaps.append((position, first))
        position = max(position, end)
    return gaps
