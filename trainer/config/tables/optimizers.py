"""`[galore]`, `[apollo]`, `[badam]`: optimizers that train all weights in little memory. Others are `train.optim`."""
# ruff: noqa: RUF012 - pydantic copies defaults; ruff does not see that a Table is one of its models.

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainer.config.form import WITH_WHOLE_WEIGHTS, Condition, Form
from trainer.config.tables.base import Table, TextList

GALORE = (Condition("galore.use_galore", (True,)),)
APOLLO = (Condition("apollo.use_apollo", (True,)),)
BADAM = (Condition("badam.use_badam", (True,)),)
BADAM_LAYER = (*BADAM, Condition("badam.badam_mode", ("layer",)))
BADAM_RATIO = (*BADAM, Condition("badam.badam_mode", ("ratio",)))


class GaloreTable(Table):
    """GaLore: optimizer state in a low-rank projection of the gradient."""

    applies_when: ClassVar[tuple[Condition, ...]] = (WITH_WHOLE_WEIGHTS,)

    use_galore: Annotated[bool, Form("advanced")] = False
    """Train all weights with optimizer state of low rank (GaLore)."""

    galore_target: Annotated[TextList, Form("advanced", when=GALORE)] = ["all"]
    """The layers whose gradients are projected. `["all"]`: every linear layer."""

    galore_rank: Annotated[int, Field(ge=1), Form("advanced", when=GALORE)] = 16
    """Rank of the projection."""

    galore_update_interval: Annotated[int, Field(ge=1), Form("advanced", unit="steps", when=GALORE)] = 200
    """Steps between new projections."""

    galore_scale: Annotated[float, Field(gt=0), Form("advanced", when=GALORE)] = 2.0
    """Factor on the projected update."""

    galore_proj_type: Annotated[Literal["std", "reverse_std", "right", "left", "full"], Form("expert", when=GALORE)] = (
        "std"
    )
    """On which side of a matrix the projection acts; `std` takes the shorter side."""

    galore_layerwise: Annotated[bool, Form("expert", when=GALORE)] = False
    """Update each layer as soon as its gradient is there: least memory; no accumulation, one GPU only."""


class ApolloTable(Table):
    """APOLLO: learning rates per channel from a low-rank view of the gradient."""

    applies_when: ClassVar[tuple[Condition, ...]] = (WITH_WHOLE_WEIGHTS,)

    use_apollo: Annotated[bool, Form("advanced")] = False
    """Train all weights with scaling factors of low rank (APOLLO)."""

    apollo_target: Annotated[TextList, Form("advanced", when=APOLLO)] = ["all"]
    """The layers that are treated so. `["all"]`: every linear layer."""

    apollo_rank: Annotated[int, Field(ge=1), Form("advanced", when=APOLLO)] = 16
    """Rank of the projection; 1 is APOLLO-Mini."""

    apollo_update_interval: Annotated[int, Field(ge=1), Form("advanced", unit="steps", when=APOLLO)] = 200
    """Steps between new projections."""

    apollo_scale: Annotated[float, Field(gt=0), Form("advanced", when=APOLLO)] = 32.0
    """Factor on the scaled update."""

    apollo_proj: Annotated[Literal["svd", "random"], Form("expert", when=APOLLO)] = "random"
    """Where the projection comes from: `random` costs nothing, `svd` follows the gradient."""

    apollo_proj_type: Annotated[Literal["std", "right", "left"], Form("expert", when=APOLLO)] = "std"
    """On which side of a matrix the projection acts; `std` takes the shorter side."""

    apollo_scale_type: Annotated[Literal["channel", "tensor"], Form("expert", when=APOLLO)] = "channel"
    """One scaling factor per channel, or one per matrix."""

    apollo_layerwise: Annotated[bool, Form("expert", when=APOLLO)] = False
    """Update each layer as soon as its gradient is there: least memory; no accumulation, one GPU only."""

    apollo_scale_front: Annotated[bool, Form("expert", when=APOLLO)] = False
    """Apply the factor before the limit on growth of the norm instead of after it."""


class BadamTable(Table):
    """BAdam: Adam over one block of layers at a time."""

    applies_when: ClassVar[tuple[Condition, ...]] = (WITH_WHOLE_WEIGHTS,)

    use_badam: Annotated[bool, Form("advanced")] = False
    """Train one block of layers at a time (BAdam)."""

    badam_mode: Annotated[Literal["layer", "ratio"], Form("advanced", when=BADAM)] = "layer"
    """`layer`: whole layers in turn. `ratio`: a share of each matrix."""

    badam_start_block: Annotated[int | None, Field(ge=0), Form("expert", when=BADAM_LAYER)] = None
    """Number of the first block. Unset: as `badam_switch_mode` begins."""

    badam_switch_mode: Annotated[
        Literal["ascending", "descending", "random", "fixed"], Form("advanced", when=BADAM_LAYER)
    ] = "ascending"
    """In which order the blocks take turns."""

    badam_switch_interval: Annotated[int, Field(ge=-1), Form("advanced", unit="steps", when=BADAM_LAYER)] = 50
    """Steps before the next block has its turn. -1: never."""

    badam_update_ratio: Annotated[float, Field(gt=0, le=1), Form("advanced", when=BADAM_RATIO)] = 0.05
    """Share of each weight that is trained at a time in mode `ratio`; after 100 steps the next share has its turn."""

    badam_mask_mode: Annotated[Literal["adjacent", "scatter"], Form("expert", when=BADAM_RATIO)] = "adjacent"
    """Whether those weights lie together or scattered."""

    badam_verbose: Annotated[int, Field(ge=0, le=2), Form("expert", when=BADAM)] = 0
    """How much BAdam writes to the log: 0 nothing, 1 the block, 2 its weights."""
