"""Rows to token ids and labels by stage, in batches. Not for reading rows, and not for padding (`collate`).

What is learned (sft): of each answer its text and its end-of-turn token, not the line break after it. `mask_history`
leaves only the last answer, `train_on_prompt` learns every token, and `train` or `weight` in a message overrules both
for that answer. A token that holds characters of an answer and of its surroundings counts as the answer's. In stage pt
every token of a text is learned, and the end-of-sequence token after it.

Where an answer stands apart from its prompt (dpo, rm, kto), both are tokenized as one text, which is cut at the first
token of the answer and ends with its end-of-turn token. Two answers whose prompts then differ by a token that reaches
over the cut are tokenized apart from the prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from tokenizers import Encoding

from trainer.data.answer_search import Rendering
from trainer.data.encoded_row import COLUMNS, PROMPT_STAGES, EncodedRow, packed
from trainer.data.labels import LabelOptions, StageLabels
from trainer.data.messages import BadRow, BadRowError, Row
from trainer.data.pieces import PieceTokenizer, piece_tokenizer
from trainer.data.spans import AUDIT_INTERVAL, AnswerFinder, ShortWayError
from trainer.data.split_tokens import SplitTokens
from trainer.data.templates import ChatTemplate
from trainer.data.thinking import EnableThinking, Thinking
from trainer.data.tokenization import Tokenization, tokenization
from trainer.data.tokenizer import TextTokenizer
from trainer.data.typed_tokens import TypedTokens
from trainer.errors import UserError

# Rows beyond this many characters are refused. No usual tokenizer has tokens of 64 characters on average, and a million
# characters are tokenized in about a second.
_CHARACTERS_PER_TOKEN = 64
_SPARE_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class EncodeOptions:
    """What of a row is learned, and how much of it is kept."""

    cutoff_len: int = 2048
    train_on_prompt: bool = False
    mask_history: bool = False
    stage: str = "sft"
    """One of `encoded_row.COLUMNS`, which says what columns the rows get."""
    on_long_row: str = "truncate"
    """`truncate` cuts rows that are longer than `cutoff_len`; `drop` and `error` leave them out; `keep` keeps them
    whole, for packing that cuts running text up (stage pt)."""
    enable_thinking: EnableThinking = True
    preserve_thinking: bool = False
    split_special_tokens: bool = False
    """Special tokens in the words of a row are read as plain text."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the encoded rows."""
        return COLUMNS[self.stage]

    @property
    def labels(self) -> LabelOptions:
        """What of it concerns labels and the cut."""
        return LabelOptions(self.stage, self.cutoff_len, self.on_long_row, self.train_on_prompt, self.mask_history)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A row whose texts are rendered: one, or two where two answers are ranked."""

    row: Row
    renderings: tuple[Rendering, ...]
    tokenized: tuple[Tokenization, ...] | None
    """None: the tokenizer itself must do it."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rendered rows whose tokens are being made."""

    drafts: Sequence[_Draft | BadRow]
    encodings: Future[list[Encoding]] | None


