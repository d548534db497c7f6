"""Dialogues to token ids and labels, in batches. Not for reading rows, and not for padding (`collate`).

What is learned: of each answer its text and its end-of-turn token, not the line break after it. `mask_history` leaves
only the last answer, `train_on_prompt` learns every token, and `train` or `weight` in a message overrules both for
that answer. A token that holds characters of an answer and of its surroundings counts as the answer's.

What is cut: of a row longer than `cutoff_len` tokens the first `cutoff_len` are kept. A row that then has nothing left
to learn is dropped. Cut rows, lost labels and answers without their end are counted in the report.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from operator import itemgetter

from tokenizers import Encoding

from trainer.data.messages import BadRow, BadRowError, Message, Row, SourceReference
from trainer.data.spans import AnswerFinder, Rendering
from trainer.data.tokenizer import TextTokenizer
from trainer.errors import UserError

# Rows beyond this many characters are refused. No usual tokenizer has tokens of 64 characters on average, and a million
# characters are tokenized in about a second.
_CHARACTERS_PER_TOKEN = 64
_SPARE_CHARACTERS = 1_000_000

_start_of = itemgetter(0)
_end_of = itemgetter(1)


@dataclass(frozen=True)
class EncodeOptions:
    """What of a row is learned, and how much of it is kept."""

    cutoff_len: int = 2048
    train_on_prompt: bool = False
    mask_history: bool = False


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """A row as tokens, and what happened to it."""

    input_ids: list[int]
    trained: tuple[tuple[int, int], ...]
    """(first, end) positions of the tokens that are learned."""
    source: SourceReference
    text_hash: int
    full_length: int
    """Tokens before the cut."""
    labels_lost: int = 0
    """Tokens to be learned that the cut took away."""
    end_lost: bool = False
    """The cut took the end of an answer of which a part is left."""
    endless: bool = False
    """The template writes no end-of-turn token after some answer."""

    @property
    def trained_count(self) -> int:
        """Tokens that are learned."""
        return sum(end - first for first, end in self.trained)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rendered rows whose tokens are being made."""

    rows: Sequence[Row | BadRow]
    rendered: Sequence[Rendering | BadRow]
    encodings: Future[list[Encoding]]


