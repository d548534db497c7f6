"""`trimtab import` and `export-config`: LLaMA-Factory files become presets, and presets such files."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from trainer.config import Hardware, load_preset, resolve
from trainer.errors import UserError
from tui.commands.check import print_findings
from tui.importing import import_as_preset, preset_place, write_text
from tui.locale import text

FAILED_EXIT = 1


def import_preset(arguments: Namespace) -> int:
    """Write a preset from a LLaMA-Factory file; exit 1 when something in it was not understood."""
    file = Path(arguments.file).expanduser()
    target = Path(arguments.output).expanduser() if arguments.output else preset_place(file)
    if target.suffix != ".toml":
        raise UserError(text("command_line.import_target"), file=target)
    made = import_as_preset(file, target, replace=arguments.replace)
    print_findings(made.findings)
    for problem in made.problems:
        print(f"{text('command_line.severity_error')}: {problem}")
    name = target if arguments.output else target.stem
    trains = not made.problems and load_preset(str(target)).recipe.train.do_train
    print(text("command_line.import_done" if trains else "command_line.import_look", path=target, name=name))
    return FAILED_EXIT if made.problems else 0


def export_config(arguments: Namespace) -> int:
    """Write a preset as a LLaMA-Factory file, or print it; what it cannot say is listed on standard error."""
    from trainer.config.llamafactory.export import llamafactory_text

    if not arguments.llamafactory:
        raise UserError(text("command_line.export_config_kind"))
    preset = load_preset(arguments.preset, arguments.settings)
    exported = llamafactory_text(resolve(preset.recipe, Hardware.detect()), preset.name)
    if arguments.output is None:
        print(exported.text, end="")
    else:
        target = Path(arguments.output).expanduser()
        write_text(target, exported.text, replace=arguments.replace)
        print(text("command_line.export_config_done", path=target))
    sys.stdout.flush()
    print_findings(exported.findings, to_errors=True)
    return 0
