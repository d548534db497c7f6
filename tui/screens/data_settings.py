"""The settings that decide what rows become, changed from the Data screen. They are those of Setup: one recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import set_cell_size
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label

from trainer.config import parameter
from trainer.errors import UserError
from tui.background import read_in_background
from tui.data_client import DataClient
from tui.forms.entry import EntryError, entry_text, shown_text
from tui.forms.explain import help_text
from tui.forms.model import FormModel
from tui.forms.suggestions import suggestions
from tui.locale import text
from tui.screens.data_value import ValueDialog
from tui.widgets.row_list import ListRow, RowList

KEYS = (
    "method.stage",
    "model.model_name_or_path",
    "data.template",
    "data.tool_format",
    "data.cutoff_len",
    "data.on_long_row",
    "data.train_on_prompt",
    "data.mask_history",
    "data.default_system",
    "data.enable_thinking",
    "data.preserve_thinking",
    "data.max_samples",
    "data.on_bad_row",
    "data.dataset_dir",
)
_NAME_CELLS = 22


class DataSettings(ModalScreen[None]):
    """A list of settings; Enter changes the one under the cursor, Escape closes and looks at the data again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,s", "dismiss(None)", "data_screen.key_close", id="data_settings.close"),
        Binding("enter,space", "change", "data_screen.key_change", id="data_settings.change"),
        Binding("backspace", "reset", "data_screen.key_reset", id="data_settings.reset"),
    ]

    def __init__(self, model: FormModel, client: DataClient) -> None:
        super().__init__()
        self._model = model
        self._client = client

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog data-settings") as box:
            box.border_title = text("data_screen.settings_title")
            box.border_subtitle = text("data_screen.settings_keys")
            yield RowList(id="settings-list")
            yield Label("", id="settings-help", classes="muted", markup=False)

    @property
    def list(self) -> RowList:
        """The settings."""
        return self.query_one(RowList)

    def on_mount(self) -> None:
        """The list has the keys."""
        self.list.focus()
        self._draw()

    def _draw(self) -> None:
        rows = []
        for key in KEYS:
            if not self._model.applies(key):
                continue
            one = parameter(key)
            value = self._model.value(key)
            changed = self._model.changed(key)
            shown = shown_text(value).split("⏎")[0]
            rows.append(
                ListRow(
                    key,
                    (
                        ("* " if changed else "  ", "*accent"),
                        (set_cell_size(one.name, _NAME_CELLS), "muted"),
                        (shown, "*accent" if changed else "foreground"),
                    ),
                )
            )
        self.list.styles.height = len(rows)
        self.list.show(rows)
        self._help()

    @on(RowList.Moved)
    def _help(self) -> None:
        key = self.list.key
        self.query_one("#settings-help", Label).update(help_text(parameter(key)) if key else "")

    def action_change(self) -> None:
        """Ask for another value of the setting under the cursor."""
        self.list.choose()

    def action_reset(self) -> None:
        """Back to what the preset says."""
        if self.list.key:
            self._model.reset(self.list.key)
            self._draw()

    @on(RowList.Chosen)
    def _chosen(self, message: RowList.Chosen) -> None:
        message.stop()
        one = parameter(message.key)
        if one.kind == "bool" and not one.optional:
            self._set(one.key, "false" if self._model.value(one.key) else "true")
        elif one.key == "data.template":
            read_in_background(self, self._templates, lambda names: self._ask(one.key, names))
        elif one.kind == "choice":
            self._ask(one.key, [*one.choices, *([""] if one.optional else [])])
        else:
            self._ask(one.key, [found.value for found in suggestions(one.key, self._model.recipe)])

    def _templates(self) -> Sequence[str]:
        try:
            return ("", *self._client.templates())
        except UserError:
            return ("",)

    def _ask(self, key: str, offered: Sequence[str]) -> None:
        one = parameter(key)

        def take(typed: str | None) -> None:
            if typed is not None:
                self._set(key, typed)

        initial = entry_text(one, self._model.value(key))
        self.app.push_screen(ValueDialog(one, initial, offered, closed=one.kind == "choice"), take)

    def _set(self, key: str, typed: str) -> None:
        try:
            self._model.enter(key, typed)
        except EntryError as error:
            self.notify(str(error), title=parameter(key).name, severity="error", markup=False)
        self._draw()
