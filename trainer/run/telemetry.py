"""What the machine is doing: GPUs through NVML, processor and memory through psutil. Not the run's own throughput."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NO_GPU = "no NVIDIA GPU"


@dataclass(frozen=True)
class Gpu:
    """One GPU. Memory in bytes, utilization in percent, temperature in degrees Celsius, power in watts.

    None is what the driver does not tell (MIG slices, some containers and boards).
    """

    index: int
    name: str
    memory_used: int | None = None
    memory_total: int | None = None
    utilization: float | None = None
    temperature: float | None = None
    power: float | None = None
    power_limit: float | None = None


@dataclass(frozen=True)
class Telemetry:
    """One look at the machine. Memory is the RAM in bytes, within the container's limit where there is one.

    `gpu_note` says why `gpus` is empty.
    """

    gpus: tuple[Gpu, ...] = ()
    cpu_percent: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    gpu_note: str = ""


def sample() -> Telemetry:
    """Look now. Never raises and never waits; `cpu_percent` is over the time since the call before."""
    gpus, note = _gpus()
    used, total = _memory()
    return Telemetry(gpus, _cpu_percent(), used, total, note)


@functools.cache
def _start_nvml() -> str:
    """Initialise NVML once in this process; the reason why there are no GPUs, or an empty text."""
    try:
        import pynvml
    except ImportError:
        return NO_GPU
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return NO_GPU
    except pynvml.NVMLError_DriverNotLoaded:
        return "NVIDIA driver not loaded"
    except pynvml.NVMLError as error:
        return f"NVML: {error}"
    return ""


def _gpus() -> tuple[tuple[Gpu, ...], str]:
    note = _start_nvml()
    if note:
        return (), note
    import pynvml

    count = _ask(pynvml.nvmlDeviceGetCount) or 0
    gpus = tuple(_gpu(index) for index in range(count))
    return gpus, "" if gpus else NO_GPU


def _gpu(index: int) -> Gpu:
    import pynvml

    handle = _ask(pynvml.nvmlDeviceGetHandleByIndex, index)
    if handle is None:
        return Gpu(index, f"GPU {index}")
    memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    rates = _ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
    power = _ask(pynvml.nvmlDeviceGetPowerUsage, handle)
    limit = _ask(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    temperature = _ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
    return Gpu(
        index=index,
        name=str(_ask(pynvml.nvmlDeviceGetName, handle) or f"GPU {index}"),
        memory_used=None if memory is None else int(memory.used),
        memory_total=None if memory is None else int(memory.total),
        utilization=None if rates is None else float(rates.gpu),
        temperature=None if temperature is None else float(temperature),
        power=None if power is None else power / 1000,
        power_limit=None if limit is None else limit / 1000,
    )


def _ask(question: Callable[..., Any], *arguments: object) -> Any:
    """What NVML answers; None for anything it does not support, does not permit or has lost."""
    import pynvml

    try:
        return question(*arguments)
    except (pynvml.NVMLError, OSError, ValueError):
        return None


@functools.cache
def _first_cpu_look() -> None:
    """psutil's first answer is a meaningless 0.0: take it before the first one that is shown."""
    import psutil

    psutil.cpu_percent(interval=None)


def _cpu_percent() -> float | None:
    import psutil

    first = _first_cpu_look.cache_info().currsize == 0
    _first_cpu_look()
    return None if first else float(psutil.cpu_percent(interval=None))


def _memory() -> tuple[int | None, int | None]:
    import psutil

    memory = psutil.virtual_memory()
    used, total = int(memory.total - memory.available), int(memory.total)
    limit, current = _container_memory()
    if limit is not None and limit < total:
        return (used if current is None else current), limit
    return used, total


def _container_memory() -> tuple[int | None, int | None]:
    """Limit and use of this control group in bytes (version 2); on rented machines it is less than the host's RAM."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = int((folder / "memory.max").read_text())
        current = int((folder / "memory.current").read_text())
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None, None
    # Cached file pages are given back under pressure: they are not what runs out.
    return limit, current - int(statistics.get("inactive_file", 0))
