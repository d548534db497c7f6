"""Putting the weights of a checkpoint back into the model that is trained, in the formats that it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import set_peft_model_state_dict
from peft.utils import load_peft_weights
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


def restore_adapters(model: Any, folder: Path) -> None:
    """Copy every adapter in `folder` into the one of its name on `model`.

    Others, such as that of a reward model, stay as they are. PEFT's own loading would make 16-bit adapters float32.
    """
    for name in model.peft_config:
        place = folder if name == "default" else folder / name
        if not place.is_dir():
            continue
        set_peft_model_state_dict(model, load_peft_weights(str(place), device="cpu"), adapter_name=name)


@torch.no_grad()
def restore_weights(model: Any, folder: Path) -> None:
    """Copy every weight of the model in `folder` into `model`, whatever the names in the files; formats stay."""
    # float32 holds every format exactly, so that nothing is rounded on the way.
    saved = dict(type(model).from_pretrained(folder, dtype=torch.float32, trust_remote_code=False).named_parameters())
    for name, parameter in model.named_parameters():
        parameter.copy_(saved[name])
