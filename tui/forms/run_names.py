"""What a new run will be called and where it will lie. The folder is made by `trainer.run.create_run`."""

from __future__ import annotations

from pathlib import Path

from trainer.paths import runs_folder
from trainer.run import free_run_name, run_place
from tui.forms.model import FormModel


def next_run_folder(model: FormModel) -> Path:
    """The folder that the next run will have, as far as nobody else takes it first."""
    folder, name = run_place(model.recipe)
    parent = folder or runs_folder()
    if name is not None:
        return parent / name
    return parent / free_run_name(model.preset.name if model.preset else "run", parent)
