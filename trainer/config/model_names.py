"""Names of models on a hub as one types them: `owner/name`, `hf://owner/name@revision`, `ms://owner/name`.

Not for finding or downloading them (`trainer.data.hub`).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.config.locations import SHIPPED
from trainer.errors import UserError

Hub = Literal["huggingface", "modelscope"]

_ADDRESS = re.compile(r"(?P<hub>hf|ms)://(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_NAME = re.compile(r"[\w][\w.-]*/[\w.-]*[\w]")
_ON = ("1", "true", "y", "yes", "on")


@dataclass(frozen=True)
class HubModel:
    """One model, or one adapter, of a hub."""

    hub: Hub
    name: str
    """`owner/name`."""
    revision: str | None = None
    """Branch, tag or commit. None: the newest state."""

    def __str__(self) -> str:
        address = f"{'hf' if self.hub == 'huggingface' else 'ms'}://{self.name}"
        return f"{address}@{self.revision}" if self.revision else address


def prefers_modelscope() -> bool:
    """Whether the environment asks for ModelScope (`USE_MODELSCOPE_HUB=1`), as LLaMA-Factory does."""
    return _is_on("USE_MODELSCOPE_HUB")


def is_hub_name(name: str) -> bool:
    """Whether `name` can only be a model of a hub: an address, or owner/name where there is no such folder here."""
    if name.startswith(("hf://", "ms://")):
        return True
    return bool(_NAME.fullmatch(name)) and not Path(name).exists()


def hub_model(name: str, *, hub: str | None = None, revision: str | None = None) -> HubModel | None:
    """What a name means on a hub; None for folders and shipped models.

    The hub is that of the address, else `hub`, else the one that the environment asks for. A revision behind an `@`
    goes before `revision`; "main" is the newest state on either hub.

    Raises: UserError for an address that names no model, and where the environment asks for OpenMind.
    """
    if name.startswith(SHIPPED) or not is_hub_name(name):
        return None
    asked = None if revision == "main" else revision
    if "://" in name:
        match = _ADDRESS.fullmatch(name)
        if match is None:
            scheme = name.partition("://")[0]
            hint = f"Write {scheme}://owner/name, and @revision where you need one"
            raise UserError("not the address of a model", field="model_name_or_path", value=name, hint=hint)
        kind: Hub = "huggingface" if match["hub"] == "hf" else "modelscope"
        return HubModel(kind, match["name"], match["revision"] or asked)
    if hub is None and _is_on("USE_OPENMIND_HUB"):
        hint = "Unset USE_OPENMIND_HUB, or download the model with its own tool and give the folder"
        refusal = "models of OpenMind cannot be fetched: its hub has no open way to download single files"
        raise UserError(refusal, field="model_name_or_path", value=name, hint=hint)
    by_environment: Hub = "modelscope" if prefers_modelscope() else "huggingface"
    return HubModel("modelscope" if hub == "modelscope" else "huggingface" if hub else by_environment, name, asked)


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() in _ON
