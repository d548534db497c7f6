"""`[swanlab]`, `[ray]`, `[profiler]` and `[fp8]`: reporting, several machines, measuring, 8-bit training."""
# ruff: noqa: RUF012 - pydantic copies defaults; ruff does not see that a Table is one of its models.

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from trainer.config.form import Condition, Form
from trainer.config.tables.base import Table
from trainer.config.tables.inputs_outputs import JsonTable

SWANLAB = (Condition("swanlab.use_swanlab", (True,)),)
PROFILED = (Condition("profiler.enable_torch_profiler", (True,)),)
FP8 = (Condition("fp8.fp8", (True,)),)


def _port_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class SwanlabTable(Table):
    """Reporting to SwanLab. The key comes from the variable SWANLAB_API_KEY."""

    use_swanlab: Annotated[bool, Form("advanced")] = False
    """Send the figures to SwanLab as well."""

    swanlab_project: Annotated[str, Form("advanced", when=SWANLAB)] = "trimtab"
    """The project that gets them. LLaMA-Factory's default is its own name."""

    swanlab_workspace: Annotated[str | None, Form("expert", when=SWANLAB)] = None
    """The workspace. Unset: your own."""

    swanlab_run_name: Annotated[str | None, Form("expert", when=SWANLAB)] = None
    """The name there. Unset: the run's name."""

    swanlab_mode: Annotated[Literal["cloud", "local"], Form("advanced", when=SWANLAB)] = "cloud"
    """`local` writes to the disk only."""

    swanlab_logdir: Annotated[str | None, Form("expert", when=SWANLAB)] = None
    """The folder of the local files. Unset: below the run directory."""


class RayTable(Table):
    """Training on several machines with Ray."""

    available: ClassVar[bool] = False

    ray_num_workers: Annotated[int, Field(ge=1), Form("advanced", unit="workers")] = 1
    """How many workers train, as a rule one per GPU."""

    resources_per_worker: Annotated[JsonTable, Form("expert")] = {"GPU": 1}
    """What each worker takes, as an inline table or JSON text."""

    placement_strategy: Annotated[Literal["SPREAD", "PACK", "STRICT_SPREAD", "STRICT_PACK"], Form("expert")] = "PACK"
    """Whether workers are put on few machines (`PACK`) or many (`SPREAD`); `STRICT_` insists."""

    ray_run_name: Annotated[str | None, Form("expert")] = None
    """Name of the run in Ray. Unset: the run's name."""

    ray_storage_path: Annotated[str, Form("expert")] = "./saves"
    """Storage that all machines see."""

    ray_init_kwargs: Annotated[JsonTable | None, Form("expert")] = None
    """Settings of `ray.init`, as an inline table or JSON text."""

    master_addr: Annotated[str | None, Form("expert")] = None
    """Address of the first machine. Unset: found by Ray, or from MASTER_ADDR."""

    master_port: Annotated[str | None, BeforeValidator(_port_text), Form("expert")] = None
    """Port on the first machine. Unset: a free one, or from MASTER_PORT."""


class ProfilerTable(Table):
    """Measuring where the time of a step goes."""

    enable_torch_profiler: Annotated[bool, Form("expert")] = False
    """Record traces of some steps with PyTorch's profiler, to be opened with ui.perfetto.dev, and with each a table of
    the slowest operations."""

    profiler_output_dir: Annotated[str | None, Form("expert")] = None
    """The folder of the traces and tables. Unset: `profile` in the run directory."""

    profiler_wait_steps: Annotated[int, Field(ge=0), Form("expert", unit="steps")] = 1
    """Steps to wait before each recording."""

    profiler_warmup_steps: Annotated[int, Field(ge=0), Form("expert", unit="steps")] = 1
    """Steps that run the profiler without recording."""

    profiler_active_steps: Annotated[int, Field(ge=1), Form("expert", unit="steps")] = 1
    """Steps that are recorded."""

    profiler_repeat: Annotated[int, Field(ge=0), Form("expert")] = 1
    """How often this is done. 0: to the end of the run."""

    profiler_record_shapes: Annotated[bool, Form("expert", when=PROFILED)] = True
    """Record the shapes of tensors."""

    profiler_profile_memory: Annotated[bool, Form("expert", when=PROFILED)] = True
    """Record memory."""

    profiler_with_stack: Annotated[bool, Form("expert", when=PROFILED)] = True
    """Record where in the code each operation was called."""

    profile_modules: Annotated[str | None, Form("expert")] = None
    """Measure forward and backward time of the modules whose names match, such as `self_attn,mlp` or
    `*.layers.0.*`, in the same steps as the profiler would record, and write them as a table."""


class Fp8Table(Table):
    """Training with 8-bit numbers on Hopper GPUs and newer."""

    available: ClassVar[bool] = False
    refused: ClassVar[str] = "refused_fp8"

    fp8: Annotated[bool, Form("expert")] = False
    """Compute matrix products in 8 bits."""

    fp8_backend: Annotated[Literal["auto", "torchao", "te", "msamp"], Form("expert", when=FP8)] = "auto"
    """The library: torchao, Transformer Engine (`te`) or MS-AMP."""

    fp8_enable_fsdp_float8_all_gather: Annotated[bool, Form("expert", when=FP8)] = False
    """With FSDP2, send weights between GPUs in 8 bits."""
