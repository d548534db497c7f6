"""Loading the weights of a chat: in which format, on which device, what of them lies on the disk. Not for adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from trainer.data.model_folder import whole_model_folder
from trainer.data.model_quantization import stored_quantization
from trainer.data.model_size import parameters_in_file
from trainer.data.remote_code import runs_code
from trainer.model.load import Place, load_weights, read_config
from trainer.model.loading_record import LoadingRecord
from trainer.model.quantization import prepare_stored
from trainer.model.spread import main_device
from trainer.model.threads import choose_threads

# Beside the weights: activations and the cache of keys and values.
_ROOM = 1.15


def load_base(name: str, record: LoadingRecord, *, scores: bool = False) -> Any:
    """The model of a folder or hub id, loaded as the record says, ready to generate; with `scores` to give numbers.

    Raises:
        UserError: when it cannot be loaded.
    """
    folder = whole_model_folder(name)
    trust = runs_code(folder, name=name, trust=None)
    dtype = inference_dtype(record.infer_dtype)
    config = read_config(str(folder), trust=trust)
    if scores:
        config.num_labels = 1
    if record.rope is not None:
        record.rope.apply(config)
    stored = stored_quantization(config.to_dict())
    if stored is not None:
        prepare_stored(stored, config)
    quantized = stored is not None or record.quantization is not None
    fits = quantized or _fits(folder, dtype, free_memory())
    if record.spread:
        place = Place("auto", record.offload_folder)
    elif fits:
        place = Place({"": main_device()})
    else:
        place = Place("auto", record.offload_folder, _room())
    kind = AutoModelForSequenceClassification if scores else AutoModelForCausalLM
    model = load_weights(str(folder), config, dtype, None, record.quantization, place, kind=kind, trust=trust)
    choose_threads(model.num_parameters())
    return model.eval()


def inference_dtype(asked: str) -> torch.dtype:
    """The format of `infer_dtype`: for `auto` bfloat16 on a GPU, float16 on one that has none, float32 on a CPU."""
    if asked != "auto":
        found: torch.dtype = getattr(torch, asked)
        return found
    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def free_memory() -> int:
    """Bytes that are free on the first GPU, else in memory."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info(0)[0])
    return memory_left()


def memory_left() -> int:
    """Bytes of the machine's memory that are free."""
    return int(psutil.virtual_memory().available)


def _room() -> dict[int | str, int]:
    """What may be filled with weights: the first GPU, if there is one, and the memory; the rest goes to the disk."""
    room: dict[int | str, int] = {"cpu": int(memory_left() / _ROOM)}
    return {0: int(free_memory() / _ROOM), **room} if torch.cuda.is_available() else room


def _fits(folder: Path, dtype: torch.dtype, free: int) -> bool:
    """Whether the weights in a folder, held in `dtype`, fit into `free` bytes; of a hub model nothing is known."""
    parameters = sum(parameters_in_file(file) for file in folder.glob("*.safetensors"))
    return parameters * dtype.itemsize * _ROOM <= free
