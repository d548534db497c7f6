"""Pieces of generation that stream text out and let it be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from transformers import StoppingCriteria, TextStreamer


class TextSender(TextStreamer):
    """Hands finished pieces of text (whole words, whole Chinese characters) to a function as they are generated."""

    def __init__(self, tokenizer: Any, send: Callable[[str], None]) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._send = send

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Called by transformers with the next piece."""
        if text:
            self._send(text)


class StopOnEvent(StoppingCriteria):
    """Ends the generation after the token during which an event was set."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """One flag per row of the batch: shape (batch,)."""
        return torch.full((input_ids.shape[0],), self._event.is_set(), dtype=torch.bool, device=input_ids.device)
