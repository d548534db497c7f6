"""Small dialogs: ask for one line, or for one of a few choices. Not for forms: those are screens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.locale import text
from tui.widgets.wrapping import one_line, printable


class LineDialog(ModalScreen[str | None]):
    """Asks for one line. `check` gives (good, what it means or what is wrong) while the user types."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "common.key_cancel", id="dialog.cancel"),
    ]

    def __init__(
        self, title: str, explanation: str, check: Callable[[str], tuple[bool, str]], *, initial: str = ""
    ) -> None:
        super().__init__()
        self._title = title
        self._explanation = explanation
        self._check = check
        self._initial = initial

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = self._title
            box.border_subtitle = text("common.dialog_keys")
            yield Label(self._explanation, markup=False)
            yield Input(self._initial, select_on_focus=False, id="line")
            yield Label("", id="verdict", classes="muted", markup=False)

    def on_mount(self) -> None:
        """No blinking: it would send bytes for nothing."""
        self.query_one(Input).cursor_blink = False
        self._judge(self._initial)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what the line means."""
        self._judge(event.value)

    def _judge(self, entry: str) -> bool:
        good, verdict = self._check(entry)
        label = self.query_one("#verdict", Label)
        label.update(verdict)
        label.set_class(not good and bool(entry), "wrong")
        return good

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: only a good line leaves."""
        if self._judge(event.value):
            self.dismiss(event.value)


class ChoiceDialog(ModalScreen[str | None]):
    """Asks for one of a few choices: pairs of name and text. It begins on `initial`; Escape chooses nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "common.key_cancel", id="dialog.cancel"),
    ]

    def __init__(self, title: str, explanation: str, choices: Sequence[tuple[str, str]], *, initial: str = "") -> None:
        super().__init__()
        self._title = title
        self._explanation = explanation
        self._choices = choices
        self._begin = next((at for at, (name, _) in enumerate(choices) if name == initial), 0)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = self._title
            box.border_subtitle = text("common.dialog_keys")
            yield Label(printable(self._explanation), markup=False)
            options = (Option(one_line(label), id=name) for name, label in self._choices)
            yield OptionList(*options, compact=True, markup=False)

    def on_mount(self) -> None:
        """Begin on the choice of now."""
        self.query_one(OptionList).highlighted = self._begin

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter or a click."""
        self.dismiss(event.option_id)
