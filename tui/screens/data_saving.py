"""Saves how a set's rows are read as an entry of `dataset_info.json`: asks for a name, writes. Changes no recipe."""

from __future__ import annotations

from collections.abc import Callable

from textual.screen import Screen

from trainer.errors import UserError
from tui.background import read_in_background
from tui.data_answers import Listing, Opened
from tui.data_client import DataClient
from tui.data_mapping import folder_for_entries, suggested_name, whole_entry
from tui.locale import text
from tui.widgets.confirmation import Confirmation
from tui.widgets.data_sets import short_folder
from tui.widgets.dialogs import LineDialog
from tui.worker_process import RefusedError

Saved = Callable[[str, str, str], None]
"""Gets the name of the entry, the folder and the file it was written into."""


def save_entry(screen: Screen[None], client: DataClient, opened: Opened, listing: Listing, saved: Saved) -> None:
    """Ask for a name and write the entry; the registry that came with trimtab is left as it is."""
    folder = folder_for_entries(listing.folder)
    known = {one.name for one in listing.sets} if folder == listing.folder else set()
    registered = any(one.name == opened.name for one in listing.sets)
    initial = opened.name if registered else suggested_name(opened.name)

    def check(typed: str) -> tuple[bool, str]:
        said = "data_screen.register_replaces" if typed in known else "data_screen.register_new"
        good = bool(typed.strip())
        return good, text(said, folder=short_folder(folder)) if good else text("data_screen.register_empty")

    def take(typed: str | None) -> None:
        if typed is not None:
            write(typed.strip(), typed.strip() in known)

    def write(name: str, replace: bool) -> None:
        def ask() -> str | UserError:
            assert opened.format is not None
            try:
                whole = whole_entry(opened.format.entry, opened.name, listing.folder, folder)
                return client.register(name, whole, folder, replace=replace)
            except UserError as error:
                return error

        def answered(found: str | UserError) -> None:
            if isinstance(found, RefusedError) and found.code == "exists" and not replace:
                question = Confirmation(text("data_screen.register_title"), str(found))
                screen.app.push_screen(question, lambda yes: write(name, True) if yes else None)
            elif isinstance(found, UserError):
                screen.notify(str(found), severity="error", timeout=8, markup=False)
            else:
                saved(name, folder, found)

        read_in_background(screen, ask, answered)

    title, explanation = text("data_screen.register_title"), text("data_screen.register_help")
    screen.app.push_screen(LineDialog(title, explanation, check, initial=initial), take)
