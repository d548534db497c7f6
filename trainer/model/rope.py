"""Stretching rotary positions, so that a model takes longer sequences than it was made for. Changes a configuration
before the model is built; not for checking `cutoff_len` (`trainer.data.model_limits`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.config import Recipe
from trainer.errors import UserError
from trainer.run.messages import Say, words

# The layers that see the whole sequence, in models that stretch their kinds of layers one by one.
_WHOLE = "full_attention"
# Meta's own values for Llama 3.1; the factor and the length it starts from come from the recipe and the model.
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}


@dataclass(frozen=True)
class Rope:
    """The rotary positions of a model, as a checkpoint remembers them."""

    parameters: Mapping[str, Any]
    """transformers' `rope_parameters`."""
    longest: int
    """`max_position_embeddings`."""

    def is_that_of(self, config: Any) -> bool:
        """Whether a model of this configuration has these positions already."""
        text = config.get_text_config()
        own = getattr(text, "rope_parameters", None)
        return own == dict(self.parameters) and getattr(text, "max_position_embeddings", None) == self.longest

    def apply(self, config: Any) -> None:
        """Give these positions to the configuration of a model that is about to be built."""
        text = config.get_text_config()
        text.rope_parameters = copy.deepcopy(dict(self.parameters))
        text.max_position_embeddings = self.longest


def stretched_rope(recipe: Recipe, config: Any, say: Say) -> Rope | None:
    """The positions that `rope_scaling` asks for; None when they stay as they are. What was chosen is told.

    The factor is the whole number of times that `cutoff_len` is longer than the model, as in LLaMA-Factory.

    Raises:
        UserError: when the model has no rotary positions, or they are stretched in another way already.
    """
    kind = recipe.model.rope_scaling
    if kind is None:
        return None
    text = config.get_text_config()
    whole = getattr(text, "rope_parameters", None)
    longest = getattr(text, "max_position_embeddings", None)
    if not whole or not longest:
        raise UserError(
            f"this model ({text.model_type}) has no rotary positions that could be stretched",
            field="rope_scaling",
            value=kind,
            hint="Remove rope_scaling.",
        )
    length = recipe.data.cutoff_len
    if length <= longest:
        say("warning", words("run_rope_not_needed", length=length, longest=longest))
        return None
    own = whole.get(_WHOLE, whole)
    stretched = _stretched(dict(own), kind, longest, factor := math.ceil(length / longest))
    if kind == "dynamic":
        # How far it stretches is read off each batch, against the length in the configuration.
        new_longest = longest
        say("warning", words("run_rope_dynamic"))
    else:
        new_longest = longest * factor
    say("info", words("run_rope", kind=kind, factor=factor, longest=longest, length=length))
    return Rope({**whole, _WHOLE: stretched} if _WHOLE in whole else stretched, new_longest)


def _stretched(own: dict[str, Any], kind: str, longest: int, factor: int) -> dict[str, Any]:
    before = own.get("rope_type", "default")
    if before not in ("default", kind):
        raise UserError(
            f"the positions of this model are stretched already, by {before}",
            field="rope_scaling",
            value=kind,
            hint=f"Set rope_scaling = {before}, or remove it and lower cutoff_len to {longest}."
            if before in ("linear", "yarn", "llama3")
            else f"Remove rope_scaling and lower cutoff_len to {longest}.",
        )
    if before == kind:
        # Stretched further, from the same original length.
        return {**own, "factor": float(own.get("factor", 1.0)) * factor}
    stretched = {**own, "rope_type": kind, "factor": float(factor)}
    if kind in ("yarn", "llama3"):
        stretched["original_max_position_embeddings"] = longest
    return {**stretched, **_LLAMA3} if kind == "llama3" else stretched
