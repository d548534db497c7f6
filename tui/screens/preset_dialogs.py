"""The dialogs over Setup and Presets: a name to save under, a preset to pick, a preset's TOML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from trainer.config import PresetInfo
from tui.locale import text
from tui.widgets.field_editor import ChoiceList

_PICK_WIDTH = 84
"""Cells of the list of presets, as the sheet has it."""
_NAME = re.compile(r"[^\W_][\w.+=-]{0,99}")


@dataclass(frozen=True)
class SaveRequest:
    """Under which name, with which description."""

    name: str
    description: str


class SaveDialog(ModalScreen[SaveRequest | None]):
    """Asks for the name of a preset; one of one's own is overwritten only after a second Enter."""

    CSS_PATH = "../theme/preset_dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "setup.key_cancel", id="save.cancel")]

    def __init__(self, name: str, description: str, *, own: AbstractSet[str], shipped: AbstractSet[str]) -> None:
        super().__init__()
        self._name = name
        self._description = description
        self._own = own
        self._shipped = shipped
        self._confirmed = ""

    def compose(self) -> ComposeResult:
        """Name, description, and the line that answers."""
        dialog = Vertical(classes="dialog preset-dialog")
        dialog.border_title = text("setup.save_title")
        with dialog:
            yield Label(text("setup.save_name"), markup=False)
            yield Input(self._name, id="save-name", select_on_focus=False)
            yield Label(text("setup.save_description"), markup=False)
            yield Input(self._description, id="save-description", select_on_focus=False)
            yield Static(text("setup.save_keys"), id="save-note", classes="dialog-note", markup=False)

    def on_mount(self) -> None:
        """The name first."""
        for line in self.query(Input):
            line.cursor_blink = False
            line.cursor_position = len(line.value)
        self.query_one("#save-name", Input).focus()

    def on_input_changed(self) -> None:
        """Another name is another question."""
        self._confirmed = ""
        self._say(text("setup.save_keys"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter saves, from either line."""
        event.stop()
        name = self.query_one("#save-name", Input).value.strip()
        if not _NAME.fullmatch(name):
            self._say(text("setup.save_bad_name"), bad=True)
        elif name in self._shipped and name not in self._own:
            self._say(text("setup.save_shipped", name=name), bad=True)
        elif name in self._own and self._confirmed != name:
            self._confirmed = name
            self._say(text("setup.save_overwrite", name=name), bad=True)
        else:
            self.dismiss(SaveRequest(name, self.query_one("#save-description", Input).value.strip()))

    def action_cancel(self) -> None:
        """Save nothing."""
        self.dismiss(None)

    def _say(self, words: str, *, bad: bool = False) -> None:
        note = self.query_one("#save-note", Static)
        note.update(words)
        note.set_class(bad, "-bad")


class PickDialog(ModalScreen[str | None]):
    """A list of presets, narrowed by typing; gives the name of the chosen one, or the path that was typed."""

    CSS_PATH = "../theme/preset_dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "setup.key_cancel", id="pick.cancel"),
        Binding("down", "move(1)", "setup.key_down", show=False, id="pick.down"),
        Binding("up", "move(-1)", "setup.key_up", show=False, id="pick.up"),
    ]

    def __init__(self, presets: Sequence[PresetInfo], current: str) -> None:
        super().__init__()
        self._presets = tuple(presets)
        self._current = current
        self._offered: list[str] = []

    def compose(self) -> ComposeResult:
        """The line, and below it names and descriptions; broken presets with their error and not to be chosen."""
        dialog = Vertical(classes="dialog preset-dialog pick-dialog")
        dialog.border_title = text("setup.load_title")
        dialog.border_subtitle = text("setup.load_keys")
        with dialog:
            line = Input(placeholder=text("setup.load_placeholder"), id="pick-text", compact=True)
            line.cursor_blink = False
            yield line
            options = ChoiceList(id="pick-list", markup=False)
            options.can_focus = False
            yield options

    def on_mount(self) -> None:
        """Start on the preset that is open."""
        self.query_one(Input).focus()
        self._fill("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Typing narrows the list."""
        self._fill(event.value)

    def _fill(self, typed: str) -> None:
        words = typed.lower().split()
        said = {info.name: f"{info.name} {info.description}".lower() for info in self._presets}
        found = [info for info in self._presets if all(word in said[info.name] for word in words)]
        options = [self._option(info) for info in found]
        self._offered = [info.name for info in found]
        asked = typed.strip()
        if asked and (_is_path(asked) or not found):
            options.append(Option(text("setup.load_typed", path=asked)))
            self._offered.append(asked)
        choices = self.query_one(ChoiceList)
        choices.clear_options()
        choices.add_options(options)
        if _is_path(asked):
            choices.highlighted = len(options) - 1
        else:
            choices.highlighted = self._offered.index(self._current) if self._current in self._offered else 0

    def _option(self, info: PresetInfo) -> Option:
        width = max(cell_len(each.name) for each in self._presets) + 2
        room = max(width, min(_PICK_WIDTH, self.app.size.width * 9 // 10) - 10)
        words = set_cell_size(info.name, width) + (info.error or info.description)
        if cell_len(words) > room:
            words = set_cell_size(words, room - 1) + "…"
        return Option(words, disabled=info.error is not None)

    def action_move(self, by: int) -> None:
        """The arrows move in the list while the line has the focus."""
        choices = self.query_one(ChoiceList)
        if by > 0:
            choices.action_cursor_down()
        else:
            choices.action_cursor_up()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what is highlighted."""
        event.stop()
        choices = self.query_one(ChoiceList)
        option = choices.highlighted_option
        if choices.highlighted is not None and option is not None and not option.disabled:
            self.dismiss(self._offered[choices.highlighted])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """So does a click."""
        event.stop()
        self.dismiss(self._offered[event.option_index])

    def action_cancel(self) -> None:
        """Load nothing."""
        self.dismiss(None)


def _is_path(typed: str) -> bool:
    return typed.startswith(("/", "./", "../", "~")) or typed.endswith(".toml")


class TomlDialog(ModalScreen[None]):
    """The text of a preset's file, to read."""

    CSS_PATH = "../theme/preset_dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,e,enter", "close", "setup.key_close", id="toml.close"),
        Binding("j", "scroll(1)", "setup.key_down", show=False, id="toml.down"),
        Binding("k", "scroll(-1)", "setup.key_up", show=False, id="toml.up"),
    ]

    def __init__(self, title: str, content: str) -> None:
        super().__init__()
        self._title = title
        self._content = content

    def compose(self) -> ComposeResult:
        """The file as it stands."""
        dialog = Vertical(classes="dialog preset-dialog toml-dialog")
        dialog.border_title = self._title
        dialog.border_subtitle = text("setup.dialog_close_key")
        with dialog, VerticalScroll():
            yield Static(self._content, classes="dialog-toml", markup=False)

    def on_mount(self) -> None:
        """Arrow keys scroll."""
        self.query_one(VerticalScroll).focus()

    def action_scroll(self, lines: int) -> None:
        """Some lines down or up."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_close(self) -> None:
        """Back."""
        self.dismiss(None)
