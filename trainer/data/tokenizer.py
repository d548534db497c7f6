"""A fast tokenizer read from a model folder, without transformers: the same ids, in batches. Not for chat templates."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Encoding, Tokenizer

from trainer.data.new_tokens import NewToken
from trainer.data.registry import near_match
from trainer.data.templates import ChatTemplate, load_template, named_template
from trainer.errors import UserError

_TOKEN_FLAGS = ("lstrip", "rstrip", "single_word", "normalized", "special")
_NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

# A byte as SentencePiece writes it, and the characters that byte-level tokenizers write for bytes (GPT-2's table).
_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")
_PRINTABLE_BYTES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_BYTE_OF = {chr(byte): byte for byte in _PRINTABLE_BYTES} | {
    chr(0x100 + number): byte
    for number, byte in enumerate(byte for byte in range(0x100) if byte not in _PRINTABLE_BYTES)
}


class TextTokenizer:
    """Text to ids and back, with the special tokens and the chat template of the model."""

    def __init__(
        self,
        backend: Tokenizer,
        special_tokens: Mapping[str, str],
        template: ChatTemplate | None,
        folder: Path,
        text_begin_ids: Sequence[int] = (),
        new_ids: Sequence[int] = (),
        own_tokens: Collection[str] = (),
    ) -> None:
        self.folder = folder
        self.special_tokens = dict(special_tokens)
        """By role: `eos_token`, `pad_token` ..."""
        self.template = template
        self.text_begin_ids = tuple(text_begin_ids)
        """What the tokenizer by itself puts in front of a plain text; a chat template writes it on its own."""
        self.new_ids = tuple(new_ids)
        """The tokens that were added to those of the folder and that no adapter brought."""
        self.own_tokens = frozenset(own_tokens)
        """The tokens that the recipe names, and those that adapters brought."""
        self._backend = backend

    @property
    def backend(self) -> Tokenizer:
        """The Rust tokenizer, for those who ask how it works; nothing about it may be changed."""
        return self._backend

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; nothing is added before or after it."""
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[Encoding]:
        """Ids and character offsets (`.ids`, `.offsets`) of many texts at once, on all cores."""
        return list(self._backend.encode_batch(texts, add_special_tokens=False))

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of `ids`."""
        return str(self._backend.decode(list(ids), skip_special_tokens=skip_special_tokens))

    def token(self, identifier: int) -> str:
        """The token as it is shown to people; of half a character the bytes, as in `<E8AE>`."""
        text = self.decode([identifier])
        if "\ufffd" not in text:
            return text
        raw = str(self._backend.id_to_token(identifier))
        if _BYTE_TOKEN.fullmatch(raw):
            return f"<{raw[3:-1]}>"
        known = [_BYTE_OF.get(character) for character in raw]
        return raw if None in known else "<" + "".join(f"{byte:02X}" for byte in known if byte is not None) + ">"

    def __len__(self) -> int:
        return int(self._backend.get_vocab_size(with_added_tokens=True))

    @property
    def rows(self) -> int:
        """The rows that an embedding needs: one more than the highest id, as some vocabularies have holes."""
        return 1 + max(self._backend.get_vocab(with_added_tokens=True).values())

    @cached_property
    def all_special(self) -> frozenset[str]:
        """The texts of all tokens that are marked as special, of the named ones, and of what ends an answer."""
        added = self._backend.get_added_tokens_decoder().values()
        special = frozenset(token.content for token in added if token.special)
        stop_words = () if self.template is None else self.template.stop_words
        return special.union(self.special_tokens.values(), stop_words)

    @cached_property
    def meant_tokens(self) -> frozenset[str]:
        """The tokens of the recipe that rows hold on purpose: not those that the template writes, or that end turns."""
        template = self.template
        written = "" if template is None else template.text
        ends = {*self.special_tokens.values(), *(() if template is None else template.stop_words)}
        return frozenset(token for token in self.own_tokens - ends if token not in written)

    @property
    def missing_stop_words(self) -> tuple[str, ...]:
        """What ends an answer in the named template but is no token here, so that chat cannot stop at it."""
        stop_words = () if self.template is None else self.template.stop_words
        return tuple(word for word in stop_words if self._backend.token_to_id(word) is None)

    @property
    def eos_token_id(self) -> int | None:
        """The id of the end-of-sequence token."""
        return self._identifier("eos_token")

    @property
    def pad_token_id(self) -> int | None:
        """The id that fills batches up; the end-of-sequence token where the model has none for it."""
        identifier = self._identifier("pad_token")
        return self.eos_token_id if identifier is None else identifier

    def _identifier(self, role: str) -> int | None:
        token = self.special_tokens.get(role)
        identifier = None if token is None else self._backend.token_to_id(token)
        return None if identifier is None else int(identifier)


def load_tokenizer(
    folder: Path | str,
    template: str | None = None,
    tool_format: str | None = None,
    more_tokens: Sequence[NewToken] = (),
) -> TextTokenizer:
    """The tokenizer of a model folder (`tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja`).

    `template` names a shipped chat template that is used instead of the model's, `tool_format` how it writes tools.
    `more_tokens` get the ids after those of the folder, as transformers gives them.
    Raises: UserError when there is none, it cannot be read, or a name is not known.
    """
    folder = Path(folder)
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise _no_tokenizer(folder)
    try:
        backend = Tokenizer.from_file(str(file))
    except Exception as error:
        # The Rust library raises bare Exception for whatever is wrong in the file.
        message = f"the tokenizer cannot be read ({error})"
        raise UserError(message, file=file, hint="Copy tokenizer.json from the base model") from error
    config = _read_object(folder / "tokenizer_config.json")
    _add_tokens_of_config(backend, config)
    own = {each.text for each in more_tokens if each.identifier is None or backend.token_to_id(each.text) is None}
    new = add_new_tokens(backend, more_tokens)
    begin = _begin_ids(backend)
    # What is trained is rendered by the template alone; a length limit or padding in the file must not reach it, and a
    # post-processor would only trim the offsets that labels are found by.
    backend.no_truncation()
    backend.no_padding()
    backend.post_processor = None
    special = _special_tokens(config) or _special_tokens(_read_object(folder / "special_tokens_map.json"))
    if template is None:
        return TextTokenizer(backend, special, load_template(folder, config, special), folder, begin, new, own)
    return TextTokenizer(backend, special, named_template(template, special, tool_format), folder, begin, new, own)


def add_new_tokens(backend: Tokenizer, tokens: Sequence[NewToken]) -> list[int]:
    """Adds tokens; the ids of those that were not there before, and that no adapter brings.

    Raises: UserError when an adapter's token gets another id than it was trained with.
    """
    new = []
    for token in tokens:
        before = backend.token_to_id(token.text)
        if before is None or token.identifier is None:
            # One that is there is from now on found whole, whatever stands around it.
            (backend.add_special_tokens if token.special else backend.add_tokens)([token.added()])
        got = backend.token_to_id(token.text)
        if token.identifier is not None and got != token.identifier:
            raise UserError(
                f"the token {token.text} has the id {got} here, and the adapter was trained with {token.identifier}",
                field="adapter_name_or_path",
                hint="Choose the base model that the adapter was trained on",
            )
        if before is None and token.identifier is None and got is not None:
            new.append(got)
    return new


def _begin_ids(backend: Tokenizer) -> list[int]:
    """The special tokens that the file's post-processor puts in front of a text."""
    bare, whole = (backend.encode("a", add_special_tokens=added).ids for added in (False, True))
    return list(whole[: next((place for place, token in enumerate(whole) if token == bare[0]), 0)]) if bare else []


