"""The settings of PEFT's adapters: which of them are parameters of ours, and which of the others may be given.

Their names are read from the installed source without importing it. Not for the values: PEFT checks those.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from trainer.config.form import PROMPT_METHODS

_TARGETS = {"target_modules": "lora.lora_target", "modules_to_save": "lora.additional_target"}
_LORA = {"lora_alpha": "lora.lora_alpha", "lora_dropout": "lora.lora_dropout"}
_LYCORIS = {"r": "lora.lora_rank", "alpha": "lora.lora_alpha"}

PARAMETERS_OF_SETTINGS: dict[str, dict[str, str]] = {
    "lora": {
        "r": "lora.lora_rank",
        **_LORA,
        "use_rslora": "lora.use_rslora",
        "use_dora": "lora.use_dora",
        **_TARGETS,
    },
    "adalora": {"target_r": "lora.lora_rank", **_LORA, **_TARGETS},
    "vera": {"r": "lora.lora_rank", "vera_dropout": "lora.lora_dropout", **_TARGETS},
    "loha": {**_LYCORIS, **_TARGETS},
    "lokr": {**_LYCORIS, **_TARGETS},
    "miss": {"r": "lora.lora_rank", "miss_dropout": "lora.lora_dropout", **_TARGETS},
    "ia3": _TARGETS,
    "ln_tuning": _TARGETS,
    "prompt_tuning": {},
    "prefix_tuning": {},
    "oft": {
        "r": "oft.oft_rank",
        "oft_block_size": "oft.oft_block_size",
        "module_dropout": "oft.module_dropout",
        "target_modules": "oft.oft_target",
        "modules_to_save": "oft.additional_target",
    },
}
"""By method: PEFT's setting, and the key of the parameter that gives it its value."""

SOUND_STARTS: tuple[object, ...] = (True, "gaussian", "orthogonal", "mica")
"""The values of `init_lora_weights` that leave the base model as it is and need no data."""

_OF_A_RUN = "the run sets it"
_NEEDS_DATA = "it needs a pass over data before the training"
_REFUSED = {
    "task_type": _OF_A_RUN,
    "peft_type": _OF_A_RUN,
    "inference_mode": _OF_A_RUN,
    "base_model_name_or_path": _OF_A_RUN,
    "revision": _OF_A_RUN,
    "auto_mapping": _OF_A_RUN,
    "total_step": _OF_A_RUN,
    "loftq_config": "loftq_init does it",
    "eva_config": _NEEDS_DATA,
    "corda_config": _NEEDS_DATA,
    "lora_ga_config": _NEEDS_DATA,
    "megatron_config": "Megatron is not used here",
    "megatron_core": "Megatron is not used here",
}

# Where PEFT defines the settings of a method; what stands in a base class in another file is added.
_FILES = {method: f"tuners/{method}/config.py" for method in PARAMETERS_OF_SETTINGS}
_BASES = {
    "adalora": "tuners/lora/config.py",
    "loha": "tuners/lycoris_utils.py",
    "lokr": "tuners/lycoris_utils.py",
    **dict.fromkeys(PROMPT_METHODS, "config.py"),
}


@dataclass(frozen=True)
class SettingProblem:
    """What is wrong with a name in `adapter_kwargs`: `kind` is unknown, parameter or refused."""

    kind: str
    name: str
    detail: str


@cache
def adapter_setting_names(method: str) -> frozenset[str]:
    """The settings of PEFT's adapter of this name; empty when PEFT is not installed."""
    found = importlib.util.find_spec("peft")
    if found is None or found.origin is None:
        return frozenset()
    folder = Path(found.origin).parent
    files = [_FILES[method], *([_BASES[method]] if method in _BASES else [])]
    return frozenset(name for file in files for name in _fields(folder / file))


def adapter_setting_problem(method: str, name: str, value: object) -> SettingProblem | None:
    """What is wrong with a setting in `adapter_kwargs`; None when it may be given to PEFT."""
    if name in _REFUSED:
        return SettingProblem("refused", name, _REFUSED[name])
    if key := PARAMETERS_OF_SETTINGS[method].get(name):
        return SettingProblem("parameter", name, key.partition(".")[2])
    if name == "init_lora_weights" and value not in SOUND_STARTS:
        return SettingProblem(
            "refused", f"{name} = {value}", "it changes the base model; pissa_init and loftq_init act"
        )
    known = adapter_setting_names(method)
    if not known or name in known:
        return None
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return SettingProblem("unknown", name, near[0] if near else ", ".join(sorted(known)))


def _fields(file: Path) -> list[str]:
    """The annotated fields of the configuration classes of a source file."""
    classes = [node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    fields = (item.target for node in classes for item in node.body if isinstance(item, ast.AnnAssign))
    return [field.id for field in fields if isinstance(field, ast.Name)]
