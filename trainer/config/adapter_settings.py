"""The settings of PEFT's adapters: which of them are parameters of ours, and which of the others may be given.

Their names and types are read from the installed source without importing it. Whether a value of the right type makes
sense is for PEFT to say.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import json
import typing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

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


_CHOICES = ("Literal", "Optional", "Union")
_TYPES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (bool, int, float, str, list, dict, tuple)},
    **{name: getattr(typing, name) for name in _CHOICES},
    "None": None,
}


@dataclass(frozen=True)
class SettingProblem:
    """What is wrong with an entry of `adapter_kwargs`: `kind` is unknown, parameter, refused or type."""

    kind: str
    name: str
    detail: str


@cache
def adapter_setting_types(method: str) -> dict[str, str]:
    """The settings of PEFT's adapter of this name with their types, as written there; empty without PEFT."""
    found = importlib.util.find_spec("peft")
    if found is None or found.origin is None:
        return {}
    folder = Path(found.origin).parent
    files = [*([_BASES[method]] if method in _BASES else []), _FILES[method]]
    return {name: kind for file in files for name, kind in _fields(folder / file).items()}


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
    known = adapter_setting_types(method)
    if name in known:
        fits = _fits(value, known[name])
        return None if fits else SettingProblem("type", f"{name} = {value!r}", _in_words(known[name]))
    if not known:
        return None
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return SettingProblem("unknown", name, near[0] if near else ", ".join(sorted(known)))


def _fits(value: object, kind: str) -> bool:
    """Whether a value is of a type; also where that is none of Python's own, which only PEFT can judge."""
    adapter = _adapter_of(kind)
    if adapter is None:
        return True
    try:
        # As JSON, whose lists stand for tuples too.
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


@cache
def _adapter_of(kind: str) -> TypeAdapter[Any] | None:
    try:
        return TypeAdapter(_type_of(ast.parse(kind, mode="eval").body))
    except (KeyError, TypeError):
        return None


def _type_of(node: ast.expr) -> Any:
    """The type that an annotation writes. Raises: KeyError, TypeError when it is not one of Python's own."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return _TYPES[name]
        case ast.Attribute(ast.Name("typing"), name):
            return _TYPES[name]
        case ast.Tuple(parts):
            return tuple(_type_of(part) for part in parts)
        case ast.Subscript(outer, inner):
            return _type_of(outer)[_type_of(inner)]
        case ast.BinOp(left, ast.BitOr(), right):
            return typing.Union[_type_of(left), _type_of(right)]  # noqa: UP007
    raise TypeError(ast.dump(node))


def _in_words(kind: str) -> str:
    """A type as a user reads it: "bool or int", without the None that leaving the setting out is."""
    node = ast.parse(kind, mode="eval").body
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in _CHOICES:
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return " or ".join(_in_words(ast.unparse(part)) for part in parts)
    return kind


def _fields(file: Path) -> dict[str, str]:
    """The annotated fields of the configuration classes of a source file, with their annotations."""
    classes = [node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    fields = [item for node in classes for item in node.body if isinstance(item, ast.AnnAssign)]
    return {item.target.id: ast.unparse(item.annotation) for item in fields if isinstance(item.target, ast.Name)}
