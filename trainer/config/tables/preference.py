"""`[preference]`: learning from better and worse answers. The stage itself is chosen in `[method]`."""
# ruff: noqa: RUF012 - pydantic copies defaults; ruff does not see that a Table is one of its models.

from typing import Annotated, ClassVar, Literal, cast, get_args

from pydantic import Field

from trainer.config.form import IN_DPO, IN_KTO, IN_PREFERENCE, WITH_REFERENCE, Condition, Form
from trainer.config.tables.base import NumberList, Table, TextList

PairLoss = Literal[
    "sigmoid",
    "hinge",
    "ipo",
    "kto_pair",
    "orpo",
    "simpo",
    "robust",
    "exo_pair",
    "nca_pair",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sigmoid_norm",
    "sft",
]
PAIR_LOSSES: tuple[PairLoss, ...] = get_args(PairLoss)
REFERENCE_FREE: tuple[PairLoss, ...] = ("orpo", "simpo", "sft")
"""Losses that take no reference model."""
SMOOTHED: tuple[PairLoss, ...] = ("sigmoid", "robust", "exo_pair", "aot", "aot_unpaired")
"""Losses that `dpo_label_smoothing` acts on."""


def _with_loss(*losses: str) -> tuple[Condition, ...]:
    return (IN_DPO, Condition("preference.pref_loss", losses))


class PreferenceTable(Table):
    """DPO with its family, and KTO; and the reference that stages with one stay near."""

    applies_when: ClassVar[tuple[Condition, ...]] = (WITH_REFERENCE,)

    pref_loss: Annotated[PairLoss, Form("basic", when=(IN_DPO,))] = "sigmoid"
    """The loss over pairs: `sigmoid` is DPO as published; `orpo`, `simpo` and `sft` take no reference model. What each
    computes stands in docs/stages.md."""

    pref_loss_mix: Annotated[TextList, Form("expert", when=(IN_DPO,))] = []
    """More losses over pairs, by the names of `pref_loss`, added to it: `pref_loss` sigmoid with bco_pair, sft and the
    weights 0.8, 0.2, 1 is MPO."""

    pref_loss_weights: Annotated[NumberList, Form("expert", when=(IN_DPO,))] = []
    """A weight for `pref_loss` and then for each of `pref_loss_mix`, in their order. Empty: 1 each."""

    pref_beta: Annotated[float, Field(gt=0), Form("basic", when=(IN_PREFERENCE,))] = 0.1
    """How strongly the model is held near the reference: small moves far, large stays close."""

    pref_ftx: Annotated[float, Field(ge=0), Form("advanced", when=(IN_PREFERENCE,))] = 0.0
    """Weight of an ordinary fine-tuning loss on the better answers, added to the preference loss."""

    pref_bco_weight: Annotated[float, Field(ge=0), Form("expert", when=(IN_DPO,))] = 0.0
    """Weight w of the binary classifier loss (BCO): the loss becomes (preference + w * BCO) / (1 + w)."""

    dpo_label_smoothing: Annotated[float, Field(ge=0, lt=0.5), Form("advanced", when=_with_loss(*SMOOTHED))] = 0.0
    """Share of pairs that may be labelled the wrong way round, 0 to below 0.5: conservative DPO with the sigmoid loss;
    `robust`, `exo_pair` and `aot` know it too."""

    simpo_gamma: Annotated[float, Field(ge=0), Form("basic", when=_with_loss("simpo"))] = 0.5
    """SimPO: by how much the better answer's reward shall exceed the worse one's."""

    ld_alpha: Annotated[float | None, Field(ge=0, le=1), Form("expert", when=(IN_DPO,))] = None
    """LD-DPO: weight of the part of the longer answer that exceeds the shorter one, against a taste for length. Unset:
    1, all counts."""

    kto_chosen_weight: Annotated[float, Field(ge=0), Form("basic", when=(IN_KTO,))] = 1.0
    """Weight of answers marked good. Raise it when there are far fewer good than bad ones."""

    kto_rejected_weight: Annotated[float, Field(ge=0), Form("basic", when=(IN_KTO,))] = 1.0
    """Weight of answers marked bad."""

    ref_model: Annotated[str | None, Form("advanced")] = None
    """The model to stay near. Unset: the model as it is when the run starts, with a new adapter the base model itself
    (no memory), else a copy of what is trained."""

    ref_model_adapters: Annotated[TextList, Form("expert")] = []
    """Adapters of the reference model."""

    ref_model_quantization_bit: Annotated[int | None, Field(ge=1, le=8), Form("expert", unit="bits")] = None
    """Load the reference model with this many bits per weight."""

    precompute_ref_log_probs: Annotated[bool, Form("advanced", when=(IN_PREFERENCE,))] = False
    """Ask the reference for all its log-probabilities before the training and forget it: saves its memory, and its time
    from the second epoch on."""

    @property
    def losses(self) -> tuple[PairLoss, ...]:
        """All losses over pairs that are added up; the rules have seen to their names."""
        return (self.pref_loss, *cast(tuple[PairLoss, ...], tuple(self.pref_loss_mix)))

    @property
    def loss_weights(self) -> tuple[float, ...]:
        """The weight of each of them."""
        return tuple(self.pref_loss_weights) or (1.0,) * len(self.losses)

    @property
    def pairs_need_reference(self) -> bool:
        """Whether one of them takes a reference model."""
        return any(loss not in REFERENCE_FREE for loss in self.losses)
