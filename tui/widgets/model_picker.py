"""The dialog that asks what to talk to: checkpoints of all runs, base models, or a path typed in. Loads nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from trainer.config import resolve_model_path
from trainer.errors import UserError
from trainer.paths import shipped_folder
from trainer.run import RunDirectory, list_checkpoints, list_runs
from tui.background import read_in_background
from tui.locale import text
from tui.widgets.ages import age


@dataclass(frozen=True)
class ChatChoice:
    """Something to talk to: `path` is a checkpoint folder, a model folder or a name on the hub."""

    path: str
    title: str
    detail: str = ""
    run: Path | None = None


def find_choices(runs: Sequence[RunDirectory] | None = None) -> list[ChatChoice]:
    """Checkpoints, newest first, then the models they were made from. Reads the disk: call it in a thread."""
    found: list[tuple[float, ChatChoice]] = []
    bases: dict[str, None] = {}
    for run in list_runs() if runs is None else runs:
        checkpoints = list_checkpoints(run.checkpoints_folder, verify="size")
        for checkpoint in checkpoints:
            title = text("chat.checkpoint_title", run=run.name, step=checkpoint.step)
            choice = ChatChoice(str(checkpoint.path), title, age(time.time() - checkpoint.created), run.path)
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
    return [choice for _created, choice in found] + models


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


class ModelPicker(ModalScreen[ChatChoice | None]):
    """Type to filter, or type a path; arrows choose; Enter takes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "chat.key_close", id="chat.picker_close"),
        Binding("down", "move(1)", "chat.key_next", show=False, id="chat.picker_down"),
        Binding("up", "move(-1)", "chat.key_previous", show=False, id="chat.picker_up"),
    ]

    def __init__(self, current: str = "", **widget_arguments: Any) -> None:
        super().__init__(**widget_arguments)
        self._current = current
        self._choices: list[ChatChoice] = []
        self._shown: list[ChatChoice] = []
        self._reading = True

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = text("chat.pick_title")
            wanted = Input(placeholder=text("chat.pick_placeholder"), id="pick-text", compact=True)
            wanted.cursor_blink = False
            yield wanted
            options = OptionList(id="pick-list", markup=False, compact=True)
            options.can_focus = False
            yield options
            yield Label(text("chat.pick_hint"), classes="muted")

    def on_mount(self) -> None:
        """Look for checkpoints without holding up the keys."""
        self.query_one(Input).focus()
        self._fill("")
        read_in_background(self, find_choices, self.take)

    def take(self, choices: Sequence[ChatChoice]) -> None:
        """Show these choices."""
        self._choices = list(choices)
        self._reading = False
        self._fill(self.query_one(Input).value)

    @on(Input.Changed)
    def _filter(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def _fill(self, typed: str) -> None:
        words = typed.lower().split()
        self._shown = [
            choice for choice in self._choices if all(word in f"{choice.title} {choice.path}".lower() for word in words)
        ]
        if typed.strip() and (_is_path(typed) or not self._shown):
            self._shown.append(ChatChoice(typed.strip(), text("chat.pick_typed", path=typed.strip())))
        options = self.query_one(OptionList)
        options.clear_options()
        width = max((len(choice.title) for choice in self._shown), default=0)
        for choice in self._shown:
            mark = "*" if choice.path == self._current else " "
            options.add_option(Option(f"{mark} {choice.title.ljust(width)}  {choice.detail}".rstrip()))
        if self._shown:
            options.highlighted = len(self._shown) - 1 if _is_path(typed) else 0
        else:
            options.add_option(Option(text("chat.pick_reading" if self._reading else "chat.pick_none"), disabled=True))

    def action_move(self, by: int) -> None:
        """The arrows move in the list while the text has the focus."""
        options = self.query_one(OptionList)
        if by > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    @on(Input.Submitted)
    def _chosen(self) -> None:
        at = self.query_one(OptionList).highlighted
        if at is not None and at < len(self._shown):
            self.dismiss(self._shown[at])

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        if event.option_index < len(self._shown):
            self.dismiss(self._shown[event.option_index])


def _is_path(typed: str) -> bool:
    return typed.startswith(("/", "./", "../", "~"))
