"""The recipe that a `trimtab data` command works with: a preset if one is named, then options and `key=value` words."""

from __future__ import annotations

from argparse import Namespace

from trainer.config import Recipe, apply_overrides, load_preset
from trainer.config.spellings import translate_values
from trainer.config.validation import validated
from trainer.errors import UserError
from tui.commands.check import print_findings
from tui.locale import text

STAGES = ("pt", "sft", "rm", "dpo", "kto", "ppo", "grpo", "rloo")


def recipe_of(arguments: Namespace) -> Recipe:
    """The recipe of a check, preview or encode, with the named data sets as its `dataset`.

    Raises: UserError for a preset or a value that cannot be used, and when no data set or no model is named.
    """
    options = {
        "model_name_or_path": arguments.model,
        "template": arguments.template,
        "stage": arguments.stage,
        "dataset_dir": arguments.dir,
    }
    words = [f"{name}={value}" for name, value in options.items() if value is not None]
    words += arguments.settings
    if arguments.preset is not None:
        preset = load_preset(arguments.preset, words)
        print_findings([finding for finding in preset.findings if finding.severity != "info"], to_errors=True)
        recipe = preset.recipe
    else:
        values = apply_overrides({}, words)
        translate_values(values)
        recipe = validated(values, {})
    if arguments.sets:
        recipe = recipe.with_values({"data.dataset": arguments.sets})
    if not recipe.data.dataset:
        raise UserError(text("data_commands.no_set"), hint=text("data_commands.no_set_hint"))
    if not recipe.model.model_name_or_path:
        raise UserError(text("data_commands.no_model"), hint=text("data_commands.no_model_hint"))
    return recipe


def stage_of(value: str | None) -> str:
    """The stage that an option names; `sft` when it is not given.

    Raises: UserError for an unknown one.
    """
    stage = value or "sft"
    if stage not in STAGES:
        expected = text("command_line.expected_language", choices=", ".join(STAGES))
        raise UserError(expected, field="--stage", value=stage)
    return stage


def number_of(name: str, value: str | None, default: int) -> int:
    """A whole number from 1 on that an option gives.

    Raises: UserError for anything else.
    """
    if value is None:
        return default
    if not value.isascii() or not value.isdigit() or not int(value):
        raise UserError(text("data_commands.not_a_number"), field=name, value=value)
    return int(value)
