"""What a device needs beside the tensors that PyTorch counts, and what of it is free. All constants stand here.

Those for CUDA come from manuals and reports: they have not been compared with a GPU yet
(`benchmarks/memory_estimate.py --gpu` does it).
"""

from __future__ import annotations

from dataclasses import dataclass

GIBI = 2**30
# CUDA context and kernels loaded by PyTorch: 0.45 to 0.6 GB on data centre cards (seen in nvidia-smi as the difference
# to torch.cuda.memory_reserved after the first kernel).
CUDA_CONTEXT = int(0.55 * GIBI)
# cuBLAS keeps 32 MiB per handle and stream on Hopper, 8 MiB before (CUBLAS_WORKSPACE_CONFIG in NVIDIA's manual).
CUDA_WORKSPACE = 32 * 2**20
# What the caching allocator holds beyond what tensors fill: 3 to 8 % in PyTorch's own reports for training loops.
CUDA_FRAGMENTATION = 0.05
# Interpreter, torch, transformers, tokenizers in memory beside all tensors: `trimtab probe demo` takes 674 MiB at most,
# of which 190 are tensors.
PROCESS = GIBI // 2


@dataclass(frozen=True)
class Device:
    """Where a run would train. Bytes; None where the driver does not tell."""

    name: str
    is_gpu: bool
    total: int | None
    free: int | None
    """What nobody uses now."""
    index: int = 0
    """Number of the GPU, as the driver counts."""

    @property
    def used(self) -> int | None:
        """What others use now: other processes, the screen."""
        return None if self.total is None or self.free is None else self.total - self.free


def overhead(tensors: int, *, is_gpu: bool) -> int:
    """Bytes that a process takes beside `tensors` bytes of tensors."""
    if not is_gpu:
        return PROCESS
    return CUDA_CONTEXT + CUDA_WORKSPACE + round(tensors * CUDA_FRAGMENTATION)
