"""`trimtab expand`: a model with new blocks between its own, for LLaMA Pro. A worker has torch."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from typing import Any

from trainer.errors import UserError
from tui.commands import output
from tui.locale import text


def expand(arguments: Namespace) -> int:
    """Write the larger model and say which blocks are new."""
    try:
        number = int(arguments.num_expand)
    except ValueError as error:
        raise UserError(text("command_line.expand_number"), field="--num-expand", value=arguments.num_expand) from error
    added = _ask_worker({"model": arguments.model, "out": arguments.out, "number": number})
    if arguments.json:
        output.print_json({"folder": arguments.out, "added_blocks": added})
        return 0
    print(text("command_line.expanded", folder=arguments.out, blocks=", ".join(map(str, added))))
    return 0


def _ask_worker(asked: dict[str, Any]) -> list[int]:
    """The numbers of the new blocks.

    Raises:
        UserError: the worker refused, in its own words, or failed.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", "trainer", "expand"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(text("command_line.expand_failed", problem=last)) from error
    if "error" in found:
        raise UserError(str(found["error"]))
    return [int(block) for block in found["added_blocks"]]
