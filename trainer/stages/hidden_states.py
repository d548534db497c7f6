"""What a language model computes below its output layer. Not for what is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel


def causal_model(model: Any) -> Any:
    """The causal language model below adapters."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


@contextmanager
def last_hidden_state(causal: Any) -> Iterator[list[torch.Tensor]]:
    """What the model below the output layer computes, (rows, length, width), in a list."""
    found: list[torch.Tensor] = []
    handle = causal.base_model.register_forward_hook(lambda _, __, outputs: found.append(outputs.last_hidden_state))
    try:
        yield found
    finally:
        handle.remove()
