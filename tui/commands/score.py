"""`trimtab score`: ask a reward model for the numbers of answers. A worker has torch (`python -m trainer score`)."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from typing import Any

from trainer.errors import UserError
from tui.commands import output
from tui.commands.chat import find_target
from tui.locale import text


def score(arguments: Namespace) -> int:
    """Print each answer with its number, the best first."""
    if not arguments.prompt:
        raise UserError(text("command_line.score_without_prompt"))
    target = find_target(arguments.target)
    asked = {
        "model": target.adapter or target.model,
        "prompt": arguments.prompt,
        "answers": arguments.answers,
        "system": arguments.system,
    }
    numbers = _ask_worker(asked)
    if arguments.json:
        told = [{"answer": answer, "score": number} for answer, number in zip(arguments.answers, numbers, strict=True)]
        output.print_json({"prompt": arguments.prompt, "scores": told})
        return 0
    for number, answer in sorted(zip(numbers, arguments.answers, strict=True), key=lambda pair: -pair[0]):
        print(f"{number:+9.4f}  {output.harmless(answer)}")
    return 0


def _ask_worker(asked: dict[str, Any]) -> list[float]:
    """The numbers of the answers, in their order.

    Raises:
        UserError: the worker refused, in its own words, or failed.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", "trainer", "score"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(text("command_line.score_failed", problem=last)) from error
    if "error" in found:
        raise UserError(str(found["error"]))
    return [float(number) for number in found["scores"]]
