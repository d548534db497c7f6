"""`trimtab presets`: the shipped presets and the user's own."""

from __future__ import annotations

from argparse import Namespace

from trainer.config import list_presets
from tui.commands import output
from tui.locale import text


def presets(arguments: Namespace) -> int:
    """List all presets, the broken ones with their error."""
    found = list_presets()
    if arguments.json:
        output.print_json(
            [
                {
                    "name": preset.name,
                    "path": str(preset.path),
                    "shipped": preset.shipped,
                    "stage": preset.stage,
                    "stages": list(preset.parts or (preset.stage,)),
                    "description": preset.description,
                    "error": preset.error,
                }
                for preset in found
            ]
        )
        return 0
    table = output.Table([text(f"command_line.column_{name}") for name in ("preset", "stage", "origin", "description")])
    for preset in found:
        origin = text("command_line.origin_shipped" if preset.shipped else "command_line.origin_own")
        note = output.paint(text("command_line.preset_broken", error=preset.error), "red") if preset.error else ""
        table.add(preset.name, preset.stages or "-", origin, note or preset.description)
    table.print()
    return 0