class RowEncoder:
    """Encodes dialogues with the tokenizer and the chat template of one model."""

    def __init__(self, tokenizer: TextTokenizer, options: EncodeOptions) -> None:
        if tokenizer.template is None:
            raise missing_template(tokenizer)
        self._tokenizer = tokenizer
        self._options = options
        self._finder = AnswerFinder(tokenizer.template, tokenizer.all_special)

    def encode(self, rows: Sequence[Row | BadRow]) -> list[EncodedRow | BadRow]:
        """The rows in order, each as tokens or as a bad row with its reason."""
        return next(self.encode_batches([rows]))

    def encode_batches(self, batches: Iterable[Sequence[Row | BadRow]]) -> Iterator[list[EncodedRow | BadRow]]:
        """Batch after batch; while one is tokenized (without the interpreter lock), the next is read and rendered."""
        with ThreadPoolExecutor(1) as pool:
            waiting: _Batch | None = None
            for rows in batches:
                rendered = [row if isinstance(row, BadRow) else self._render(row) for row in rows]
                texts = [item.text for item in rendered if isinstance(item, Rendering)]
                batch = _Batch(rows, rendered, pool.submit(self._tokenizer.encode_batch, texts))
                if waiting is not None:
                    yield self._finished(waiting)
                waiting = batch
            if waiting is not None:
                yield self._finished(waiting)

    def _finished(self, batch: _Batch) -> list[EncodedRow | BadRow]:
        encodings = iter(batch.encodings.result())
        finished: list[EncodedRow | BadRow] = []
        for row, item in zip(batch.rows, batch.rendered, strict=True):
            if isinstance(item, BadRow):
                finished.append(item)
            elif isinstance(row, Row):
                finished.append(self._encoded(row, item, next(encodings)))
        return finished

    def _render(self, row: Row) -> Rendering | BadRow:
        try:
            self._check_length(row)
            rendering = self._finder.render(row)
            _check_text(rendering.text)
            return rendering
        except BadRowError as error:
            return error.at(row.source)

    def _check_length(self, row: Row) -> None:
        """Raises: BadRowError for a text of which `cutoff_len` keeps next to nothing; it would take minutes."""
        length, limit = row.length, self._options.cutoff_len
        if length > _SPARE_CHARACTERS + _CHARACTERS_PER_TOKEN * limit:
            problem = f"the row has {length} characters, far more than the cutoff_len = {limit} tokens that are kept"
            raise BadRowError("too_long", problem, "Split the row or drop it")

    def _encoded(self, row: Row, rendering: Rendering, encoding: Encoding) -> EncodedRow:
        ids: list[int] = encoding.ids
        spans = self._trained_spans(row.messages, rendering, encoding)
        length, limit = len(ids), self._options.cutoff_len
        text_hash = hash(rendering.text)
        if length <= limit:
            return EncodedRow(ids, spans, row.source, text_hash, length, endless=rendering.endless)
        kept = tuple((first, min(end, limit)) for first, end in spans if first < limit)
        lost = sum(end - first for first, end in spans) - sum(end - first for first, end in kept)
        end_lost = bool(kept) and kept[-1][1] < spans[len(kept) - 1][1]
        return EncodedRow(ids[:limit], kept, row.source, text_hash, length, lost, end_lost, rendering.endless)

    def _trained_spans(
        self, messages: Sequence[Message], rendering: Rendering, encoding: Encoding
    ) -> tuple[tuple[int, int], ...]:
        answers = [message for message in messages if message.role == "assistant"]
        if self._options.train_on_prompt and all(message.train is not False for message in answers):
            return ((0, len(encoding.ids)),) if encoding.ids else ()
        spans = []
        for number, (message, (start, end)) in enumerate(zip(answers, rendering.answers, strict=True), start=1):
            wanted = message.train
            if wanted is None:
                wanted = not self._options.mask_history or number == len(answers)
            if wanted or self._options.train_on_prompt:
                first, after = _token_span(encoding, start, end, len(rendering.text))
                if after > first:
                    spans.append((first, after, wanted))
        if not self._options.train_on_prompt:
            return tuple((first, after) for first, after, _ in spans)
        return _gaps([(first, after) for first, after, wanted in spans if not wanted], len(encoding.ids))


def _check_text(text: str) -> None:
    """Raises: BadRowError for text that is no text, which the tokenizer does not take."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        problem = f"the text holds half a character (\\u{ord(text[error.start]):04x}, a surrogate without its partner)"
        raise BadRowError("invalid_text", problem, "Remove it, or save the text as UTF-8 again") from error


def _token_span(encoding: Encoding, start: int, end: int, length: int) -> tuple[int, int]:
    """The (first, end) positions of the tokens that hold any of the characters from `start` to `end`."""
    first = encoding.char_to_token(start)
    after = len(encoding) if end == length else encoding.char_to_token(end)
    if first is not None and after is not None:
        characters = None if end == length else encoding.token_to_chars(after)
        if characters is None or characters[0] >= end:
            return int(first), int(after)
    # A token reaches over the end of the answer, or characters are in no token; the whole list of offsets is slow.
    offsets = encoding.offsets
    return bisect_right(offsets, start, key=_end_of), bisect_left(offsets, end, key=_start_of)


def missing_template(tokenizer: TextTokenizer) -> UserError:
    """The error for a model whose tokenizer has no chat template."""
    hint = "Choose a chat model (often named -Instruct or -it), or put a chat_template.jinja there"
    return UserError("the model has no chat template", file=tokenizer.folder, hint=hint)


def _gaps(spans: Sequence[tuple[int, int]], length: int) -> tuple[tuple[int, int], ...]:
    """What `spans` leave of 0 to `length`."""
    gaps, position = [], 0
    for first, end in [*spans, (length, length)]:
        if first > position:
            gaps.append((position, first))
        position = max(position, end)
    return tuple(gaps)