class RowEncoder:
    """Encodes rows with the tokenizer and the chat template of one model."""

    def __init__(self, tokenizer: TextTokenizer, options: EncodeOptions, *, short_ways: bool = True) -> None:
        """`short_ways`: patterns stand in for the template and remembered pieces for the tokenizer where both are known
        to give the same; where that turns out wrong, encoding raises ShortWayError, and all rows must be encoded anew
        without.

        Raises: UserError when the tokenizer has no chat template and the stage needs one.
        """
        if tokenizer.template is None and options.stage != "pt":
            raise missing_template(tokenizer)
        self._tokenizer = tokenizer
        self._options = options
        self._labels = StageLabels(tokenizer, options.labels, self._ids)
        self._pieces: PieceTokenizer | None = piece_tokenizer(tokenizer.backend) if short_ways else None
        self._short_ways = short_ways
        self._finders: dict[ChatTemplate, AnswerFinder] = {}
        self._thinking: Thinking | None = None
        if tokenizer.template is not None:
            self._thinking = Thinking(tokenizer.template, options.enable_thinking, options.preserve_thinking)
        self._typed_tokens = TypedTokens(tokenizer)
        self._split: SplitTokens | None = None
        if options.split_special_tokens:
            self._split = SplitTokens(tokenizer, () if self._thinking is None else self._thinking.words)
        self._tokenized = 0

    def encode(self, rows: Sequence[Row | BadRow]) -> list[EncodedRow | BadRow]:
        """The rows in order, each as tokens or as a bad row with its reason."""
        return next(self.encode_batches([rows]))

    def encode_batches(self, batches: Iterable[Sequence[Row | BadRow]]) -> Iterator[list[EncodedRow | BadRow]]:
        """Batch after batch; while one is tokenized (without the interpreter lock), the next is read and rendered."""
        with ThreadPoolExecutor(1) as pool:
            waiting: _Batch | None = None
            for rows in batches:
                drafts = [row if isinstance(row, BadRow) else self._drafted(row) for row in rows]
                texts = [rendering.text for draft in drafts for rendering in _untokenized(draft)]
                batch = _Batch(drafts, pool.submit(self._tokenizer.encode_batch, texts) if texts else None)
                if waiting is not None:
                    yield self._finished(waiting)
                waiting = batch
            if waiting is not None:
                yield self._finished(waiting)

    def _finished(self, batch: _Batch) -> list[EncodedRow | BadRow]:
        encodings = iter(() if batch.encodings is None else batch.encodings.result())
        finished: list[EncodedRow | BadRow] = []
        for draft in batch.drafts:
            if isinstance(draft, BadRow):
                finished.append(draft)
                continue
            tokenized = draft.tokenized
            if tokenized is None:
                tokenized = tuple(
                    tokenization(next(encodings), rendering.answers, len(rendering.text))
                    for rendering in draft.renderings
                )
            try:
                encoded = self._labels.encoded(draft.row, draft.renderings, tokenized)
            except BadRowError as error:
                finished.append(error.at(draft.row.source))
                continue
            # Those that are read as plain text do no harm.
            encoded.typed_tokens = self._split is None and self._typed_tokens.are_in(draft.row)
            finished.append(encoded)
        return finished

    def _drafted(self, row: Row) -> _Draft | BadRow:
        try:
            hidden = None if self._split is None else self._split.hidden(row)
            row = self._with_thoughts(hidden or row)
            renderings = self._rendered(row)
            for rendering in renderings:
                self._check_length(len(rendering.text))
                _check_text(rendering.text)
            if self._split is not None and hidden is not None:
                return _Draft(row, renderings, tuple(map(self._split.tokenized, renderings)))
        except BadRowError as error:
            return error.at(row.source)
        return _Draft(row, renderings, self._piecewise(renderings))

    def _check_length(self, length: int) -> None:
        """Raises: BadRowError for a text of which `cutoff_len` keeps next to nothing; it would take minutes."""
        limit = self._options.cutoff_len
        if length > _SPARE_CHARACTERS + _CHARACTERS_PER_TOKEN * limit:
            problem = f"the row has {length} characters, far more than the cutoff_len = {limit} tokens that are kept"
            raise BadRowError("too_long", problem, "Split the row or drop it")

    def renderings(self, row: Row) -> tuple[Rendering, ...]:
        """What is tokenized of a row: one text, or two where two answers are ranked.

        Raises: BadRowError when the template refuses the row, or its answers cannot be found in the text.
        """
        hidden = None if self._split is None else self._split.hidden(row)
        if self._split is None or hidden is None:
            return self._rendered(self._with_thoughts(row))
        return tuple(map(self._split.shown, self._rendered(self._with_thoughts(hidden))))

    def _with_thoughts(self, row: Row) -> Row:
        return row if self._thinking is None else self._thinking.row(row)

    def _rendered(self, row: Row) -> tuple[Rendering, ...]:
        stage = self._options.stage
        if stage == "pt":
            return (Rendering(row.text or "", ()),)
        finder = self._finder(row)
        if stage in PROMPT_STAGES:
            return (finder.render(row, prompt=True),)
        if stage in ("dpo", "rm"):
            answers = (row.chosen, row.rejected)
            return tuple(finder.render(replace(row, messages=(*row.messages, *answer))) for answer in answers)
        return (finder.render(row),)

    def _finder(self, row: Row) -> AnswerFinder:
        """What renders a row, in the mode of thinking that it is in."""
        assert self._thinking is not None
        template = self._thinking.template(row)
        finder = self._finders.get(template)
        if finder is None:
            finder = AnswerFinder(template, self._tokenizer.all_special, short_way=self._short_ways)
            self._finders[template] = finder
        return finder

    def _ids(self, text: str) -> bytes:
        """The packed ids of part of a rendering.

        Raises: BadRowError.
        """
        return packed(self._tokenizer.encode(text)) if self._split is None else self._split.encode(text)

    def _piecewise(self, renderings: Sequence[Rendering]) -> tuple[Tokenization, ...] | None:
        """The tokens by remembered pieces, where that is possible.

        Raises: ShortWayError.
        """
        if self._pieces is None:
            return None
        tokenized = []
        for rendering in renderings:
            tokens = self._pieces.tokenize(rendering.text, rendering.answers)
            if tokens is None:
                return None
            self._tokenized += 1
            if self._tokenized % AUDIT_INTERVAL == 1:
                encoding = self._tokenizer.backend.encode(rendering.text, add_special_tokens=False)
                expected = tokenization(encoding, rendering.answers, len(rendering.text))
                if (expected.ids, list(expected.spans)) != (tokens.ids, list(tokens.spans)):
                    raise ShortWayError("the tokenizer gives other tokens than its pieces")
            tokenized.append(tokens)
        return tuple(tokenized)


def _untokenized(draft: _Draft | BadRow) -> tuple[Rendering, ...]:
    return () if isinstance(draft, BadRow) or draft.tokenized is not None else draft.renderings


def _check_text(text: str) -> None:
    """Raises: BadRowError for text that is no text, which the tokenizer does not take."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        problem = f"the text holds half a character (\\u{ord(text[error.start]):04x}, a surrogate without its partner)"
        raise BadRowError("invalid_text", problem, "Remove it, or save the text as UTF-8 again") from error


def missing_template(tokenizer: TextTokenizer) -> UserError:
    """The error for a model whose tokenizer has no chat template."""
    hint = "Choose a chat model (often named -Instruct or -it), or put a chat_template.jinja there"
    return UserError("the model has no chat template", file=tokenizer.folder, hint=hint)
