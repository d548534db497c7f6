"""The tokens that a recipe adds to the vocabulary, in the order in which they get their ids. Not for their embeddings
(`trainer.model.vocabulary`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken

from trainer.config import Recipe
from trainer.errors import UserError


@dataclass(frozen=True)
class NewToken:
    """A token that the tokenizer of the model may not have."""

    text: str
    special: bool
    description: str = ""
    """What its embedding starts from; empty: nothing is said."""
    identifier: int | None = None
    """The id that it must get, because an adapter was trained with it."""

    def added(self) -> AddedToken:
        """As both tokenizers take it. It is looked for in the text as it stands, before any normalization."""
        return AddedToken(self.text, special=self.special, normalized=False)


def new_tokens(recipe: Recipe) -> tuple[NewToken, ...]:
    """Those of the adapters that the run starts from, then `add_tokens`, then `add_special_tokens`, then what only
    `new_special_tokens_config` names, as special tokens.

    Raises:
        UserError: when a file that should name tokens cannot be read.
    """
    model = recipe.model
    described = {} if model.new_special_tokens_config is None else descriptions(Path(model.new_special_tokens_config))
    named = [*((text, False) for text in model.add_tokens), *((text, True) for text in model.add_special_tokens)]
    texts = {text for text, _ in named}
    named += [(text, True) for text in described if text not in texts]
    adapters = [token for name in model.adapter_name_or_path for token in _of_adapter(Path(name).expanduser())]
    return (*adapters, *(NewToken(text, special, described.get(text, "")) for text, special in named))


def descriptions(file: Path) -> dict[str, str]:
    """What a YAML file says of each new token.

    Raises:
        UserError: when it cannot be read, or is not of the form `token: description`.
    """
    import yaml

    field = "new_special_tokens_config"
    try:
        content = yaml.safe_load(file.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", field=field, value=str(file)) from error
    except (yaml.YAMLError, ValueError) as error:
        told = " ".join(str(error).split())
        raise UserError(f"not valid YAML ({told})", field=field, value=str(file)) from error
    hint = 'Write a line for each token, such as "<|code|>": "what begins a block of program code"'
    if not isinstance(content, dict) or not content:
        raise UserError("expected tokens with their descriptions", field=field, value=str(file), hint=hint)
    for token, text in content.items():
        if not isinstance(token, str) or not token or not isinstance(text, str) or not text.strip():
            raise UserError(f"{token!r} has no description that is text", field=field, value=str(file), hint=hint)
    return content


def _of_adapter(folder: Path) -> Iterator[NewToken]:
    """The added tokens of the tokenizer that was saved with an adapter; most of them the base model has too."""
    file = folder / "tokenizer.json"
    if not (folder / "adapter_config.json").is_file() or not file.is_file():
        return
    try:
        added: Sequence[Mapping[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["added_tokens"]
        for token in sorted(added, key=lambda token: int(token["id"])):
            yield NewToken(str(token["content"]), bool(token["special"]), identifier=int(token["id"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        told = f"the tokenizer of the adapter cannot be read ({type(error).__name__}: {error})"
        raise UserError(told, field="adapter_name_or_path", value=str(folder)) from error
