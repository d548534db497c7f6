"""Models of which parts lie elsewhere than on the device that computes: in memory beside a GPU, or on the disk."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from peft import PeftModel, load_peft_weights


def main_device() -> torch.device:
    """The first GPU, else the processor; what lies on the disk or another device is brought there."""
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def is_spread_out(model: Any) -> bool:
    """Whether parts of the model lie elsewhere than on the device that computes."""
    return bool({"cpu", "disk"} & set((getattr(model, "hf_device_map", None) or {}).values()))


def put_adapter_on_spread_model(model: Any, adapter: str) -> Any:
    """The model with an adapter, which lies on the device that computes; the model's parts stay where they are.

    PEFT would place them anew, and lose an output layer that is the embedding.
    """
    places = model.hf_device_map
    del model.hf_device_map
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter", category=UserWarning)
        tuned = PeftModel.from_pretrained(model, adapter)
    model.hf_device_map = places
    # It went to where its layers lie: for those on the disk, where there are only empty tensors.
    weights = load_peft_weights(adapter, device=str(main_device()))
    names = {name.replace(f".{tuned.active_adapter}", ""): name for name in tuned.state_dict()}
    tuned.load_state_dict({names[name]: weight for name, weight in weights.items()}, strict=False, assign=True)
    return tuned.eval()
