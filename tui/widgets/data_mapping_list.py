"""The mapping of the open set as a list: which column holds what, which words mean whom. The screen opens it anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual.binding import Binding, BindingType
from textual.message import Message

from tui.data_answers import Format, MappingField, Opened
from tui.data_mapping import FORMATTINGS, all_places, formatting_of, with_formatting, with_ranking, with_value
from tui.locale import text
from tui.widgets.dialogs import ChoiceDialog, LineDialog
from tui.widgets.pane import Row
from tui.widgets.row_list import ListRow, RowList
from tui.widgets.wrapping import wrapped

_NONE = ""
_FORMATTING, _RANKING = "formatting", "ranking"


class DataMapping(RowList):
    """Enter changes the line under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "change", "data_screen.key_change", id="data.change"),
    ]

    @dataclass
    class Changed(Message):
        """The rows shall be read in another way."""

        entry: dict[str, object]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._opened: Opened | None = None
        self._changed = False

    def show_mapping(self, opened: Opened | None, *, changed: bool) -> None:
        """Show how the rows of a set are read; `changed` when that is not how it is registered or was detected."""
        self._opened, self._changed = opened, changed
        self.relabel()

    def relabel(self) -> None:
        """Build the rows again."""
        self.show(self._build())

    def on_resize(self, event: object) -> None:
        """The columns follow the width."""
        self.relabel()

    def action_change(self) -> None:
        """Ask for another value."""
        self.choose()

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        """Enter, or a double click."""
        message.stop()
        form = self._format
        if form is None and message.key != _FORMATTING:
            return
        if message.key == _FORMATTING:
            self._ask_formatting()
        elif message.key == _RANKING and form is not None:
            self.post_message(self.Changed(with_ranking(form.entry, not form.entry.get("ranking"))))
        elif form is not None:
            field = next(one for one in _places(form) if _key(one) == message.key)
            if field.kind == "column":
                self._ask_column(form, field)
            else:
                self._ask_tag(form, field)

    @property
    def _format(self) -> Format | None:
        return self._opened.format if self._opened is not None else None

    def _ask_formatting(self) -> None:
        def take(choice: str | None) -> None:
            if choice is not None:
                self.post_message(self.Changed(with_formatting(self._format.entry if self._format else {}, choice)))

        choices = [(name, f"{name:<10}{text(f'data_screen.formatting_{name}')}") for name in FORMATTINGS]
        here = formatting_of(self._format.entry if self._format else {})
        dialog = ChoiceDialog(
            text("data_screen.formatting"), text("data_screen.formatting_help"), choices, initial=here
        )
        self.app.push_screen(dialog, take)

    def _ask_column(self, form: Format, field: MappingField) -> None:
        names = self._opened.columns if self._opened is not None else ()

        def take(choice: str | None) -> None:
            if choice is not None:
                self._change(form, field, None if choice == "none" else names[int(choice)])

        # Columns may have any name: their numbers are the ids.
        choices = [(str(at), f"{'*' if name == field.value else ' '} {name}") for at, name in enumerate(names)]
        choices.append(("none", f"{' ' if field.value else '*'} {text('data_screen.no_column')}"))
        said = text(f"data_screen.field_{field.name}") if _has_text(field) else field.name
        title = text("data_screen.ask_column", field=field.name)
        here = next((str(at) for at, name in enumerate(names) if name == field.value), "none")
        self.app.push_screen(ChoiceDialog(title, said, choices, initial=here), take)

    def _change(self, form: Format, field: MappingField, value: str | None) -> None:
        if value != field.value:
            self.post_message(self.Changed(with_value(form.entry, field, value)))

    def _ask_tag(self, form: Format, field: MappingField) -> None:
        def take(typed: str | None) -> None:
            if typed is not None:
                self._change(form, field, typed.strip() or None)

        dialog = LineDialog(
            text("data_screen.ask_tag", field=field.name),
            text("data_screen.ask_tag_help"),
            lambda _: (True, ""),
            initial=field.value or "",
        )
        self.app.push_screen(dialog, take)

    def _build(self) -> list[ListRow]:
        width = max(8, self.size.width - 2)
        opened, form = self._opened, self._format
        if opened is None:
            return []
        entry = form.entry if form is not None else {}
        rows = [ListRow("", ())]
        shape = form.text if form is not None else opened.unfit or text("data_screen.no_format")
        rows += [ListRow("", row) for row in wrapped(shape, "*foreground" if form else "error", width)]
        rows.append(ListRow("", ()))
        name_cells = max([10, *(cell_len(one.name) for one in (_places(form) if form else ()))]) + 2
        rows.append(
            ListRow(_FORMATTING, _line(text("data_screen.formatting"), formatting_of(entry), "", name_cells, width))
        )
        if form is not None:
            ranked = text("data_screen.yes" if entry.get("ranking") else "data_screen.no")
            rows.append(ListRow(_RANKING, _line(text("data_screen.ranking"), ranked, "", name_cells, width)))
            for kind in ("column", "tag"):
                fields = [one for one in _places(form) if one.kind == kind]
                if fields:
                    rows += [ListRow("", ()), ListRow("", ((text(f"data_screen.{kind}s"), "*muted"),))]
                for one in fields:
                    said = text("data_screen.detected") if one.detected and one.value else ""
                    rows.append(ListRow(_key(one), _line(one.name, one.value or "–", said, name_cells, width)))
        rows.append(ListRow("", ()))
        rows += _said(text("data_screen.columns_there", columns=", ".join(opened.columns) or "–"), "muted", width)
        if form is None:
            said, role = "no_format_keys", "warning"
        else:
            said, role = ("mapping_changed", "warning") if self._changed else ("mapping_keys", "muted")
        rows += _said(text(f"data_screen.{said}"), role, width)
        return rows


def _places(form: Format) -> tuple[MappingField, ...]:
    return form.mapping if form.entry.get("ranking") else all_places(form.mapping, form.entry)


def _key(field: MappingField) -> str:
    return f"{field.kind}:{field.name}"


def _has_text(field: MappingField) -> bool:
    from tui.locale import find

    return find(f"data_screen.field_{field.name}") is not None


def _line(name: str, value: str, said: str, name_cells: int, width: int) -> Row:
    name_cells = min(name_cells, max(6, width // 2))
    value_cells = max(4, width - name_cells - cell_len(said) - 2)
    shown = set_cell_size(value, min(value_cells, max(cell_len(value), 24)))
    role = "faint" if value == "–" else "foreground"
    return ((set_cell_size(name, name_cells), "muted"), (shown, role), (f"  {said}", "secondary"))


def _said(words: str, role: str, width: int) -> list[ListRow]:
    return [ListRow("", row) for row in wrapped(words, role, width)]
