"""The record that stands beside a field and says what a form needs: tier, unit, conditions. Not for drawing forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tier = Literal["basic", "advanced", "expert"]


@dataclass(frozen=True)
class Condition:
    """The value under the dotted `key` is one of `values`."""

    key: str
    values: tuple[object, ...]


@dataclass(frozen=True)
class Form:
    """What a form needs beside type, limits and help."""

    tier: Tier = "expert"
    """Who looks for it: everybody, who tunes, who knows why."""
    unit: str = ""
    """What a number counts: "tokens", "rows", "steps"; empty for text and plain numbers."""
    when: tuple[Condition, ...] = ()
    """The field applies when all of these hold; otherwise a form hides it."""
    live: bool = False
    """May be changed while a run is going."""
    available: bool = True
    """Acts on the run. Where False, any value but the default is refused with "not available yet"."""
    refused: str = ""
    """For what will not come: the name of the rule that says why (`rules/messages.py`). Set with `available=False`."""
    available_choices: tuple[str, ...] = ()
    """Where some choices act and others do not yet: those that do. Empty: all."""
    multiline: bool = False
    """Text that may have several lines."""


IN_SFT = Condition("method.stage", ("sft",))
IN_SEQUENCES = Condition("method.stage", ("pt", "sft"))
"""Stages that learn rows of one sequence, without a second answer beside it."""
IN_DPO = Condition("method.stage", ("dpo",))
IN_KTO = Condition("method.stage", ("kto",))
IN_PREFERENCE = Condition("method.stage", ("dpo", "kto"))
IN_PPO = Condition("method.stage", ("ppo",))
IN_REWARD = Condition("method.stage", ("rm",))
WITH_LORA = Condition("method.finetuning_type", ("lora",))
WITH_OFT = Condition("method.finetuning_type", ("oft",))
WITH_ADAPTER = Condition("method.finetuning_type", ("lora", "oft"))
WITH_FREEZE = Condition("method.finetuning_type", ("freeze",))
WITH_WHOLE_WEIGHTS = Condition("method.finetuning_type", ("freeze", "full"))
