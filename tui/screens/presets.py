"""Presets: the shipped ones and one's own as a table, to open, train, read, copy and delete. Not for editing values."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Static
from textual.widgets.data_table import ColumnKey

from trainer.config import PresetInfo, delete_preset, list_presets, load_preset, save_preset
from trainer.errors import UserError
from trainer.paths import user_presets_folder
from tui.importing import import_as_preset, preset_place
from tui.locale import text
from tui.localized import localized
from tui.screens.base import CockpitScreen
from tui.screens.preset_dialogs import SaveDialog, SaveRequest, TomlDialog
from tui.widgets.confirmation import Confirmation
from tui.widgets.dialogs import LineDialog

COLUMNS = ("name", "stage", "origin", "description")


class PresetTable(DataTable[Text]):
    """The table, with the keys of the house for moving."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "setup.key_down", show=False, id="presets.down"),
        Binding("k", "cursor_up", "setup.key_up", show=False, id="presets.up"),
        Binding("home,g", "scroll_top", "setup.key_first", show=False, id="presets.first"),
        Binding("end,G", "scroll_bottom", "setup.key_last", show=False, id="presets.last"),
    ]


class PresetsScreen(CockpitScreen):
    """All presets, and below them what the one under the cursor says."""

    area: ClassVar[str] = "presets"
    CSS_PATH = "../theme/presets.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "open", "presets.key_open", id="presets.open"),
        Binding("t", "train", "presets.key_train", id="presets.train"),
        Binding("e", "show_toml", "presets.key_toml", id="presets.toml"),
        Binding("d", "duplicate", "presets.key_duplicate", id="presets.duplicate"),
        Binding("i", "import_file", "presets.key_import", id="presets.import"),
        Binding("x,delete", "delete", "presets.key_delete", id="presets.delete"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._presets: tuple[PresetInfo, ...] = ()

    def compose_body(self) -> ComposeResult:
        """Table and note."""
        yield PresetTable(id="presets-table", cursor_type="row", zebra_stripes=False)
        yield Static("", id="presets-note", markup=False)

    @property
    def table(self) -> PresetTable:
        """The table."""
        return self.query_one(PresetTable)

    @property
    def selected(self) -> PresetInfo | None:
        """The preset under the cursor; None when there are none."""
        row = self.table.cursor_row
        return self._presets[row] if 0 <= row < len(self._presets) else None

    def on_mount(self) -> None:
        """The table has the keys."""
        self.reload()
        self.table.focus()

    def on_shown(self) -> None:
        """Files may have changed meanwhile."""
        self.reload()

    def on_resize(self) -> None:
        """The last column takes what is left."""
        self.reload()

    def relabel(self) -> None:
        """Set every text again."""
        self.reload()

    def reload(self, *, select: str | None = None) -> None:
        """Read the list again; the cursor stays on its preset."""
        selected = self.selected
        wanted = select or (selected.name if selected else "")
        self._presets = tuple(list_presets())
        rows = [self._cells(info) for info in self._presets]
        table = self.table
        table.clear(columns=True)
        for column, width in zip(COLUMNS, self._widths(rows), strict=True):
            table.add_column(text(f"presets.column_{column}"), key=column, width=width)
        for info, cells in zip(self._presets, rows, strict=True):
            cells[-1].truncate(table.columns[ColumnKey("description")].width, overflow="ellipsis")
            table.add_row(*cells, key=f"{info.shipped}-{info.name}")
        names = [info.name for info in self._presets]
        if wanted in names:
            table.move_cursor(row=names.index(wanted), animate=False)
        self._show_note()

    def _cells(self, info: PresetInfo) -> tuple[Text, ...]:
        variables = self.app.theme_variables
        muted = variables.get("text-muted", "")
        name = Text(("! " if info.error else "  ") + info.name, style="bold")
        origin = Text(text("presets.shipped" if info.shipped else "presets.own"), style=_color(muted))
        if info.error:
            name.stylize(_color(variables.get("error", "")))
            note = Text(info.error.splitlines()[0], style=_color(variables.get("error", "")))
        else:
            note = Text(info.description)
        return name, Text(info.stages or "–"), origin, note

    def _widths(self, rows: list[tuple[Text, ...]]) -> list[int]:
        """Each column as wide as its widest cell; the description takes what is left of the window."""
        titles = [text(f"presets.column_{column}") for column in COLUMNS]
        widths = [max([cell_len(title), *(row[at].cell_len for row in rows)]) for at, title in enumerate(titles)]
        widths[0] = min(widths[0], max(12, self.size.width // 3))
        # Two cells around every column, one at each side of the table, one for the bar.
        widths[-1] = max(10, self.size.width - sum(widths[:-1]) - 2 * len(widths) - 3)
        return widths

    def on_data_table_row_highlighted(self) -> None:
        """The note follows the cursor."""
        self._show_note()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter opens the preset in Setup."""
        event.stop()
        self.action_open()

    def _show_note(self) -> None:
        info = self.selected
        words = text("presets.none") if info is None else info.error or f"{info.description}\n{_short(info.path)}"
        note = self.query_one("#presets-note", Static)
        note.update(words)
        note.set_class(info is not None and info.error is not None, "-bad")

    # what can be done with one

    def _whole(self) -> PresetInfo | None:
        """The preset under the cursor when it can be read; says why when it cannot."""
        info = self.selected
        if info is not None and info.error:
            self.notify(text("presets.broken", name=info.name), severity="error", markup=False)
            return None
        return info

    def action_open(self) -> None:
        """Load it into Setup; a pipeline has a page of its own."""
        info = self._whole()
        if info is not None and info.parts:
            self._review_pipeline(info)
        elif info is not None:
            self.cockpit.open_setup(info.name)

    def action_train(self) -> None:
        """Go to the review page with the preset as it stands; from there one key starts it."""
        info = self._whole()
        if info is None:
            return
        if info.parts:
            self._review_pipeline(info)
            return
        from tui.screens.review import open_review

        open_review(self.app, info.name)

    def _review_pipeline(self, info: PresetInfo) -> None:
        """A pipeline has no form: it is looked at and started as it stands in its file."""
        from tui.screens.pipeline_review import open_pipeline_review

        open_pipeline_review(self.app, info.path)

    def action_show_toml(self) -> None:
        """Read its file, also when it is broken."""
        info = self.selected
        if info is None:
            return
        try:
            content = Path(info.path).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.app.push_screen(TomlDialog(_short(info.path), content))

    def action_duplicate(self) -> None:
        """Copy it under another name, as a preset of one's own."""
        info = self._whole()
        if info is None:
            return
        own = {each.name for each in self._presets if not each.shipped}
        shipped = {each.name for each in self._presets if each.shipped}

        def answered(request: SaveRequest | None) -> None:
            if request is not None:
                self._copy(info, request)

        self.app.push_screen(SaveDialog(f"my-{info.name}", info.description, own=own, shipped=shipped), answered)

    def _copy(self, info: PresetInfo, request: SaveRequest) -> None:
        if info.parts:
            self._copy_file(info, request.name)
            return
        try:
            values = load_preset(info.name).values
            path = save_preset(request.name, values, description=request.description)
        except (UserError, OSError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.reload(select=request.name)
        self.notify(text("setup.saved", path=_short(path)), markup=False)

    def _copy_file(self, info: PresetInfo, name: str) -> None:
        """A pipeline is copied as it stands, its description with it."""
        target = user_presets_folder() / f"{name}.toml"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(info.path.read_text(encoding="utf-8"), encoding="utf-8")
        except OSError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.reload(select=name)
        self.notify(text("setup.saved", path=_short(target)), markup=False)

    def action_import_file(self) -> None:
        """Make a preset of a LLaMA-Factory file, and show what it became."""

        def check(typed: str) -> tuple[bool, str]:
            file = Path(typed.strip()).expanduser()
            if not file.is_file() or file.suffix.lower() not in (".yaml", ".yml", ".json"):
                return False, text("presets.import_no_file")
            known = "presets.import_replaces" if preset_place(file).exists() else "presets.import_new"
            return True, text(known, path=_short(preset_place(file)))

        def take(typed: str | None) -> None:
            if typed is not None:
                self._import(Path(typed.strip()).expanduser())

        self.app.push_screen(LineDialog(text("presets.import_title"), text("presets.import_help"), check), take)

    def _import(self, file: Path) -> None:
        try:
            made = import_as_preset(file, preset_place(file), replace=True)
        except UserError as error:
            self.notify(str(error), severity="error", timeout=8, markup=False)
            return
        self.reload(select=made.path.stem)
        warnings = [localized(each.id, each.values, each.text) for each in made.findings if each.severity == "warning"]
        notes = [*map(str, made.problems), *warnings]
        head = "".join(f"# ! {note}\n" for note in notes)
        self.app.push_screen(TomlDialog(_short(made.path), head + made.content))

    def action_delete(self) -> None:
        """Delete one's own after a question; shipped ones stay."""
        info = self.selected
        if info is None:
            return
        if info.shipped:
            self.notify(text("presets.not_shipped", name=info.name), severity="warning", markup=False)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._delete(info)

        question = text("presets.delete_question", name=info.name, path=_short(info.path))
        self.app.push_screen(Confirmation(text("presets.delete_yes"), question), answered)

    def _delete(self, info: PresetInfo) -> None:
        try:
            delete_preset(info.name)
        except (UserError, OSError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.reload()
        self.notify(text("presets.deleted", name=info.name), markup=False)


def _short(path: Path | str) -> str:
    """A path as people write it, with `~`."""
    place, home = Path(path), Path.home()
    return f"~/{place.relative_to(home)}" if place.is_relative_to(home) else str(place)


def _color(value: str) -> str:
    """A theme colour for Rich; nothing where the theme gives no plain one."""
    return value if value.startswith("#") else ""
