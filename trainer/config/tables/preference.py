"""`[preference]` and `[ppo]`: learning from better and worse answers. The stage itself is chosen in `[method]`."""
# ruff: noqa: RUF012 - pydantic copies defaults; ruff does not see that a Table is one of its models.

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainer.config.form import IN_DPO, IN_KTO, IN_PPO, IN_PREFERENCE, Condition, Form
from trainer.config.tables.base import Table, TextList


def _with_loss(*losses: str) -> tuple[Condition, ...]:
    return (IN_DPO, Condition("preference.pref_loss", losses))


class PreferenceTable(Table):
    """DPO with its family, and KTO."""

    applies_when: ClassVar[tuple[Condition, ...]] = (IN_PREFERENCE,)
    available: ClassVar[bool] = False

    pref_loss: Annotated[
        Literal["sigmoid", "hinge", "ipo", "kto_pair", "orpo", "simpo"], Form("basic", when=(IN_DPO,))
    ] = "sigmoid"
    """The loss over pairs: `sigmoid` is DPO as published; `orpo` and `simpo` need no reference model."""

    pref_beta: Annotated[float, Field(gt=0), Form("basic")] = 0.1
    """How strongly the model is held near the reference: small moves far, large stays close."""

    pref_ftx: Annotated[float, Field(ge=0), Form("advanced")] = 0.0
    """Weight of an ordinary fine-tuning loss on the better answers, added to the preference loss."""

    pref_bco_weight: Annotated[float, Field(ge=0), Form("expert", when=(IN_DPO,))] = 0.0
    """Weight of the binary classifier loss (BCO), added to the preference loss."""

    dpo_label_smoothing: Annotated[float, Field(ge=0, le=0.5), Form("advanced", when=_with_loss("sigmoid"))] = 0.0
    """Share of pairs that may be labelled the wrong way round (robust DPO), 0 to 0.5. Only with the sigmoid loss."""

    simpo_gamma: Annotated[float, Field(ge=0), Form("basic", when=_with_loss("simpo"))] = 0.5
    """SimPO: by how much the better answer's reward shall exceed the worse one's."""

    ld_alpha: Annotated[float | None, Field(ge=0, le=1), Form("expert", when=(IN_DPO,))] = None
    """LD-DPO: weight of the part of the longer answer that exceeds the shorter one. Unset: 1, all counts."""

    kto_chosen_weight: Annotated[float, Field(ge=0), Form("basic", when=(IN_KTO,))] = 1.0
    """Weight of answers marked good. Raise it when there are far fewer good than bad ones."""

    kto_rejected_weight: Annotated[float, Field(ge=0), Form("basic", when=(IN_KTO,))] = 1.0
    """Weight of answers marked bad."""

    ref_model: Annotated[str | None, Form("advanced")] = None
    """The model to stay near. Unset: with an adapter the base model itself, else a copy of it."""

    ref_model_adapters: Annotated[TextList, Form("expert")] = []
    """Adapters of the reference model."""

    ref_model_quantization_bit: Annotated[int | None, Field(ge=1, le=8), Form("expert", unit="bits")] = None
    """Load the reference model with this many bits per weight."""


class PpoTable(Table):
    """Reinforcement learning against a reward model."""

    applies_when: ClassVar[tuple[Condition, ...]] = (IN_PPO,)
    available: ClassVar[bool] = False

    reward_model: Annotated[str | None, Form("basic")] = None
    """The model that gives answers their reward: a folder, an adapter, or the address of a service."""

    reward_model_type: Annotated[Literal["lora", "full", "api"], Form("basic")] = "lora"
    """What `reward_model` is: an adapter on the same base (`lora`), a model (`full`), or a service (`api`)."""

    reward_model_adapters: Annotated[TextList, Form("expert")] = []
    """Adapters of the reward model."""

    reward_model_quantization_bit: Annotated[int | None, Field(ge=1, le=8), Form("expert", unit="bits")] = None
    """Load the reward model with this many bits per weight."""

    ppo_buffer_size: Annotated[int, Field(ge=1), Form("advanced", unit="batches")] = 1
    """Batches of answers that are generated before they are learned from."""

    ppo_epochs: Annotated[int, Field(ge=1), Form("basic", unit="epochs")] = 4
    """How often each buffer of answers is gone through."""

    ppo_target: Annotated[float, Field(gt=0), Form("advanced")] = 6.0
    """KL distance from the reference that the adaptive penalty aims at."""

    ppo_score_norm: Annotated[bool, Form("advanced")] = False
    """Divide rewards by their spread so far."""

    ppo_whiten_rewards: Annotated[bool, Form("advanced")] = False
    """Bring the rewards of each batch to mean 0 and spread 1 before advantages are computed."""
