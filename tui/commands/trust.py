"""`trimtab trust`: look at the code that comes with a model, and agree to it. Nothing of it is run here."""

from __future__ import annotations

import sys
from argparse import Namespace

from trainer.config.model_names import hub_model
from trainer.data.model_folder import find_model_folder
from trainer.data.remote_code import ModelCode, give_consent, has_consent, model_code, withdraw_consent
from trainer.errors import UserError
from tui.commands import output
from tui.commands.download import checked_hub
from tui.locale import text


def trust(arguments: Namespace) -> int:
    """Show the files and where they are asked for; ask on a terminal; remember the answer by their content."""
    name, revision, hub = arguments.model, arguments.revision, checked_hub(arguments.hub)
    on_hub = hub_model(name, hub=hub, revision=revision)
    folder = find_model_folder(name, cache_dir=arguments.cache_dir, revision=revision, hub=hub, download=True)
    code = model_code(folder)
    if code is None:
        print(text("command_line.trust_no_code", model=name))
        return 0
    _print(code, name)
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
    give_consent(code, str(on_hub or folder.resolve()))
    print(text("command_line.trust_given"))
    return 0


def _print(code: ModelCode, name: str) -> None:
    print(text("command_line.trust_head", model=name, folder=code.folder))
    table = output.Table([text(f"command_line.column_{column}") for column in ("file", "size", "sha256")])
    for file in code.files:
        table.add(output.harmless(file.name), f"{file.size:,}", file.sha256[:16])
    table.print()
    for line in code.named_in:
        print(f"  {output.harmless(line)}")
    print(text("command_line.trust_needed" if code.is_needed else "command_line.trust_not_needed"))


def _answer() -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(text("command_line.trust_unconfirmed"), hint=text("command_line.trust_with_yes"))
    return input(text("command_line.trust_question") + " ").strip().lower() in ("y", "yes", "是")
