"""Putting the weights of a checkpoint back into the model that is trained. Not for adapters: PEFT does that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open


def is_stored_as_it_is(model: Any, folder: Path) -> bool:
    """Whether the tensors in the files of `folder` have the names that they have in `model`.

    transformers keeps the experts of a layer in one tensor, but writes each expert by itself.
    """
    names: set[str] = set()
    for file in folder.glob("model*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            names |= set(opened.keys())
    return {name for name, _ in model.named_parameters()} <= names


@torch.no_grad()
def restore_weights(model: Any, folder: Path) -> None:
    """Copy every weight of the model in `folder` into `model`, whatever the names in the files; formats stay."""
    # float32 holds every format exactly, so that nothing is rounded on the way.
    saved = dict(type(model).from_pretrained(folder, dtype=torch.float32, trust_remote_code=False).named_parameters())
    for name, parameter in model.named_parameters():
        parameter.copy_(saved[name])
