"""The record that stands beside a field and says what a form needs: tier, unit, conditions. Not for drawing forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

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
IN_GROUPS = Condition("method.stage", ("grpo", "rloo"))
IN_ANSWERING = Condition("method.stage", ("ppo", "grpo", "rloo"))
"""Stages that write answers themselves and learn from the rewards of these."""
WITH_REFERENCE = Condition("method.stage", ("dpo", "kto", "ppo", "grpo", "rloo"))
IN_WRITING = Condition("method.stage", ("pt", "sft", "ppo", "dpo", "kto", "grpo", "rloo"))
"""Stages whose model writes text."""
IN_REWARD = Condition("method.stage", ("rm",))

AdapterMethod = Literal[
    "lora",
    "oft",
    "adalora",
    "vera",
    "loha",
    "lokr",
    "miss",
    "ia3",
    "ln_tuning",
    "prompt_tuning",
    "prefix_tuning",
]
"""Methods that leave the model's weights as they are and train an adapter; the names are PEFT's."""
ADAPTER_METHODS: tuple[str, ...] = get_args(AdapterMethod)
PROMPT_METHODS = ("prompt_tuning", "prefix_tuning")
"""Methods that put trained vectors in front of every sequence, and change no layer."""

WITH_LORA = Condition("method.finetuning_type", ("lora",))
WITH_OFT = Condition("method.finetuning_type", ("oft",))
WITH_ADAPTER = Condition("method.finetuning_type", ADAPTER_METHODS)
WITH_LORA_TABLE = Condition("method.finetuning_type", tuple(each for each in ADAPTER_METHODS if each != "oft"))
WITH_TARGETS = Condition(
    "method.finetuning_type", tuple(each for each in ADAPTER_METHODS if each not in ("oft", *PROMPT_METHODS))
)
WITH_RANK = Condition("method.finetuning_type", ("lora", "adalora", "vera", "loha", "lokr", "miss"))
WITH_ALPHA = Condition("method.finetuning_type", ("lora", "adalora", "loha", "lokr"))
WITH_DROPOUT = Condition("method.finetuning_type", ("lora", "adalora", "vera", "miss"))
WITH_FREEZE = Condition("method.finetuning_type", ("freeze",))
WITH_LLAMA_PRO = Condition("method.finetuning_type", ("freeze", "lora"))
WITH_WHOLE_WEIGHTS = Condition("method.finetuning_type", ("freeze", "full"))
