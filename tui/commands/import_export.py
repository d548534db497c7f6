"""`trimtab import` and `export-config`: LLaMA-Factory files become presets, and presets such files."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from trainer.config import Hardware, load_preset, resolve
from trainer.errors import UserError
from trainer.paths import user_presets_folder
from trainer.run.files import write_whole
from tui.commands.check import print_findings
from tui.locale import text

FAILED_EXIT = 1


def import_preset(arguments: Namespace) -> int:
    """Write a preset from a LLaMA-Factory file; exit 1 when something in it was not understood."""
    from trainer.config.llamafactory import is_llamafactory, preset_text, readable_import

    path = Path(arguments.file).expanduser()
    if not is_llamafactory(path):
        raise UserError(text("command_line.import_ending"), file=path)
    made, problems = readable_import(path)
    target = Path(arguments.output).expanduser() if arguments.output else user_presets_folder() / f"{path.stem}.toml"
    if target.suffix != ".toml":
        raise UserError(text("command_line.import_target"), file=target)
    content = preset_text(made, text("command_line.import_description", name=path.name))
    _write(target, content, replace=arguments.replace)
    print_findings(made.findings)
    for problem in problems:
        print(f"{text('command_line.severity_error')}: {problem}")
    name = target if arguments.output else target.stem
    print(text("command_line.import_done", path=target, name=name))
    return FAILED_EXIT if problems else 0


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
        _write(target, exported.text, replace=arguments.replace)
        print(text("command_line.export_config_done", path=target))
    sys.stdout.flush()
    print_findings(exported.findings, to_errors=True)
    return 0


def _write(target: Path, content: str, *, replace: bool) -> None:
    """Raises: UserError when the file is there and not to be replaced."""
    if target.exists() and not replace:
        raise UserError(text("command_line.file_exists"), file=target, hint=text("command_line.file_exists_hint"))
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, content.encode("utf-8"))
