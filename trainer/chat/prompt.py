"""What is sent to the model for a dialogue: the same text and tokens as in training. Not for generating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def encode_prompt(
    tokenizer: Any, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None = None
) -> Any:
    """The dialogue up to where the model begins to answer: `input_ids` and `attention_mask`, (1, tokens) int64."""
    return tokenizer.apply_chat_template(
        list(messages),
        tools=list(tools or ()) or None,
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
