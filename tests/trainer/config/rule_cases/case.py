"""A recipe that breaks a rule, and the machines that rules ask for."""

from dataclasses import dataclass, replace

from trainer.config import Hardware

PROCESSOR = Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2)
OLD_GPU = Hardware(cuda=True, bf16=False, gpu_count=1, cpu_cores=8)
TWO_GPUS = Hardware(cuda=True, bf16=True, gpu_count=2, cpu_cores=8)
ZERO3 = {"zero_optimization": {"stage": 3}}


def bare(hardware: Hardware) -> Hardware:
    """The machine without any optional package."""
    return replace(hardware, packages=frozenset())


@dataclass(frozen=True)
class Case:
    """A recipe that breaks one rule."""

    rule: str
    values: dict[str, object]
    text: str
    hardware: Hardware | None = None


def case(rule: str, text: str, hardware: Hardware | None = None, **values: object) -> Case:
    """`lora__lora_rank=8` stands for the key `lora.lora_rank`."""
    return Case(rule, {name.replace("__", "."): value for name, value in values.items()}, text, hardware)
