"""The one definition of every parameter: tables, help, limits, rules, defaults, presets.

TOML files, the command line, forms, checks and the reference page are all made from it. Knows no other part of trimtab.
"""

from trainer.config.checking import check
from trainer.config.finding import Finding, Severity
from trainer.config.form import Condition, Form
from trainer.config.hardware import Hardware
from trainer.config.locations import resolve_dataset_dir, resolve_model_path
from trainer.config.overrides import apply_overrides, parse_value
from trainer.config.parameter import Parameter, applies, exceptions, parameter, parameters
from trainer.config.presets import Change, Preset, PresetInfo, delete_preset, list_presets, load_preset, save_preset
from trainer.config.problems import PresetErrors
from trainer.config.recipe import Recipe
from trainer.config.resolve import Choice, Resolved, resolve
from trainer.config.validation import as_user_error

__all__ = [
    "Change",
    "Choice",
    "Condition",
    "Finding",
    "Form",
    "Hardware",
    "Parameter",
    "Preset",
    "PresetErrors",
    "PresetInfo",
    "Recipe",
    "Resolved",
    "Severity",
    "applies",
    "apply_overrides",
    "as_user_error",
    "check",
    "delete_preset",
    "exceptions",
    "list_presets",
    "load_preset",
    "parameter",
    "parameters",
    "parse_value",
    "resolve",
    "resolve_dataset_dir",
    "resolve_model_path",
    "save_preset",
]
