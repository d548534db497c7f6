"""`trimtab expand`: a model with new blocks between its own, for LLaMA Pro. A worker has torch."""

from __future__ import annotations

import json
from argparse import Namespace

from trainer.errors import UserError
from tui.commands import output
from tui.commands.worker import ask_worker
from tui.locale import text


def expand(arguments: Namespace) -> int:
    """Write the larger model and say which blocks are new."""
    try:
        number = int(arguments.num_expand)
    except ValueError as error:
        raise UserError(text("command_line.expand_number"), field="--num-expand", value=arguments.num_expand) from error
    asked = {"model": arguments.model, "out": arguments.out, "number": number}
    added = ask_worker("expand", json.dumps(asked), "command_line.expand_failed")["added_blocks"]
    if arguments.json:
        output.print_json({"folder": arguments.out, "added_blocks": added})
        return 0
    print(text("command_line.expanded", folder=arguments.out, blocks=", ".join(map(str, added))))
    return 0
