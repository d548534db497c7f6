"""`trimtab paths`: every place that trimtab reads or writes."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

import trainer.paths
import tui
from tui.commands import output
from tui.locale import text


def places() -> dict[str, Path]:
    """Each place by its stable name."""
    return {
        "runs": trainer.paths.runs_folder(),
        "run_index": trainer.paths.run_index_file(),
        "user_presets": trainer.paths.user_presets_folder(),
        "settings": trainer.paths.config_folder(),
        "state": trainer.paths.state_folder(),
        "shipped_presets": trainer.paths.shipped_folder("presets"),
        "shipped_data": trainer.paths.shipped_folder("data"),
        "model_cache": _model_cache(),
        "program": Path(tui.__file__).resolve().parent,
    }


def _model_cache() -> Path:
    """The Hugging Face cache, by its own rules, without importing its library."""
    home = os.environ.get("HF_HOME")
    xdg = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    default = Path(home) if home else Path(xdg) / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or default / "hub").expanduser()


def paths(arguments: Namespace) -> int:
    """List the places, what each is for, and whether it is there."""
    if arguments.json:
        output.print_json({name: {"path": str(path), "exists": path.exists()} for name, path in places().items()})
        return 0
    table = output.Table(
        [text("command_line.column_place"), text("command_line.column_path"), text("command_line.column_use")]
    )
    for name, path in places().items():
        use = text(f"command_line.place_{name}")
        table.add(name, str(path), use if path.exists() else f"{use} {text('command_line.not_there_yet')}")
    table.print()
    return 0
