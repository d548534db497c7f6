"""The blocks of a language model, as they stand in the names of its parameters."""

from __future__ import annotations

import re
from typing import Any

_LAYER = re.compile(r"\.(\d+)\.")


def layer_of(name: str) -> int | None:
    """The number of the block that a parameter belongs to; None for what stands outside: embedding, last norm, head."""
    found = _LAYER.search(name)
    return None if found is None else int(found.group(1))


def inside_layer(name: str) -> str:
    """The part of a block that a parameter belongs to: `self_attn`, `mlp`, `input_layernorm`."""
    found = _LAYER.search(name)
    return "" if found is None else name[found.end() :].split(".")[0]


def layer_count(model: Any) -> int:
    """How many blocks the language model has."""
    return int(model.config.get_text_config().num_hidden_layers)
