"""The dialog that asks what to talk to: checkpoints of all runs, base models, or a path typed in. Loads nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len, set_cell_size

from trainer.config import resolve_model_path
from trainer.errors import UserError
from trainer.paths import shipped_folder
from trainer.run import RunDirectory, list_checkpoints, list_runs
from tui import run_recipe
from tui.locale import text
from tui.widgets.ages import age
from tui.widgets.picker import Picker


@dataclass(frozen=True)
class ChatChoice:
    """Something to talk to: `path` is a checkpoint folder, a model folder or a name on the hub."""

    path: str
    title: str
    detail: str = ""
    run: Path | None = None
    group: str = ""

    @property
    def words(self) -> str:
        """What typing looks in."""
        return self.title


def find_choices(runs: Sequence[RunDirectory] | None = None) -> list[ChatChoice]:
    """Checkpoints, newest first, then the models they were made from. Reads the disk: call it in a thread."""
    found: list[tuple[float, ChatChoice]] = []
    bases: dict[str, None] = {}
    for run in list_runs() if runs is None else runs:
        checkpoints = list_checkpoints(run.checkpoints_folder, verify="size")
        for checkpoint in checkpoints:
            title = text("chat.checkpoint_title", run=run.name, step=checkpoint.step)
            detail = age(time.time() - checkpoint.created)
            if run_recipe.stage(run.recipe_file) == "rm":
                detail = f"{detail} · {text('score.kind_model')}"
            choice = ChatChoice(str(checkpoint.path), title, detail, run.path)
            found.append((checkpoint.created, choice))
        base = _base_model(run)
        if base:
            bases.setdefault(base)
    demo = shipped_folder("data") / "demo_model"
    if (demo / "config.json").is_file():
        bases.setdefault(str(demo))
    found.sort(key=lambda pair: pair[0], reverse=True)
    names = [Path(base).name for base in bases]
    titles = [name if names.count(name) == 1 else base for name, base in zip(names, bases, strict=True)]
    models = [ChatChoice(base, title, text("chat.base_model")) for base, title in zip(bases, titles, strict=True)]
    known = {Path(choice.path).resolve() for choice in models}
    return (
        [choice for _created, choice in found] + models + [one for one in _on_machine() if Path(one.path) not in known]
    )


def _on_machine() -> list[ChatChoice]:
    """Models in folders and caches, whole ones only."""
    from trainer.data.model_search import downloaded_models, local_models

    group = text("chat.on_machine")
    found = [
        ChatChoice(str(model.folder.resolve()), str(model.folder), group=group)
        for model in local_models()
        if model.is_whole
    ]
    for model in downloaded_models():
        if model.is_whole and model.hub is not None:
            found.append(ChatChoice(str(model.folder), str(model.hub), group=group))
    return found


def _base_model(run: RunDirectory) -> str | None:
    try:
        name = run.recipe().model.model_name_or_path
        made_in = Path(run.identity().working_folder)
    except UserError:
        return None  # a run whose recipe is damaged still has its checkpoints
    if not name:
        return None
    name = resolve_model_path(name)
    return str(made_in / name) if (made_in / name).is_dir() else name


class ModelPicker(Picker[ChatChoice]):
    """Checkpoints and models to talk to; or a path that is typed."""

    area: ClassVar[str] = "chat"

    def find(self) -> Sequence[ChatChoice]:
        """Look in runs, folders and caches."""
        return find_choices()

    def typed(self, words: str) -> ChatChoice:
        """A path or a name as it was typed."""
        return ChatChoice(words, text("chat.pick_typed", path=words))

    def row(self, choice: ChatChoice, shown: Sequence[ChatChoice], room: int) -> str:
        """Mark, title and age."""
        width = min(max(cell_len(each.title) for each in shown), max(10, room - 14))
        mark = "*" if choice.path == self.current else " "
        return f"{mark} {set_cell_size(choice.title, width)}  {choice.detail}".rstrip()
