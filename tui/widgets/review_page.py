"""The page before the start, drawn: findings, changes, automatic values, what is left out, the plan. Not its keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from tui.forms.explain import change_text, finding_text
from tui.forms.model import FormModel
from tui.forms.plan_texts import plan_facts
from tui.forms.review import Review, review
from tui.forms.run_names import next_run_folder
from tui.forms.summary import command_line, plan
from tui.locale import text
from tui.widgets.component_style import component_style
from tui.widgets.field_help import SIGNS
from tui.widgets.wrapping import flowed

_WIDEST = 36
"""Cells of the widest column; longer cells push the rest of their line to the right."""

_NARROWEST = 20
"""Cells below which a last column is not broken under itself, but goes on at the left edge."""


class ReviewPage(Static):
    """One text; it scrolls in its parent."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "review-page--title",
        "review-page--label",
        "review-page--new",
        "review-page--error",
        "review-page--warning",
        "review-page--info",
        "review-page--command",
    }

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, markup=False)
        self._shown: tuple[FormModel, int | None] | None = None
        self._width = 0

    def on_resize(self) -> None:
        """Columns follow the width."""
        if self._shown is not None and self.content_size.width != self._width:
            self.show(*self._shown)

    def show(self, model: FormModel, rows: int | None) -> None:
        """Draw the page of a form."""
        self._shown, self._width = (model, rows), self.content_size.width
        told = review(model)
        page = Text()
        self._add_findings(page, told)
        self._add_changes(page, told, model.preset.name if model.preset else "")
        automatic = [(one.name, one.value, one.reason) for one in told.automatic]
        self._add_block(page, text("setup.review_automatic"), automatic)
        left_out = [
            (one.name, one.value, text("setup.applies_with", conditions=one.conditions)) for one in told.left_out
        ]
        self._add_block(page, text("setup.review_left_out"), left_out)
        self._add_plan(page, model, rows)
        self.update(page)

    def _add_findings(self, page: Text, told: Review) -> None:
        for finding in told.findings:
            severity = finding.severity if finding.severity in SIGNS else "info"
            page.append(f"{SIGNS[severity]} {finding_text(finding)}", style=self._part(severity))
            change = change_text(finding)
            if change:
                page.append(f"  f: {text('setup.fix_with', change=change)}", style=self._part("title"))
            page.append("\n")
        if told.findings:
            page.append("\n")

    def _add_changes(self, page: Text, told: Review, preset: str) -> None:
        self._add_title(page, text("setup.review_changes", preset=preset))
        for name, before, after in _columns([(one.name, one.before, one.after) for one in told.changes]):
            page.append(f"  {name}  ")
            page.append(f"{before}  →  ", style=self._part("label"))
            page.append(f"{after}\n", style=self._part("new"))
        if not told.changes:
            page.append(f"  {text('setup.review_no_changes')}\n", style=self._part("label"))

    def _add_block(self, page: Text, title: str, rows: Sequence[tuple[str, str, str]]) -> None:
        if not rows:
            return
        page.append("\n")
        self._add_title(page, title)
        for name, value, note in _columns(rows):
            head = f"  {name}  {value}  "
            page.append(head)
            page.append(f"{self._hanging(note, cell_len(head))}\n", style=self._part("label"))

    def _add_plan(self, page: Text, model: FormModel, rows: int | None) -> None:
        folder = next_run_folder(model)
        facts = [*plan_facts(plan(model, rows), folder.name), (text("setup.review_folder"), str(folder))]
        page.append("\n")
        self._add_title(page, text("setup.plan_title"))
        command = (text("setup.review_command"), command_line(model))
        for label, fact in _columns([*facts, command]):
            head = f"  {label}  "
            page.append(head, style=self._part("label"))
            words = fact if fact == command[1] else self._hanging(fact, cell_len(head))
            page.append(f"{words}\n", style=self._part("command") if fact == command[1] else Style())

    def _hanging(self, words: str, left: int) -> str:
        """Words behind `left` cells: where they take several lines, these begin below the first."""
        room = self.content_size.width - left
        if room < _NARROWEST:
            return words
        return flowed(words, room).replace("\n", "\n" + " " * left)

    def _add_title(self, page: Text, words: str) -> None:
        page.append(f"{words}\n", style=self._part("title"))

    def _part(self, name: str) -> Style:
        return component_style(self, f"review-page--{name}")


def _columns(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows with all cells but the last padded to the width of their column."""
    if not rows:
        return []
    widths = [min(_WIDEST, max(cell_len(row[column]) for row in rows)) for column in range(len(rows[0]) - 1)]
    return [(*(_padded(cell, width) for cell, width in zip(row, widths, strict=False)), row[-1]) for row in rows]


def _padded(cell: str, width: int) -> str:
    return cell if cell_len(cell) > width else set_cell_size(cell, width)
