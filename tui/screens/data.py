"""The Data screen: what the next run would learn, looked at before it runs. Wires the parts up.

Not for reading (the data worker does), nor for moving among rows and views (`tui.screens.data_views`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Input

from trainer.errors import UserError
from tui.data_answers import DataSet, Listing, Opened, Progress
from tui.data_client import DataClient, Indexed
from tui.forms.entry import EntryError
from tui.forms.explain import change_text
from tui.forms.model import FormModel
from tui.latest import Latest
from tui.locale import text
from tui.screens.data_dialogs import OpenDialog
from tui.screens.data_saving import save_entry
from tui.screens.data_settings import DataSettings
from tui.screens.data_views import DataViews
from tui.widgets.confirmation import Confirmation
from tui.widgets.data_check import DataCheck
from tui.widgets.data_head import DataHead, DataNote
from tui.widgets.data_mapping_list import DataMapping
from tui.widgets.data_rows import DataRows
from tui.widgets.data_sets import short_folder
from tui.widgets.row_list import RowList
from tui.worker_process import RefusedError


class DataScreen(DataViews):
    """Chooses sets, opens one, and connects it with the recipe, the registry and the check."""

    area: ClassVar[str] = "data"
    CSS_PATH = "../theme/data.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "train_on", "data_screen.key_toggle", id="data.toggle"),
        Binding("f", "fix", "data_screen.key_fix", id="data.fix"),
        Binding("u", "use", "data_screen.key_use", id="data.use"),
        Binding("o", "open", "data_screen.key_open", id="data.open"),
        Binding("c", "check", "data_screen.key_check", id="data.check"),
        Binding("C", "check_all", "data_screen.key_check_all", show=False, id="data.check_all"),
        Binding("g", "go_to", "data_screen.key_go_to", id="data.go_to"),
        Binding("s", "settings", "data_screen.key_settings", id="data.settings"),
        Binding("w", "register", "data_screen.key_register", id="data.register"),
    ]

    def __init__(self, client: DataClient | None = None) -> None:
        super().__init__(client or DataClient(indexed=self._counted_in_thread))
        self.listing: Listing | None = None
        self._opening = ""
        """The set that is being opened."""
        self._entry: dict[str, object] | None = None
        """How the rows of the open set are read, when that was changed here."""
        self._others: list[str] = []
        self._trouble = ""
        self._list_trouble = ""
        self._lists = Latest(self)
        self._opens = Latest(self)
        self._seen: tuple[FormModel, int] | None = None
        self._then_show: tuple[str, int] | None = None

    @property
    def model(self) -> FormModel:
        """The settings of the next run, the same as in Setup."""
        return self.cockpit.draft_recipe()

    @property
    def recipe_sets(self) -> tuple[str, ...]:
        """What the next run trains on."""
        return tuple(self.model.recipe.data.dataset)

    @property
    def _recipe(self) -> dict[str, object]:
        return self.model.recipe.model_dump(mode="json")

    def on_mount(self) -> None:
        """Begin in the list of sets."""
        self.query_one("#data-search").display = False
        self.show_view()
        self.sets.focus()
        self.relabel()

    def on_unmount(self) -> None:
        """The worker goes with the cockpit."""
        self.client.worker.close()

    def on_shown(self) -> None:
        """Look at the sets again; with other settings, also at the rows."""
        wanted, self.cockpit.data_request = self.cockpit.data_request, None
        now = (self.model, self.model.revision)
        changed = now != self._seen
        if changed or self.listing is None:
            self._seen = now
            self._settings_changed(reopen=changed and wanted is None)
        if wanted is not None:
            self.open_set(wanted)

    def relabel(self) -> None:
        """Set every visible text again."""
        self.query_one("#data-search", Input).placeholder = text("data_screen.search_placeholder")
        for part in (self.sets, self.rows, self.query_one(DataMapping), self.checking):
            part.relabel()
        self._draw()

    # asking

    def _settings_changed(self, *, reopen: bool = True) -> None:
        """The recipe is another one: what fits it, and what its rows become, may differ."""
        recipe = self._recipe
        self._lists.ask(lambda: self.client.sets(recipe), self._take_listing, self._no_listing)
        if reopen and self.opened is not None:
            self.open_set(self.opened.name, entry=self._entry, focus=False)

    def _take_listing(self, listing: Listing) -> None:
        self.listing, self._list_trouble = listing, ""
        self._draw()
        if self.opened is None and not self._opening and not self._trouble:
            first = next(iter(self.recipe_sets), None) or next((one.name for one in listing.sets), None)
            if first is not None:
                self.open_set(first, focus=False)

    def _no_listing(self, error: UserError) -> None:
        self._list_trouble = str(error)
        self._draw()

    def open_set(
        self, name: str, *, entry: dict[str, object] | None = None, download: bool = False, focus: bool = True
    ) -> None:
        """Look at the rows of a set: a registered name, a path, or a name on the hub."""
        recipe = self._recipe
        self._opening, self._trouble = name, ""
        registered = self.listing is not None and self.sets.set_of(name) is not None
        if not registered and name not in self._others:
            self._others.append(name)

        def told(progress: Progress) -> None:
            self.call_later(self._told_download, name, progress)

        self._opens.ask(
            lambda: self.client.open(name, recipe, entry=entry, download=download, told=told),
            lambda opened: self._take_opened(opened, entry),
            lambda error: self._not_opened(name, error),
        )
        if focus:
            self.action_enter()
        self._draw()

    def _take_opened(self, opened: Opened, entry: dict[str, object] | None) -> None:
        if opened.name != self._opening:
            return
        if self.opened is None or opened.name != self.opened.name:
            self.checking.forget()
        self.opened, self._entry, self._opening = opened, entry, ""
        self.rows.use(opened)
        self.sets.move_to(opened.name)
        if self._then_show is not None:
            (file, row), self._then_show = self._then_show, None
            self._show_row(file, row)
        self._draw()

    def _not_opened(self, name: str, error: UserError) -> None:
        if name != self._opening:
            return
        self._opening = ""
        if isinstance(error, RefusedError) and error.code == "not_downloaded":
            self._ask_download(name, str(error))
        else:
            self._trouble = str(error)
            self.opened, self._entry = None, None
            self.rows.say(f"! {name}\n\n{error}")
        self._draw()

    def _ask_download(self, name: str, said: str) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self.open_set(name, download=True)

        self.app.push_screen(
            Confirmation(text("data_screen.download"), text("data_screen.download_question", said=said)), answered
        )

    def _told_download(self, name: str, progress: Progress) -> None:
        if name == self._opening:
            self.query_one(DataHead).show_busy(text("data_screen.downloading", set=name, done=progress.done))

    def _counted_in_thread(self, name: str, counted: Indexed) -> None:
        self.call_later(self._counted, name, counted)

    def _counted(self, name: str, counted: Indexed) -> None:
        if self.opened is not None and name == self.opened.name:
            self.rows.counted(counted.known, counted.complete)

    # drawing

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        opened = self.opened
        name = opened.name if opened is not None else ""
        self.sets.show_sets(self.listing, self.recipe_sets, self._others, name, self._list_trouble)
        self._draw_note()
        head = self.query_one(DataHead)
        if self._opening:
            head.show_busy(text("data_screen.opening", set=self._opening))
        elif self._trouble:
            head.show_trouble(self._trouble)
        else:
            head.show_set(opened, self.model.recipe, used=name in self.recipe_sets)
        self.query_one(DataMapping).show_mapping(opened, changed=self._entry is not None)
        self.draw_tabs()
        self.refresh_bindings()

    @on(RowList.Chosen, "#data-sets")
    def _set_chosen(self, message: RowList.Chosen) -> None:
        message.stop()
        if self.opened is not None and message.key == self.opened.name and not self._opening:
            self.action_enter()
        else:
            self.open_set(message.key)

    def _draw_note(self) -> None:
        """What there is to say about the set under the cursor."""
        name = self.sets.key
        known = self.sets.set_of(name) or (DataSet(name, name) if name else None)
        self.query_one(DataNote).show_set(known)

    @on(RowList.Moved, "#data-sets")
    def _set_moved(self, message: RowList.Moved) -> None:
        message.stop()
        self._draw_note()
        self.refresh_bindings()

    # the recipe

    def action_train_on(self) -> None:
        """Take the set under the cursor into the recipe, or out of it."""
        name = self.sets.key
        chosen = list(self.recipe_sets)
        if name not in chosen and self._unsaved(name):
            return
        self._set_sets([one for one in chosen if one != name] if name in chosen else [*chosen, name])

    def action_use(self) -> None:
        """Take the open set into the recipe, and go on in Setup."""
        if self.opened is None or self._unsaved(self.opened.name):
            return
        if self.opened.name not in self.recipe_sets:
            self._set_sets([*self.recipe_sets, self.opened.name])
        self.cockpit.open_setup_at("data.dataset")

    def _set_sets(self, names: Sequence[str]) -> None:
        self.model.set("data.dataset", list(names))
        self._seen = (self.model, self.model.revision)
        self._draw()

    def _unsaved(self, name: str) -> bool:
        """Whether only this screen knows how the rows of the set are read: then says so and asks for a name."""
        if self._entry is None or self.opened is None or name != self.opened.name:
            return False
        self.notify(text("data_screen.save_first"), severity="warning", markup=False)
        self.action_register()
        return True

    def action_settings(self) -> None:
        """Change the settings that decide what rows become."""

        def closed(_none: None) -> None:
            now = (self.model, self.model.revision)
            if now != self._seen:
                self._seen = now
                self.checking.forget()
                self._settings_changed()

        self.app.push_screen(DataSettings(self.model, self.client), closed)

    # other sets

    def action_open(self) -> None:
        """Ask for a file, a folder, or a name on the hub."""

        def take(name: str | None) -> None:
            if name is not None:
                self.open_set(name)

        self.app.push_screen(OpenDialog(), take)

    @on(DataMapping.Changed)
    def _mapping_changed(self, message: DataMapping.Changed) -> None:
        message.stop()
        if self.opened is not None:
            self.checking.forget()
            self.open_set(self.opened.name, entry=message.entry, focus=False)

    def action_register(self) -> None:
        """Write how the rows are read into `dataset_info.json`."""
        opened, listing = self.opened, self.listing
        if opened is None or opened.format is None or listing is None:
            return

        def saved(name: str, folder: str, file: str) -> None:
            if folder != listing.folder:
                self._ask_to_look_there(opened, name, folder, file)
            else:
                self.notify(text("data_screen.registered", name=name, file=file), markup=False)
                self._use_entry(opened, name)

        save_entry(self, self.client, opened, listing, saved)

    def _use_entry(self, opened: Opened, name: str) -> None:
        """From now on the set is known by the name of its new entry."""
        self._others = [one for one in self._others if one != opened.name]
        self._settings_changed(reopen=False)
        self.open_set(name, focus=False)

    def _ask_to_look_there(self, opened: Opened, name: str, folder: str, file: str) -> None:
        """The entry stands where the recipe does not look: offer to let it look there."""
        loose = [one for one in self.recipe_sets if self.sets.set_of(one) is None and one != opened.name]
        left = [one for one in self.recipe_sets if self.sets.set_of(one) is not None]
        here = short_folder(self.listing.folder) if self.listing is not None else ""
        question = text("data_screen.look_there_question", name=name, file=file, folder=here)
        if left:
            question += "\n\n" + text("data_screen.look_there_leaves", sets=", ".join(left))

        def answered(yes: bool | None) -> None:
            if not yes:
                self.notify(text("data_screen.registered_elsewhere", name=name, file=file), timeout=8, markup=False)
                return
            self.model.set("data.dataset_dir", folder)
            self._set_sets([*loose, name])
            self._use_entry(opened, name)

        self.app.push_screen(Confirmation(text("data_screen.look_there"), question), answered)

    # the check

    def action_check(self) -> None:
        """Check every row of the open set."""
        if self.opened is not None and not self._unsaved(self.opened.name):
            self._check([self.opened.name])

    def action_check_all(self) -> None:
        """Check every row of all sets that the recipe trains on."""
        self._check(self.recipe_sets)

    def _check(self, names: Sequence[str]) -> None:
        self.action_show("check")
        self.checking.start(self.client, names, self._recipe)

    def action_fix(self) -> None:
        """Make the first change that the report proposes, and check again with it."""
        finding = self.checking.proposal
        if finding is None:
            return
        try:
            self.model.apply_change(finding)
        except EntryError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._seen = (self.model, self.model.revision)
        self.notify(text("data_screen.fixed", change=change_text(finding)), markup=False)
        self._settings_changed()
        self._check(self.checking.sets)

    @on(DataCheck.Ended)
    def _checked(self, message: DataCheck.Ended) -> None:
        message.stop()
        self.refresh_bindings()

    @on(DataCheck.RowWanted)
    def _row_wanted(self, message: DataCheck.RowWanted) -> None:
        message.stop()
        self._show_row(message.file, message.row)

    def _show_row(self, file: str, row: int) -> None:
        """Show a row of a file, opening the set that it belongs to."""
        opened = self.opened
        if opened is not None and any(path == file for path, _ in opened.files):
            self.action_show("raw")
            self.rows.locate(file, row, lambda: self.notify(text("data_screen.not_counted"), severity="warning"))
            return
        sets = self.listing.sets if self.listing is not None else ()
        owner = next((one.name for one in sets if file in one.files), file)
        self._then_show = (file, row)
        self.open_set(owner)

    @on(DataRows.Shown)
    def _row_shown(self, message: DataRows.Shown) -> None:
        message.stop()
        self.refresh_bindings()
