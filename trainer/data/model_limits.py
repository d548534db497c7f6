"""The longest sequence that a model was made for, against what the recipe feeds it. Not for the memory it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.config import Finding, Recipe
from trainer.config.form import IN_ANSWERING
from trainer.data.findings import finding

_NAMES = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length")


def longest_sequence(folder: Path) -> int | None:
    """Tokens that the model in `folder` takes at most; None when its config.json does not say."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # said by `check_model_files`
    if not isinstance(config, dict):
        return None
    inner = config.get("text_config")
    config = {**config, **inner} if isinstance(inner, dict) else config
    stated = [config[name] for name in _NAMES if isinstance(config.get(name), int) and config[name] > 0]
    if not stated:
        return None
    scaling = config.get("rope_parameters") or config.get("rope_scaling")
    return max(int(stated[0]), _stretched(scaling, int(stated[0])))


def _stretched(scaling: Any, stated: int) -> int:
    """What a model's own stretching of the position encoding makes of its original length."""
    if not isinstance(scaling, Mapping):
        return 0
    if isinstance(scaling.get("full_attention"), Mapping):
        scaling = scaling["full_attention"]
    factor, original = scaling.get("factor"), scaling.get("original_max_position_embeddings")
    if "dynamic" in (scaling.get("rope_type"), scaling.get("type")):
        # Its length stays the original one; it is stretched while the model runs.
        original = stated
    return int(factor * original) if isinstance(factor, int | float) and isinstance(original, int) else 0


def too_long_for_model(recipe: Recipe, folder: Path, longest_row: int, *, all_read: bool) -> list[Finding]:
    """An error when sequences are longer than the model takes; `longest_row` is in tokens, before the cut.

    With a `cutoff_len` above the limit that no row reaches it is a remark, or, unless all rows were read, a warning.
    """
    limit, cutoff = longest_sequence(folder), recipe.data.cutoff_len
    if not longest_row or limit is None or cutoff <= limit or recipe.model.rope_scaling is not None:
        return []
    packed = bool(recipe.data.packing or recipe.data.neat_packing or recipe.method.stage == "pt")
    severe = packed or min(longest_row, cutoff) > limit
    return [
        finding(
            "cutoff_above_model" if severe else "cutoff_above_model_unreached",
            "error" if severe else "info" if all_read else "warning",
            "data.cutoff_len",
            "model.model_name_or_path",
            change={"data.cutoff_len": limit},
            cutoff_len=cutoff,
            limit=limit,
            longest=longest_row,
        )
    ]


def answers_too_long_for_model(recipe: Recipe, folder: Path) -> list[Finding]:
    """An error when the longest prompt and the answer that the model writes to it are more than the model takes."""
    limit, cutoff, answer = longest_sequence(folder), recipe.data.cutoff_len, recipe.generation.max_new_tokens
    answering = recipe.method.stage in IN_ANSWERING.values
    if not answering or limit is None or cutoff + answer <= limit or recipe.model.rope_scaling is not None:
        return []
    # What leaves room is lowered: prompts where the answers fit in, else the answers.
    change = {"data.cutoff_len": limit - answer} if 2 * answer <= limit else {}
    if not change and cutoff < limit:
        change = {"generation.max_new_tokens": limit - cutoff}
    return [
        finding(
            "answers_above_model",
            "error",
            "generation.max_new_tokens",
            "data.cutoff_len",
            change=change,
            cutoff_len=cutoff,
            answer=answer,
            limit=limit,
        )
    ]
