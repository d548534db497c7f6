"""The services that figures can be sent to: their names and packages. Imports none of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """What a service needs."""

    modules: tuple[str, ...]
    """One of these has to be there."""
    install: str
    """What `pip install` takes."""


PACKAGES: Mapping[str, Package] = {
    "tensorboard": Package(("tensorboard", "tensorboardX"), "tensorboard"),
    "wandb": Package(("wandb",), "wandb"),
    "mlflow": Package(("mlflow",), "mlflow"),
    "swanlab": Package(("swanlab",), "swanlab"),
    "trackio": Package(("trackio",), "trackio"),
    "comet_ml": Package(("comet_ml",), "comet_ml"),
    "clearml": Package(("clearml",), "clearml"),
    "neptune": Package(("neptune",), "neptune"),
    "dvclive": Package(("dvclive",), "dvclive"),
    "dagshub": Package(("dagshub",), "dagshub mlflow"),
    "codecarbon": Package(("codecarbon",), "codecarbon"),
    "azure_ml": Package(("azureml",), "azureml-core"),
    "flyte": Package(("flytekit",), "flytekit"),
}
"""By the name in `report_to`. A test compares them with the installed transformers."""


def is_installed(name: str) -> bool:
    """Whether the package of a service is there; it is not imported."""
    return any(importlib.util.find_spec(module) is not None for module in PACKAGES[name].modules)


def installed_reporters() -> tuple[str, ...]:
    """What `report_to = ["all"]` means on this machine."""
    return tuple(name for name in PACKAGES if is_installed(name))
