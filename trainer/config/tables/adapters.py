"""`[freeze]`, `[lora]` and `[oft]`: which part of the model is trained. The choice among them is in `[method]`."""
# ruff: noqa: RUF012 - pydantic copies defaults; ruff does not see that a Table is one of its models.

from typing import Annotated, ClassVar

from pydantic import Field

from trainer.config.form import (
    WITH_ALPHA,
    WITH_DROPOUT,
    WITH_FREEZE,
    WITH_LORA,
    WITH_LORA_TABLE,
    WITH_OFT,
    WITH_RANK,
    WITH_TARGETS,
    Condition,
    Form,
)
from trainer.config.tables.base import Table, TextList

ONLY_LORA = Form("advanced", when=(WITH_LORA,))


class FreezeTable(Table):
    """Which layers `finetuning_type = "freeze"` trains."""

    applies_when: ClassVar[tuple[Condition, ...]] = (WITH_FREEZE,)

    freeze_trainable_layers: Annotated[int, Field(ge=-512, le=512), Form("basic", unit="layers")] = 2
    """How many layers are trained: n the last n, -n the first n. All other layers stay as they are. With
    `use_llama_pro` the added blocks are trained instead."""

    freeze_trainable_modules: Annotated[TextList, Form("advanced")] = ["all"]
    """Which parts of those layers are trained, such as `["mlp", "self_attn"]`. `["all"]`: every part."""

    freeze_extra_modules: Annotated[TextList, Form("advanced")] = []
    """Parts outside the layers to train as well, such as `["lm_head", "embed_tokens"]`."""


class LoraTable(Table):
    """What `finetuning_type = "lora"` and the other adapters of its kind add and train."""

    applies_when: ClassVar[tuple[Condition, ...]] = (WITH_LORA_TABLE,)

    lora_rank: Annotated[int, Field(ge=1, le=4096), Form("basic", when=(WITH_RANK,))] = 8
    """Width of the added matrices. More rank can learn more and costs more memory; 8 to 32 suit most chat data, 64
    and above a new language or skill. VeRA shares its matrices and wants 256, MiSS 64; AdaLoRA begins with half as
    much again."""

    lora_alpha: Annotated[int | None, Field(ge=1), Form("basic", when=(WITH_ALPHA,))] = None
    """Strength of the adapter: its output is multiplied by alpha / rank. Unset: twice the rank. Change it only
    together with the learning rate."""

    lora_dropout: Annotated[float, Field(ge=0, lt=1), Form("basic", when=(WITH_DROPOUT,))] = 0.0
    """Share of the adapter's inputs that is dropped at random in each step, against overfitting on small data."""

    lora_target: Annotated[TextList, Form("basic", when=(WITH_TARGETS,))] = ["all"]
    """The layers that get an adapter, by name, such as `["q_proj", "v_proj"]`, or one regular expression for the
    whole name, such as `[".*layers\\.1[0-9]\\..*_proj"]`. `["all"]`: every linear layer but the output layer; for
    ln_tuning every norm. The older name `target_modules` is understood."""

    additional_target: Annotated[TextList, Form("advanced", when=(WITH_TARGETS,))] = []
    """Layers that are trained whole and saved with the adapter, such as `["embed_tokens", "lm_head"]`. Layers that
    share their weights stay one."""

    trainable_tokens: Annotated[TextList, Form(when=(WITH_LORA,))] = []
    """Tokens of the vocabulary whose embeddings are trained too, by text (`<|im_end|>`) or number. Use it for tokens
    that the base model hardly knows, such as those of a chat template; new tokens are trained anyway. The adapter stays
    small, but training needs memory for copies of the embeddings, as with new tokens."""

    loraplus_lr_ratio: Annotated[float | None, Field(gt=0), ONLY_LORA] = None
    """LoRA+: how many times larger the learning rate of matrix B is than that of A, often 16. Unset: the same."""

    loraplus_lr_embedding: Annotated[float, Field(gt=0), Form(when=(WITH_LORA,))] = 1e-6
    """LoRA+: learning rate of embedding adapters."""

    use_rslora: Annotated[bool, ONLY_LORA] = False
    """Rank-stabilised LoRA: divide by the square root of the rank, which suits ranks of 64 and more."""

    use_dora: Annotated[bool, ONLY_LORA] = False
    """Weight-decomposed LoRA: learns size and direction apart. Often a little better, clearly slower."""

    pissa_init: Annotated[bool, ONLY_LORA] = False
    """PiSSA: start the adapter from the largest singular vectors of the weights, which are taken out of the weights.
    Learns faster than LoRA at first."""

    pissa_iter: Annotated[
        int, Field(ge=-1), Form(unit="iterations", when=(WITH_LORA, Condition("lora.pissa_init", (True,))))
    ] = 16
    """PiSSA: iterations of the fast decomposition; -1 computes the exact one."""

    pissa_convert: Annotated[bool, Form(when=(WITH_LORA, Condition("lora.pissa_init", (True,))))] = False
    """PiSSA: save ordinary LoRA adapters of twice the rank, which work on the unchanged base model everywhere.
    Otherwise a checkpoint holds the adapter as it is trained, with its start beside it (folder `pissa_init`), from
    which trimtab knows the changed base."""

    loftq_init: Annotated[bool, ONLY_LORA] = False
    """LoftQ: start the adapter from what 4-bit quantization loses of the weights. Needs quantization_bit 4 and the
    model's safetensors."""

    create_new_adapter: Annotated[bool, Form("advanced")] = False
    """Merge all adapters of `adapter_name_or_path` and train a new one on top."""


class OftTable(Table):
    """The rotations that `finetuning_type = "oft"` trains."""

    applies_when: ClassVar[tuple[Condition, ...]] = (WITH_OFT,)

    oft_rank: Annotated[int, Field(ge=0), Form("basic")] = 0
    """Number of rotation blocks in a layer. 0: as many as `oft_block_size` gives. Set one of the two, not both."""

    oft_block_size: Annotated[int, Field(ge=0), Form("basic")] = 32
    """Size of each rotation block. 0: as large as `oft_rank` gives."""

    oft_target: Annotated[TextList, Form("basic")] = ["all"]
    """The layers that are rotated, by name. `["all"]`: every linear layer but the output layer."""

    module_dropout: Annotated[float, Field(ge=0, lt=1), Form("advanced")] = 0.0
    """Share of the rotation blocks that is left out at random in each step."""

    additional_target: Annotated[TextList, Form("advanced")] = []
    """Layers that are trained whole and saved with the adapter."""

    create_new_adapter: Annotated[bool, Form("advanced")] = False
    """Merge all adapters of `adapter_name_or_path` and train a new one on top."""
