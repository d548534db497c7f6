"""What the machine can do, as far as settings depend on it. Asks NVML, never torch. Live gauges are trainer.run's."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_Gpu = TypeVar("_Gpu")

# Compute capability 8.0 (Ampere) is the first with bfloat16.
_FIRST_BF16_CAPABILITY = 8

# Modules of packages that single parameters need.
OPTIONAL_PACKAGES = ("bitsandbytes", "flash_attn", "flash_attn_interface", "hqq", "liger_kernel")


@dataclass(frozen=True)
class Hardware:
    """The machine that a run is for."""

    cuda: bool
    """There is an NVIDIA GPU that a run may use."""
    bf16: bool
    """All of those GPUs compute in bfloat16."""
    gpu_count: int
    cpu_cores: int
    """Cores that this process may use."""
    packages: frozenset[str] | None = None
    """Which of the optional packages can be imported; None when nobody has looked."""

    @staticmethod
    def detect() -> Hardware:
        """This machine, with CUDA_VISIBLE_DEVICES respected."""
        capabilities = _gpu_capabilities()
        count = len(capabilities)
        return Hardware(
            cuda=count > 0,
            bf16=count > 0 and min(capabilities) >= _FIRST_BF16_CAPABILITY,
            gpu_count=count,
            cpu_cores=len(os.sched_getaffinity(0)),
            packages=frozenset(name for name in OPTIONAL_PACKAGES if importlib.util.find_spec(name) is not None),
        )


def _gpu_capabilities() -> list[int]:
    """Major compute capability of each GPU that PyTorch would use; empty without a driver."""
    if not _torch_has_cuda():
        return []
    # Settings may not know trainer.run, where NVML is wrapped, so the two calls stand here too.
    import pynvml  # noqa: TID251

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        majors = [int(pynvml.nvmlDeviceGetCudaComputeCapability(handle)[0]) for handle in handles]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()
    return visible(majors, os.environ.get("CUDA_VISIBLE_DEVICES"))


def _torch_has_cuda() -> bool:
    """Whether the installed PyTorch is built for NVIDIA GPUs, read off its version file without importing it."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return True
    file = Path(found.origin).with_name("version.py")
    return not file.is_file() or not re.search(r"^cuda\b.*=\s*None\s*$", file.read_text(encoding="utf-8"), re.MULTILINE)


def visible(gpus: Sequence[_Gpu], variable: str | None) -> list[_Gpu]:
    """Those of the GPUs that CUDA_VISIBLE_DEVICES leaves; names other than numbers (UUIDs) count as the first ones."""
    if variable is None:
        return list(gpus)
    chosen: list[_Gpu] = []
    for position, entry in enumerate(part.strip() for part in variable.split(",") if part.strip()):
        index = int(entry) if entry.lstrip("-").isdigit() else position
        # CUDA stops at the first entry that names no GPU.
        if not 0 <= index < len(gpus):
            break
        chosen.append(gpus[index])
    return chosen
