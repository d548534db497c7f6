"""Whether a model is too much for a machine without a GPU. Not a forecast of the memory that a run needs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainer.config import Finding, Recipe
from trainer.data.findings import finding
from trainer.data.model_folder import find_model_folder
from trainer.errors import UserError

SLOW_FROM = 3e9
"""Parameters above which training on a processor is a matter of days."""
_LONGEST_HEADER = 100 << 20
# "Qwen3-8B", "llama-0.5b-chat"; not the "4bit" of a quantized one.
_NAMED_SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)


def large_for_processor(recipe: Recipe) -> Iterator[Finding]:
    """A warning where the model's weights do not fit into the memory, or are so many that a processor is too slow."""
    name = recipe.model.model_name_or_path
    count = 0.0 if not name else _parameters(recipe)
    # As trainer.model.load does it: without mixed precision the weights are held in float32.
    half = bool(recipe.train.bf16 or recipe.train.fp16 or recipe.method.pure_bf16)
    needed, memory = count * (2 if half else 4), _memory()
    if needed > memory or count > SLOW_FROM:
        yield finding(
            "model_large_for_memory" if needed > memory else "model_slow_on_processor",
            "warning",
            "model.model_name_or_path",
            model=name,
            billions=f"{count / 1e9:.1f}",
            needed=f"{needed / 1e9:.0f}",
            memory=f"{memory / 1e9:.0f}",
        )


def _parameters(recipe: Recipe) -> float:
    """How many the model has: counted where its files are here, else what its name says; 0 when nobody knows."""
    model = recipe.model
    name = str(model.model_name_or_path)
    try:
        folder = find_model_folder(name, cache_dir=model.cache_dir, revision=model.model_revision, hub=model.model_hub)
    except UserError:
        counted = 0
    else:
        counted = sum(parameters_in_file(file) for file in folder.glob("*.safetensors"))
    named = _NAMED_SIZE.findall(Path(name).name)
    return counted or max(map(float, named), default=0.0) * 1e9


def parameters_in_file(file: Path) -> int:
    """The sum of the shapes in the head of a safetensors file; the weights themselves are not read."""
    try:
        return sum(math.prod(tensor["shape"]) for tensor in read_head(file).values())
    except (KeyError, TypeError):
        return 0  # what is wrong with it is told where it is loaded


def read_head(file: Path) -> dict[str, Any]:
    """What the head of a safetensors file says of each tensor, by its name; nothing where it cannot be read."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            head = json.loads(stream.read(length)) if length < _LONGEST_HEADER else {}
        return {name: tensor for name, tensor in head.items() if name != "__metadata__"}
    except (OSError, ValueError, AttributeError):
        return {}


def _memory() -> int:
    """Bytes of RAM."""
    import psutil

    return int(psutil.virtual_memory().total)
