"""The two rows over a data set: what it is and whether it fits, and the settings that decide what its rows become."""

from __future__ import annotations

from pathlib import Path

from rich.cells import cell_len
from textual import events

from trainer.config import Recipe
from tui.data_answers import DataSet, Opened
from tui.locale import text
from tui.widgets.measures import count, size
from tui.widgets.pane import Piece, Row
from tui.widgets.rows import RowsWidget
from tui.widgets.wrapping import printable, wrapped


class DataHead(RowsWidget):
    """Always two rows, so that nothing below jumps."""

    DEFAULT_CSS = "DataHead { height: 2; width: 100%; }"

    _said: tuple[list[Piece], list[Piece]] = ([], [])

    def show_set(self, opened: Opened | None, recipe: Recipe, *, used: bool) -> None:
        """Show a set and the recipe; None when none is open."""
        if opened is None:
            self._show([(text("data_screen.nothing_open"), "muted")], [])
            return
        first: list[Piece] = [(printable(opened.name), "*primary")]
        if opened.unfit:
            first.append((f"! {opened.unfit}", "*error"))
        elif opened.format is not None:
            first.append((opened.format.text, "foreground"))
            first.append((text(f"data_screen.kind_{opened.format.row_kind}"), "muted"))
        template = opened.template or text("data_screen.own_template" if opened.model else "data_screen.no_model")
        second: list[Piece] = [
            (text("data_screen.used" if used else "data_screen.not_used"), "*success" if used else "muted"),
            (recipe.method.stage, "foreground"),
            (text("data_screen.template_is", template=template), "foreground"),
            (text("data_screen.cutoff_is", cutoff=count(recipe.data.cutoff_len)), "foreground"),
        ]
        if opened.model:
            second.insert(2, (Path(opened.model.removeprefix("shipped:")).name, "foreground"))
        self._show(first, second)

    def show_busy(self, words: str) -> None:
        """Say what is being done."""
        self._show([(words, "*accent")], [])

    def show_trouble(self, words: str) -> None:
        """Say what cannot be done."""
        self._show([(f"! {words}", "*error")], [])

    def on_resize(self, _event: events.Resize) -> None:
        """The sentences are wrapped for the width."""
        self._show(*self._said)

    def _show(self, first: list[Piece], second: list[Piece]) -> None:
        self._said = (first, second)
        width = max(4, self.size.width - 2)
        words = first[-1][0] if first else ""
        # One long sentence has both rows.
        if not second and cell_len(words) > width:
            first_row, second_row, *_ = (*wrapped(words, first[-1][1], width), ())
            self.set_rows([((" ", "muted"), *first_row), ((" ", "muted"), *second_row)])
            return
        self.set_rows([_row(first, width), _row(second, width)])


def _row(pieces: list[Piece], width: int) -> Row:
    """Pieces with dots between; those that do not fit are left out, the first one stays."""
    row: list[Piece] = [(" ", "muted")]
    used = 0
    for number, (words, role) in enumerate(pieces):
        cells = cell_len(words) + (3 if number else 0)
        if number and used + cells > width:
            continue
        row += [(" · ", "faint")] if number else []
        row.append((words, role))
        used += cells
    return tuple(row)


class DataNote(RowsWidget):
    """What there is to say about the set under the cursor, in as many rows as the sheet gives it."""

    _set: DataSet | None = None

    def show_set(self, one: DataSet | None) -> None:
        """Show what is known of a set."""
        self._set = one
        self.relabel()

    def relabel(self) -> None:
        """Wrap the words for the width."""
        width, height = max(4, self.size.width - 2), max(1, self.size.height)
        rows: list[Row] = [((" ", "muted"), *row) for row in wrapped(set_note(self._set), "muted", width)]
        self.set_rows([*rows, *[()] * height][:height])

    def on_resize(self, _event: events.Resize) -> None:
        """Another width."""
        self.relabel()


def set_note(one: DataSet | None) -> str:
    """What there is to say about a registered set, in a few lines."""
    if one is None:
        return ""
    where = " · ".join(part for part in (one.source, size(one.size) if one.size is not None else "") if part)
    # What stands against it comes first: on a low screen there are three rows.
    lines = [f"! {one.problem or one.unfit}"] if one.problem or one.unfit else []
    lines.append(where)
    if one.shape:
        lines.append(one.shape)
    if one.stages and not lines[0].startswith("!"):
        lines.append(text("data_screen.fits", stages=", ".join(one.stages)))
    if one.kind == "hub" and not one.files and not one.problem:
        lines.append(text("data_screen.not_here_note"))
    return "\n".join(printable(line) for line in lines)
