"""`trimtab estimate`: will the training fit into the memory of this machine, and what would make it fit.

The estimate needs torch, so a worker makes it (`python -m trainer estimate`). Not for time and price.
"""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from typing import Any

import tomlkit

from trainer.config import Hardware, load_preset, resolve
from trainer.errors import UserError
from tui.commands import output
from tui.commands.check import print_findings
from tui.forms.entry import toml_text
from tui.locale import text

_PARTS = ("frozen_weights", "trained_weights", "gradients", "optimizer", "activations", "logits", "update", "overhead")
_COLOURS = {"fits": "green", "tight": "yellow", "no": "red", "unknown": "dim"}
_BAR = 30
_GIBI = 2**30


def estimate(arguments: Namespace) -> int:
    """Print the memory by part and the verdict; exit 1 when it does not fit."""
    found = ask_worker(arguments.preset, arguments.settings)
    if arguments.json:
        output.print_json(found)
    else:
        _print(found)
    return 1 if found["verdict"] == "no" else 0


def ask_worker(preset: str, settings: list[str]) -> dict[str, Any]:
    """The worker's answer for a preset with `key=value` words.

    Raises:
        UserError: the preset cannot be read, or the worker refused; its own words.
    """
    loaded = load_preset(preset, settings)
    print_findings([finding for finding in loaded.findings if finding.severity != "info"], to_errors=True)
    recipe = resolve(loaded.recipe, Hardware.detect()).recipe
    done = subprocess.run(
        [sys.executable, "-P", "-m", "trainer", "estimate"],
        input=tomlkit.dumps(recipe.model_dump(mode="json", exclude_none=True)),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(text("estimate.failed", problem=last)) from error
    if "error" in found:
        raise UserError(str(found["error"]))
    return found


def _print(found: dict[str, Any]) -> None:
    memory, device, total = found["memory"], found["device"], found["total"]
    print(text("estimate.step", batch=memory["batch"], length=memory["length"], layers=memory["layers"]))
    scale = max(total, device["free"] or 0)
    facts = output.Facts()
    for part in _PARTS:
        facts.add(text(f"estimate.{part}"), _line(memory[part], scale))
    facts.add(text("estimate.total"), _line(total, scale))
    free = device["free"]
    room = text("estimate.unknown_free") if free is None else _line(free, scale)
    facts.add(text("estimate.free", device=device["name"]), room)
    facts.print()
    if memory["is_formula"]:
        print(text("estimate.by_formula"))
    print(output.paint(text(f"estimate.verdict_{found['verdict']}"), _COLOURS[found["verdict"]]))
    for saving in found["savings"]:
        words = " ".join(f"{key}={toml_text(value)}" for key, value in saving["change"].items())
        print(text("estimate.saving", words=words, size=_size(saving["total"])))


def _line(size: int, scale: int) -> str:
    return f"{_size(size)} {'█' * round(_BAR * size / scale) if scale else ''}".rstrip()


def _size(size: int) -> str:
    return f"{size / _GIBI:8.2f} GiB"
