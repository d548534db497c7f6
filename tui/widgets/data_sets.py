"""The list of data sets on the Data screen: what the recipe takes, what else is registered, what fits the stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual.binding import Binding, BindingType

from trainer.paths import shipped_folder
from tui.data_answers import DataSet, Listing
from tui.forms.suggestions import reason_against
from tui.locale import text
from tui.widgets.glyphs import ascii_only
from tui.widgets.measures import size
from tui.widgets.pane import Piece, Row
from tui.widgets.row_list import ListRow, RowList
from tui.widgets.wrapping import wrapped


class DataSets(RowList):
    """One row a set. `[x]` stands before those that the recipe trains on, `!` before those that cannot be used."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,right,l", "choose", "data_screen.key_look", id="data.look"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._listing: Listing | None = None
        self._recipe: tuple[str, ...] = ()
        self._others: tuple[str, ...] = ()
        self._open = ""
        self._trouble = ""
        self._name_cells = 12

    def show_sets(
        self, listing: Listing | None, recipe: Sequence[str], others: Sequence[str], opened: str, trouble: str = ""
    ) -> None:
        """Show the registered sets, those of the recipe that are not registered, and others that were opened."""
        self._listing, self._recipe, self._others = listing, tuple(recipe), tuple(others)
        self._open, self._trouble = opened, trouble
        self.relabel()

    def relabel(self) -> None:
        """Build the rows again."""
        self.show(self._build())

    def on_resize(self, event: object) -> None:
        """The columns follow the width."""
        self.relabel()

    def action_choose(self) -> None:
        """Look at the rows of the set."""
        self.choose()

    def set_of(self, name: str) -> DataSet | None:
        """The registered set of this name."""
        found = self._listing.sets if self._listing is not None else ()
        return next((one for one in found if one.name == name), None)

    def _build(self) -> list[ListRow]:
        width = max(8, self.size.width - 1)
        rows: list[ListRow] = []
        registered = [one.name for one in self._listing.sets] if self._listing is not None else []
        loose = list(dict.fromkeys(name for name in (*self._recipe, *self._others) if name not in registered))
        self._name_cells = max([12, *(cell_len(name) + 2 for name in (*registered, *loose))])
        if loose:
            rows.append(_heading(text("data_screen.sets_other"), width))
            rows += [ListRow(name, self._row(DataSet(name, name), width)) for name in loose]
        if self._listing is not None:
            # A set of the recipe stays above, whether it fits or not: that is where one looks for what is wrong.
            above = [one for one in self._listing.sets if one.name in self._recipe or not reason_against(one)]
            below = [one for one in self._listing.sets if one not in above]
            rows.append(_heading(text("data_screen.sets_registered", folder=short_folder(self._listing.folder)), width))
            rows += [ListRow(one.name, self._row(one, width)) for one in above]
            if below:
                rows.append(_heading(text("data_screen.sets_unfit", stage=self._listing.stage), width))
                rows += [ListRow(one.name, self._row(one, width)) for one in below]
            if not self._listing.sets:
                rows += _words(text("data_screen.sets_none"), "muted", width)
            for problem in self._listing.problems:
                rows += _words(f"! {problem}", "error", width)
        elif self._trouble:
            rows += _words(f"! {self._trouble}", "error", width)
        else:
            rows += _words(text("data_screen.reading"), "muted", width)
        return rows

    def _row(self, one: DataSet, width: int) -> Row:
        taken = one.name in self._recipe
        against = reason_against(one)
        mark: list[Piece] = [("[x] " if taken else "[ ] ", "*success" if taken else "faint")]
        name_room = max(6, min(self._name_cells, width // 2, width - 4))
        name = _fit(("! " if against else "") + one.name, name_room)
        role = "*primary" if one.name == self._open else "muted" if against else "foreground"
        room = width - 4 - name_room - 1
        if against:
            note, note_role = against, "error" if one.problem else "warning"
        elif one.kind == "hub" and not one.files:
            note, note_role = text("data_screen.not_here"), "muted"
        else:
            shape, amount = one.shape.partition(" ")[0], size(one.size) if one.size is not None else ""
            both = " · ".join(part for part in (shape, amount) if part)
            note, note_role = both if cell_len(both) <= room else shape or amount, "muted"
        return (*mark, (name + " ", role), (_fit(note, room) if room > 3 else "", note_role))


def short_folder(folder: str) -> str:
    """A folder as people write it: from here, from home; in words when it came with trimtab."""
    place = Path(folder)
    if place == shipped_folder("data"):
        return text("data_screen.shipped")
    for base, prefix in ((Path.cwd(), ""), (Path.home(), "~/")):
        if place.is_relative_to(base):
            return f"{prefix}{place.relative_to(base)}"
    return folder


def _heading(title: str, width: int) -> ListRow:
    return ListRow("", ((_fit(title, width), "*muted"),))


def _words(words: str, role: str, width: int) -> list[ListRow]:
    return [ListRow("", row) for row in wrapped(words, role, width)]


def _fit(words: str, room: int) -> str:
    """Exactly `room` cells."""
    if cell_len(words) <= room:
        return set_cell_size(words, room)
    return set_cell_size(words, max(0, room - 1)) + ("~" if ascii_only() else "…")
