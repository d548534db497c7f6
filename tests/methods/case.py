"""One entry of the table: a way to fine-tune, on one architecture, and which parameters it is meant to change."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trainer.config.parameter import parameter

_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class MethodCase:
    """A way to fine-tune."""

    name: str
    changed: tuple[str, ...]
    """Exactly the parameters that training changes, with braces for several: `layers.{0,1}.mlp`.

    Without what wraps a name: no `model.` in front, no `.weight` behind, no adapter name.
    """
    values: dict[str, object]
    """Values of the recipe by dotted key."""
    architecture: str = "qwen3"
    tied: bool = True
    """Whether the output layer is the embedding."""
    merges: bool = False
    """The adapter can be merged into the weights, which are then the same model."""
    tolerance: float = 1e-5
    """How far the logits of the checkpoint, loaded for a chat, may be from those of the trained model."""
    added_blocks: int = 0
    """How many blocks `trimtab expand` has added to the two of the model."""


def case(
    name: str,
    changed: str,
    *,
    architecture: str = "qwen3",
    tied: bool = True,
    merges: bool = False,
    tolerance: float = 1e-5,
    added_blocks: int = 0,
    **values: object,
) -> MethodCase:
    """One entry; values by flat name (`lora_rank=4`) or with the table in front (`oft__additional_target=...`)."""
    keys = {_key(name.replace("__", ".")): value for name, value in values.items()}
    return MethodCase(name, tuple(changed.split()), keys, architecture, tied, merges, tolerance, added_blocks)


def _key(name: str) -> str:
    """The dotted key; what goes through to transformers has no parameter."""
    return name if name.startswith("trainer.") else parameter(name).key


def spelled_out(pattern: str) -> set[str]:
    """All names of a pattern with braces: "a.{b,c}" stands for "a.b" and "a.c"."""
    found = _BRACES.search(pattern)
    if found is None:
        return {pattern}
    parts = (pattern[: found.start()] + choice + pattern[found.end() :] for choice in found.group(1).split(","))
    return {name for part in parts for name in spelled_out(part)}
