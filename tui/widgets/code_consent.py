"""The dialog that shows code and asks whether it may run. It runs nothing and writes nothing down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from trainer.data.remote_code import ModelCode
from tui.locale import text
from tui.widgets.wrapping import one_line


class CodeConsent(ModalScreen[bool]):
    """`y` agrees; `n` and Escape do not. Enter does nothing: it is pressed too easily."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "common.key_yes", id="consent.yes"),
        Binding("n,escape", "dismiss(False)", "common.key_no", id="consent.no"),
        Binding("down,j", "scroll(1)", "common.key_scroll_down", show=False, id="consent.down"),
        Binding("up,k", "scroll(-1)", "common.key_scroll_up", show=False, id="consent.up"),
    ]

    def __init__(self, code: ModelCode, words: str, more: Sequence[str]) -> None:
        """`words` say whose code it is; `more` are the lines below its files."""
        super().__init__()
        self._code, self._words, self._more = code, words, more

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = text("setup.trust_title")
            yield Label(self._words, markup=False)
            with VerticalScroll(id="consent-files"):
                yield Static("\n".join(self._lines()), markup=False)
            yield Label(text("setup.trust_folder", folder=one_line(str(self._code.folder.resolve()))), markup=False)
            if not self._code.is_needed:
                yield Label(text("setup.trust_not_needed"), markup=False)
            yield Label("")
            yield Label(text("common.confirm_keys", yes=text("setup.trust_title")), classes="muted", markup=False)

    def _lines(self) -> list[str]:
        width = max((len(file.name) for file in self._code.files), default=0)
        files = [
            f"{one_line(file.name).ljust(width)}  {file.size:>9,}  {file.sha256[:12]}" for file in self._code.files
        ]
        return [*files, "", *map(one_line, self._more)]

    def action_scroll(self, lines: int) -> None:
        """Some lines down or up."""
        self.query_one("#consent-files").scroll_relative(y=lines, animate=False)
