"""The table of all runs: one row each, columns as the width allows. Reads nothing, it is given `RunRow`s."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from tui.locale import text
from tui.run_rows import RunRow
from tui.stage_curves import main_curve
from tui.widgets.ages import age
from tui.widgets.glyphs import ascii_only
from tui.widgets.measures import duration, size
from tui.widgets.state_words import state_style, state_word

_NAME_CELLS = 24


@dataclass(frozen=True)
class _Column:
    name: str
    least_width: int
    """The column is shown when the table is at least this wide."""
    right: bool
    value: Callable[[RunRow], str]


_COLUMNS = (
    _Column("name", 0, False, lambda row: _short(row.name, _NAME_CELLS)),
    _Column("state", 0, False, lambda row: part_state_word(row)),
    _Column("stage", 72, False, lambda row: row.facts.stage),
    _Column("step", 40, True, lambda row: f"{row.step}/{row.total_steps}" if row.total_steps else "–"),
    _Column("loss", 50, True, lambda row: _loss(row.loss) if main_curve(row.facts.stage) == "loss" else "–"),
    _Column("elapsed", 60, True, lambda row: duration(row.elapsed) if row.elapsed else "–"),
    _Column("age", 72, True, lambda row: age(row.age) if row.has_begun else "–"),
    _Column("checkpoints", 84, True, lambda row: str(row.checkpoints or "–")),
    _Column("size", 94, True, lambda row: size(row.bytes) if row.bytes else "–"),
    _Column("method", 110, False, lambda row: row.facts.method),
    _Column("model", 126, False, lambda row: _short(Path(row.facts.model).name, 20)),
)


class RunTable(DataTable[Text]):
    """All runs, newest first; the cursor stays on its run when rows come and go."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "runs.key_attach", id="runs.attach"),
        Binding("j", "cursor_down", "runs.key_down", show=False, id="runs.down"),
        Binding("k", "cursor_up", "runs.key_up", show=False, id="runs.up"),
        Binding("home,g", "scroll_top", "runs.key_top", show=False, id="runs.top"),
        Binding("end,G", "scroll_bottom", "runs.key_bottom", show=False, id="runs.bottom"),
    ]

    def __init__(self, **widget_arguments: Any) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, **widget_arguments)
        self._shown: tuple[_Column, ...] = ()
        self._rows: list[RunRow] = []
        self._folded: frozenset[Path] = frozenset()

    @property
    def current(self) -> RunRow | None:
        """The run under the cursor."""
        return self._rows[self.cursor_row] if 0 <= self.cursor_row < len(self._rows) else None

    def show(self, rows: Sequence[RunRow], folded: frozenset[Path] = frozenset()) -> None:
        """Show these runs; only cells that changed are painted. `folded`: pipelines whose parts are not among them."""
        before = self._rows
        self._rows, self._folded = list(rows), folded
        columns = tuple(column for column in _COLUMNS if self.size.width >= column.least_width)
        if columns != self._shown or [row.path for row in before] != [row.path for row in rows]:
            self._build(columns, before)
            return
        for at, row in enumerate(self._rows):
            for across, column in enumerate(columns):
                cell = self._cell(column, row)
                place = Coordinate(at, across)
                if self.get_cell_at(place) != cell:
                    self.update_cell_at(place, cell, update_width=True)

    def select(self, path: Path) -> None:
        """Move the cursor to a run."""
        for at, row in enumerate(self._rows):
            if row.path == path:
                self.move_cursor(row=at, animate=False)

    def relabel(self) -> None:
        """Set every visible text again."""
        self._build(self._shown, self._rows)

    def on_resize(self) -> None:
        """Other columns may fit now."""
        self.show(self._rows, self._folded)

    def _build(self, columns: tuple[_Column, ...], before: Sequence[RunRow]) -> None:
        at = self.cursor_row
        selected = before[at].path if 0 <= at < len(before) else None
        self._shown = columns
        self.clear(columns=True)
        for column in columns:
            title = text(f"runs.column_{column.name}")
            self.add_column(Text(title, justify="right" if column.right else "left"), key=column.name)
        for row in self._rows:
            self.add_row(*(self._cell(column, row) for column in columns), key=str(row.path))
        if selected is not None:
            self.select(selected)

    def _cell(self, column: _Column, row: RunRow) -> Text:
        style = state_style(self.app, row.state) if column.name == "state" else ""
        value = column.value(row)
        if column.name == "name" and row.pipeline is not None:
            value = self._name_in_pipeline(row)
        return Text(value, style=style, justify="right" if column.right else "left", no_wrap=True)

    def _name_in_pipeline(self, row: RunRow) -> str:
        """A pipeline says whether its parts are shown; these stand below it."""
        assert row.pipeline is not None
        if row.is_pipeline:
            opened, closed = ("-", "+") if ascii_only() else ("▾", "▸")
            return f"{closed if row.path in self._folded else opened} {_short(row.name, _NAME_CELLS - 2)}"
        return f"  {row.number} {_short(row.pipeline.parts[row.number - 1].name, _NAME_CELLS - 4)}"


def part_state_word(row: RunRow) -> str:
    """The word for the state of a run, or of a part that may not have begun."""
    return state_word(row.state) if row.has_begun else text("pipeline.waits")


def _short(name: str, cells: int) -> str:
    shown = Text(name)
    shown.truncate(cells, overflow="ellipsis")
    return shown.plain


def _loss(loss: float | None) -> str:
    if loss is None:
        return "–"
    return f"{loss:.4f}" if math.isfinite(loss) and abs(loss) < 1000 else f"{loss:.3g}"
