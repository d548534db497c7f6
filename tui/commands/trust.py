"""`trimtab trust`: look at the code of a model, or at a file of rewards, and agree to it. Nothing of it is run here."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from trainer.config.model_names import hub_model
from trainer.data.model_folder import find_model_folder
from trainer.data.python_file import python_file
from trainer.data.remote_code import ModelCode, give_consent, has_consent, model_code, withdraw_consent
from trainer.errors import UserError
from tui.commands import output
from tui.commands.download import checked_hub
from tui.locale import text


def trust(arguments: Namespace) -> int:
    """Show the files and where they are asked for; ask on a terminal; remember the answer by their content."""
    name, revision, hub = arguments.model, arguments.revision, checked_hub(arguments.hub)
    if name.endswith(".py"):
        file = Path(name).expanduser()
        return _agree(arguments, python_file(file)[0], str(file.resolve()))
    on_hub = hub_model(name, hub=hub, revision=revision)
    folder = find_model_folder(name, cache_dir=arguments.cache_dir, revision=revision, hub=hub, download=True)
    code = model_code(folder)
    if code is None:
        print(text("command_line.trust_no_code", model=name))
        return 0
    return _agree(arguments, code, str(on_hub or folder.resolve()))


def _agree(arguments: Namespace, code: ModelCode, kept_as: str) -> int:
    is_file = arguments.model.endswith(".py")
    _print(code, arguments.model, is_file=is_file)
    if code.elsewhere:
        raise UserError(text("command_line.trust_elsewhere", place=", ".join(code.elsewhere)))
    if arguments.forget:
        print(text("command_line.trust_forgotten" if withdraw_consent(code) else "command_line.trust_not_given"))
        return 0
    if has_consent(code):
        print(text("command_line.trust_had"))
        return 0
    if not arguments.yes and not _answer():
        print(text("command_line.trust_refused"))
        return 1
    give_consent(code, kept_as)
    print(text("command_line.trust_file_given" if is_file else "command_line.trust_given"))
    return 0


def _print(code: ModelCode, name: str, *, is_file: bool) -> None:
    if not is_file:
        print(text("command_line.trust_head", model=name, folder=code.folder))
    table = output.Table([text(f"command_line.column_{column}") for column in ("file", "size", "sha256")])
    for file in code.files:
        table.add(output.harmless(file.name), f"{file.size:,}", file.sha256[:16])
    table.print()
    for line in code.named_in:
        print(f"  {output.harmless(line)}")
    if is_file:
        content = (code.folder / code.files[0].name).read_text(encoding="utf-8", errors="replace")
        print("\n".join(map(output.harmless, content.splitlines())))
        return
    print(text("command_line.trust_needed" if code.is_needed else "command_line.trust_not_needed"))


def _answer() -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(text("command_line.trust_unconfirmed"), hint=text("command_line.trust_with_yes"))
    return input(text("command_line.trust_question") + " ").strip().lower() in ("y", "yes", "是")
