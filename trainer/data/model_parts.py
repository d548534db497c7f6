"""The parts of a model that a recipe names, against those that stand in its files: said before anything is loaded.

The trainer asks the model itself; here a name that no file has is a warning, because a library may rename weights.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from trainer.config import Finding, Recipe
from trainer.config.form import ADAPTER_METHODS, PROMPT_METHODS
from trainer.data.findings import finding
from trainer.data.model_size import read_head
from trainer.data.registry.names import shortened

# What the name of a layer looks like; a regular expression for several does not.
_NAME = re.compile(r"[\w.-]+")
# No file has a head that shares its weights with the embedding, or is new in a reward model.
_ELSEWHERE = frozenset(("all", "lm_head", "score"))


def unknown_parts(recipe: Recipe, folder: Path) -> Iterator[Finding]:
    """An error for a block that the model in `folder` does not have, a warning for a name that no weight of it has."""
    if (layers := _layer_count(folder)) is not None:
        yield from _missing_blocks(recipe, layers)
    names = [name.split(".") for file in folder.glob("*.safetensors") for name in read_head(file)]
    parts, layers_named = {part for name in names for part in name}, {name[-2] for name in names if len(name) > 1}
    if not names:
        return
    for key, wanted in _wanted(recipe):
        if not _NAME.fullmatch(wanted) or set(wanted.split(".")) <= parts | _ELSEWHERE:
            continue
        near = difflib.get_close_matches(wanted.rpartition(".")[2], sorted(parts), n=1)
        known = near[0] if near else shortened(sorted(layers_named))
        yield finding("model_part_unknown", "warning", key, field=key.partition(".")[2], part=wanted, known=known)


def _layer_count(folder: Path) -> int | None:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        count = {**config, **config.get("text_config", {})}.get("num_hidden_layers")
    except (OSError, ValueError, TypeError, AttributeError):
        return None  # said by `check_model_files`
    return count if isinstance(count, int) and count > 0 else None


def _missing_blocks(recipe: Recipe, layers: int) -> Iterator[Finding]:
    wanted, start = recipe.freeze.freeze_trainable_layers, recipe.badam.badam_start_block
    if recipe.method.finetuning_type == "freeze" and not recipe.method.use_llama_pro and not 0 < abs(wanted) <= layers:
        key = "freeze.freeze_trainable_layers"
        change: dict[str, object] = {key: layers if wanted > 0 else -layers if wanted < 0 else 1}
        yield finding("freeze_layers_missing", "error", key, change=change, wanted=wanted, layers=layers)
    if recipe.badam.use_badam and recipe.badam.badam_mode == "layer" and start is not None and start >= layers:
        key = "badam.badam_start_block"
        yield finding("badam_block_missing", "error", key, change={key: None}, block=start, last=layers - 1)


def _wanted(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """The names of parts that a recipe gives, each after its key, as far as they act."""
    method, lora, oft, freeze = recipe.method.finetuning_type, recipe.lora, recipe.oft, recipe.freeze
    lists: dict[str, list[str]] = {}
    if method == "oft":
        lists = {"oft.oft_target": oft.oft_target, "oft.additional_target": oft.additional_target}
    elif method in ADAPTER_METHODS and method not in PROMPT_METHODS:
        lists = {"lora.lora_target": lora.lora_target, "lora.additional_target": lora.additional_target}
    elif method == "freeze":
        inside, outside = freeze.freeze_trainable_modules, freeze.freeze_extra_modules
        lists = {"freeze.freeze_trainable_modules": inside, "freeze.freeze_extra_modules": outside}
    if recipe.galore.use_galore:
        lists["galore.galore_target"] = recipe.galore.galore_target
    if recipe.apollo.use_apollo:
        lists["apollo.apollo_target"] = recipe.apollo.apollo_target
    return ((key, name) for key, names in lists.items() for name in names)