def _no_tokenizer(folder: Path) -> UserError:
    message = "the model folder has no tokenizer.json"
    if (folder / "tokenizer.model").is_file() or (folder / "vocab.json").is_file():
        hint = "It has a slow tokenizer only: load it with transformers' AutoTokenizer and save_pretrained() it there"
    else:
        inside = tuple(path.name for path in folder.iterdir()) if folder.is_dir() else ()
        hint = near_match("tokenizer.json", inside) or "Copy the tokenizer files of the base model there"
    return UserError(message, file=folder, hint=hint)


def _read_object(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"not valid JSON ({error})", file=file, hint="Copy it from the base model") from error
    return content if isinstance(content, dict) else {}


def _special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    tokens: dict[str, str] = {}
    for name, value in config.items():
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str) and (name in _NAMED_TOKENS or _is_model_token(name)):
            tokens[name] = text
    return tokens


def _is_model_token(name: str) -> bool:
    """Models name tokens of their own (`image_token`, `boi_token`); templates may ask for them."""
    return name.endswith("_token") and not name.startswith(("add_", "use_"))


def _add_tokens_of_config(backend: Tokenizer, config: Mapping[str, Any]) -> None:
    """Older folders list added tokens in tokenizer_config.json alone."""
    stated = config.get("added_tokens_decoder")
    if not isinstance(stated, dict):
        return
    for _, raw in sorted(stated.items(), key=lambda item: int(item[0])):
        if isinstance(raw, dict) and backend.token_to_id(str(raw.get("content"))) is None:
            flags = {name: bool(raw.get(name, False)) for name in _TOKEN_FLAGS}
            backend.add_tokens([AddedToken(str(raw["content"]), **flags)])
