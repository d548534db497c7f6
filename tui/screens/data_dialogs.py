"""The dialog of the Data screen that asks for a file, a folder, a pattern or a name on the hub. Opens nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from trainer.errors import UserError
from tui.latest import Latest
from tui.locale import text
from tui.widgets.measures import size
from tui.widgets.wrapping import one_line, printable

_MOST = 200
"""Entries of a folder that are listed; typing narrows them down."""


@dataclass(frozen=True)
class Entry:
    """One entry of a folder: what would stand in the line, and what it is."""

    path: str
    folder: bool
    size: int = 0


def entries(typed: str) -> list[Entry]:
    """Folders and data files that begin as typed; hidden ones only when their dot is typed. Reads the disk."""
    # Not at the top: it would cost the first frame of the screen.
    from trainer.data.registry import INFO_FILE
    from trainer.data.sources import is_data_file

    head, _, begun = typed.rpartition("/")
    shown = f"{head}/" if "/" in typed else ""
    found: list[Entry] = []
    place = Path(shown or ".")
    try:
        place = place.expanduser()
        for one in os.scandir(place):
            if not one.name.lower().startswith(begun.lower()) or (one.name.startswith(".") and not begun):
                continue
            if one.is_dir():
                found.append(Entry(f"{shown}{one.name}/", True))
            elif is_data_file(Path(one.path)) and one.name != INFO_FILE:
                found.append(Entry(f"{shown}{one.name}", False, one.stat().st_size))
    except (OSError, RuntimeError) as error:  # RuntimeError: there is nobody of that name
        raise UserError(getattr(error, "strerror", None) or str(error), file=place) from error
    return sorted(found, key=lambda one: (not one.folder, one.path.lower()))


def _shared(paths: list[str]) -> str:
    """What all of them begin with."""
    first, last = min(paths), max(paths)
    same = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[:same]


class OpenDialog(ModalScreen[str | None]):
    """A line for the name, and below it the folder that is being typed: arrows choose, Tab completes, Enter takes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "common.key_cancel", id="dialog.cancel"),
        Binding("down", "move(1)", "common.key_down", show=False, priority=True, id="dialog.down"),
        Binding("up", "move(-1)", "common.key_up", show=False, priority=True, id="dialog.up"),
        Binding("tab", "complete", "data_screen.key_complete", show=False, priority=True, id="dialog.complete"),
    ]

    def __init__(self, initial: str = "") -> None:
        super().__init__()
        self._initial = initial
        self._found: list[Entry] = []
        self._latest = Latest(self)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog open-dialog") as box:
            box.border_title = text("data_screen.open_title")
            box.border_subtitle = text("data_screen.open_keys")
            yield Label(text("data_screen.open_help"), markup=False)
            yield Input(
                self._initial, placeholder=text("data_screen.open_placeholder"), select_on_focus=False, id="open-line"
            )
            options = OptionList(id="open-list", compact=True, markup=False)
            options.can_focus = False
            yield options
            yield Label("", id="open-note", classes="muted", markup=False)

    def on_mount(self) -> None:
        """Show the folder that one is in."""
        self.query_one(Input).cursor_blink = False
        self._look()

    @on(Input.Changed)
    def _typed(self) -> None:
        self._look()

    def _look(self) -> None:
        typed = self.query_one(Input).value
        if "://" in typed or "*" in typed:
            self._latest.forget()
            self._show([], text("data_screen.open_pattern" if "*" in typed else "data_screen.open_hub"))
            return
        self._latest.ask(lambda: entries(typed), lambda found: self._show(found, ""), self._failed)

    def _failed(self, error: UserError) -> None:
        self._show([], str(error))

    def _show(self, found: list[Entry], note: str) -> None:
        self._found = found[:_MOST]
        options = self.query_one("#open-list", OptionList)
        options.clear_options()
        options.add_options(
            Option(one_line(one.path if one.folder else f"{one.path}  {size(one.size)}")) for one in self._found
        )
        # What is typed begins the name of an entry: Enter takes that. A folder's own name stands for the whole folder.
        typed = self.query_one(Input).value
        whole = not typed or typed.endswith("/") or any(one.path == typed for one in self._found)
        options.highlighted = None if whole or not self._found else 0
        options.display = bool(self._found)
        if len(found) > _MOST:
            note = text("data_screen.open_more", count=len(found) - _MOST)
        elif not found and not note:
            note = text("data_screen.open_none")
        elif typed.endswith("/"):
            note = text("data_screen.open_folder")
        self.query_one("#open-note", Label).update(printable(note))

    def action_move(self, by: int) -> None:
        """The arrows choose in the list while the line has the keys."""
        options = self.query_one("#open-list", OptionList)
        if self._found:
            before = options.highlighted
            options.highlighted = (
                (0 if by > 0 else len(self._found) - 1) if before is None else (before + by) % len(self._found)
            )

    def action_complete(self) -> None:
        """Put what is chosen, or what all entries begin with, into the line."""
        options = self.query_one("#open-list", OptionList)
        if not self._found:
            return
        if options.highlighted is not None:
            self._put(self._found[options.highlighted].path)
        else:
            # Entries are found by their beginning whatever its case: what they share may be shorter than what is typed.
            common = _shared([one.path for one in self._found])
            self._put(common if len(common) > len(self.query_one(Input).value) else self._found[0].path)

    def _put(self, words: str) -> None:
        if words != one_line(words):
            return  # a name that a terminal would act on can be chosen, not typed
        line = self.query_one(Input)
        line.value = words
        line.cursor_position = len(words)

    @on(Input.Submitted)
    def _taken(self, event: Input.Submitted) -> None:
        """Enter: a chosen folder is entered, anything else leaves with the dialog."""
        options = self.query_one("#open-list", OptionList)
        chosen = self._found[options.highlighted] if options.highlighted is not None else None
        if chosen is not None and chosen.folder:
            self._put(chosen.path)
        elif chosen is not None:
            self.dismiss(chosen.path)
        elif event.value.strip():
            self.dismiss(event.value.strip())

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        chosen = self._found[event.option_index]
        if chosen.folder:
            self._put(chosen.path)
        else:
            self.dismiss(chosen.path)
