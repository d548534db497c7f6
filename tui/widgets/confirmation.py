"""A question with yes and no, for acts that cannot be taken back. Not for choices among more than two things."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label

from tui.locale import text
from tui.widgets.wrapping import printable


class Confirmation(ModalScreen[bool]):
    """`y` answers yes; `n` and Escape answer no. Enter does nothing: it is pressed too easily."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "common.key_yes", id="confirmation.yes"),
        Binding("n,escape", "dismiss(False)", "common.key_no", id="confirmation.no"),
    ]

    def __init__(self, title: str, question: str) -> None:
        super().__init__()
        self._title = title
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._title
            yield Label(printable(self._question), markup=False)
            yield Label("")
            yield Label(text("common.confirm_keys", yes=self._title), classes="muted", markup=False)
