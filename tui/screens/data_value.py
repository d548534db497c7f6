"""Asks for the value of one setting: typed, or taken from a list that narrows while one types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from trainer.config import Parameter
from tui.forms.entry import EntryError, parse_entry
from tui.locale import text


class ValueDialog(ModalScreen[str | None]):
    """`offered` are likely values, the empty one for "not set"; `closed` when there are no others."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "common.key_cancel", id="value.cancel"),
        Binding("down", "move(1)", "common.key_down", show=False, priority=True, id="value.down"),
        Binding("up", "move(-1)", "common.key_up", show=False, priority=True, id="value.up"),
    ]

    def __init__(self, parameter: Parameter, initial: str, offered: Sequence[str], *, closed: bool) -> None:
        super().__init__()
        self._parameter = parameter
        self._initial = initial
        self._offered = tuple(offered)
        self._strict = closed
        self._shown: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog value-dialog") as box:
            box.border_title = self._parameter.name
            box.border_subtitle = text("common.dialog_keys")
            yield Input("" if self._strict else self._initial, select_on_focus=False, id="value-line")
            options = OptionList(id="value-list", compact=True, markup=False)
            options.can_focus = False
            yield options
            yield Label("", id="value-note", classes="muted", markup=False)

    def on_mount(self) -> None:
        """All values are offered first, the present one marked."""
        line = self.query_one(Input)
        line.cursor_blink = False
        line.cursor_position = len(line.value)
        self._fill("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._fill("" if event.value == self._initial else event.value)

    def _fill(self, typed: str) -> None:
        low = typed.strip().lower()
        self._shown = tuple(value for value in self._offered if low in value.lower())
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(
            Option(f"{'*' if value == self._initial else ' '} {value or text('data_screen.unset')}")
            for value in self._shown
        )
        options.display = bool(self._shown)
        here = self._shown.index(self._initial) if self._initial in self._shown else 0
        options.highlighted = here if self._strict and self._shown else None
        self._judge(typed)

    def _judge(self, typed: str) -> bool:
        note = self.query_one("#value-note", Label)
        try:
            parse_entry(self._parameter, typed or self._initial)
        except EntryError as error:
            note.update(str(error))
            return False
        note.update("")
        return True

    def action_move(self, by: int) -> None:
        """The arrows choose in the list while the line has the keys."""
        options = self.query_one(OptionList)
        if self._shown:
            before = options.highlighted
            start = 0 if by > 0 else len(self._shown) - 1
            options.highlighted = start if before is None else (before + by) % len(self._shown)

    @on(Input.Submitted)
    def _taken(self, event: Input.Submitted) -> None:
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self.dismiss(self._shown[at])
        elif not self._strict:
            self.dismiss(event.value)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._shown[event.option_index])
