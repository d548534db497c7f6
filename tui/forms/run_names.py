"""What a new run will be called and where it will lie. The folder is made by `trainer.run.create_run`."""

from __future__ import annotations

import re
from pathlib import Path

from trainer.paths import runs_folder
from trainer.run import run_place
from tui.forms.model import FormModel


def next_run_folder(model: FormModel) -> Path:
    """The folder that the next run will have, as far as nobody else takes it first."""
    folder, name = run_place(model.recipe)
    parent = folder or runs_folder()
    if name is not None:
        return parent / name
    stem = re.sub(r"[^\w.+=-]+", "-", model.preset.name if model.preset else "run").lstrip("-._") or "run"
    number = 1
    while (parent / f"{stem}-{number}").exists():
        number += 1
    return parent / f"{stem}-{number}"
