"""What a new run will be called and where it will lie. The folder is made by `trainer.run.create_run`."""

from __future__ import annotations

import re
from pathlib import Path

from trainer.paths import runs_folder
from tui.forms.model import FormModel


def run_place(model: FormModel) -> tuple[Path, str | None]:
    """The parent folder and the name that `create_run` gets; no name when the first free number shall be taken."""
    train = model.recipe.train
    if train.output_dir:
        place = Path(train.output_dir).expanduser().resolve()
        return place.parent, train.run_name or place.name
    return runs_folder(), train.run_name


def next_run_folder(model: FormModel) -> Path:
    """The folder that the next run will have, as far as nobody else takes it first."""
    parent, name = run_place(model)
    if name is not None:
        return parent / name
    stem = re.sub(r"[^\w.+=-]+", "-", model.preset.name if model.preset else "run").lstrip("-._") or "run"
    number = 1
    while (parent / f"{stem}-{number}").exists():
        number += 1
    return parent / f"{stem}-{number}"
