"""`trimtab score`: ask a reward model for the numbers of answers. A worker has torch (`python -m trainer score`)."""

from __future__ import annotations

import json
from argparse import Namespace

from trainer.errors import UserError
from tui.commands import output
from tui.commands.chat import find_target
from tui.commands.worker import ask_worker
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
    numbers = ask_worker("score", json.dumps(asked), "command_line.score_failed")["scores"]
    if arguments.json:
        told = [{"answer": answer, "score": number} for answer, number in zip(arguments.answers, numbers, strict=True)]
        output.print_json({"prompt": arguments.prompt, "scores": told})
        return 0
    for number, answer in sorted(zip(numbers, arguments.answers, strict=True), key=lambda pair: -pair[0]):
        print(f"{number:+9.4f}  {output.harmless(answer)}")
    return 0
