"""Asking a reward model for the number of an answer. Not for chatting, and not for training one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from trainer.config import resolve_model_path
from trainer.data import load_tokenizer
from trainer.data.encode import EncodeOptions, RowEncoder
from trainer.data.encoded_row import unpacked
from trainer.data.messages import BadRow, Message, Row, SourceReference
from trainer.data.model_folder import whole_model_folder
from trainer.data.model_kind import holds_reward_model
from trainer.errors import UserError
from trainer.model.adapters import adapter_chain, load_adapters
from trainer.model.loading_record import LoadingRecord
from trainer.model.vocabulary import fit_vocabulary

from .loading import base_of
from .placing import load_base

_LONGEST = 2**20
"""Tokens; longer than any model reads."""


@dataclass(frozen=True)
class RewardModel:
    """A reward model with the template that it was trained with."""

    name: str
    model: Any
    encoder: RowEncoder

    def score(self, prompt: str, answer: str) -> float:
        """The number of one answer to one question: the higher, the better.

        Raises:
            UserError: when the template refuses these texts.
        """
        return self.score_dialogue([Message("user", prompt), Message("assistant", answer)])

    def score_dialogue(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> float:
        """The number of the answer that a dialogue ends with. Tokens are those of training.

        Raises:
            UserError: when the template refuses these texts.
        """
        row = Row(tuple(messages), SourceReference("", 1), tools=tuple(tools), kto_tag=True)
        encoded = self.encoder.encode([row])[0]
        if isinstance(encoded, BadRow):
            raise UserError(encoded.text, hint=encoded.hint)
        ids = [token for name in ("prompt_ids", "completion_ids") for token in unpacked(encoded.columns[name])]
        with torch.no_grad():
            output = self.model(input_ids=torch.tensor([ids], device=self.model.device))
        return float(output.logits[0, 0])


def load_to_score(model: str, adapters: Sequence[str] = (), settings: Mapping[str, Any] | None = None) -> RewardModel:
    """A checkpoint of stage rm, an adapter or a whole model, or any model for classification with one label.

    Of `adapters` all but the last are merged into `model`, and the last brings the head; `settings` as for
    `load_for_chat`.

    Raises:
        UserError: when it is no reward model, or something is missing or cannot be read.
    """
    folder = whole_model_folder(resolve_model_path(adapters[-1] if adapters else model))
    if not holds_reward_model(folder):
        raise UserError(
            "this is no reward model: it writes answers and gives no numbers",
            file=folder,
            hint="Choose a checkpoint of stage rm; this one can be chatted with.",
        )
    record = LoadingRecord.of_checkpoint(folder).with_settings(settings or {})
    tokenizer = load_tokenizer(folder)
    encoder = RowEncoder(tokenizer, EncodeOptions(cutoff_len=_LONGEST, stage="kto"))
    if not (folder / "adapter_config.json").is_file():
        return RewardModel(folder.name, load_base(str(folder), record, scores=True), encoder)
    weights = load_base(model if adapters else base_of(folder), record, scores=True)
    chain = list(adapters) or [str(folder)]
    fit_vocabulary(weights, tokenizer.backend, adapter_chain(chain))
    return RewardModel(folder.name, load_adapters(weights, chain, trainable=False).eval(), encoder)
