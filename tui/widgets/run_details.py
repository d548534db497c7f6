"""What is told about the selected run: two columns of text below the table. Reads nothing, it is given `RunDetails`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from trainer.run import RunState
from tui.forms.entry import shown_text
from tui.locale import text
from tui.pipeline_texts import long_standing, standing_note
from tui.run_rows import RunDetails, RunRow
from tui.themes import role_style
from tui.widgets.ages import age
from tui.widgets.measures import duration, size
from tui.widgets.parts_strip import state_sign
from tui.widgets.run_table import part_state_word
from tui.widgets.state_words import state_style

_FACT_CELLS = 8
_STEP_CELLS = 10


class RunDetailsPane(Horizontal):
    """Left: how it stands and what differs from its preset. Right: its checkpoints."""

    def __init__(self, **widget_arguments: Any) -> None:
        super().__init__(**widget_arguments)
        self._details: RunDetails | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="details-left"):
            yield Static(id="details-facts", markup=False)
        with VerticalScroll(id="details-right"):
            yield Static(id="details-checkpoints", markup=False)

    def show(self, details: RunDetails | None) -> None:
        """Show this run."""
        self._details = details
        self.relabel()

    def relabel(self) -> None:
        """Set every visible text again."""
        left, right = Text(), Text()
        if self._details is not None:
            left, right = self._facts(self._details), self._checkpoints(self._details)
        self.query_one("#details-facts", Static).update(left)
        self.query_one("#details-checkpoints", Static).update(right)

    def _facts(self, details: RunDetails) -> Text:
        row = details.row
        if row.is_pipeline:
            return self._pipeline_facts(details)
        shown = Text()
        shown.append(f"{row.name}  ", Style(bold=True))
        shown.append(part_state_word(row) + "\n", state_style(self.app, row.state))
        if row.pipeline is not None:
            count, name = len(row.pipeline.parts), row.pipeline.name
            line = text("pipeline.part_of_whole", number=row.number, count=count, name=name)
            shown.append(line + "\n", role_style(self.app, "muted"))
        if row.message or row.state is RunState.LOST:
            shown.append((row.message or text("runs.lost_hint")) + "\n", role_style(self.app, "warning"))
        quiet = role_style(self.app, "muted")
        for name, value in (
            ("model", row.facts.model),
            ("method", f"{row.facts.stage} {row.facts.method}"),
            ("preset", row.facts.preset),
            ("path", str(row.path)),
        ):
            shown.append(set_cell_size(text(f"runs.fact_{name}"), _FACT_CELLS), quiet).append(f"{value}\n")
        shown.append("\n" + text("runs.changes") + "\n", Style(bold=True))
        if details.changes_note:
            shown.append(text("runs.no_preset", preset=details.changes_note) + "\n", quiet)
        elif not details.changes:
            shown.append(text("runs.no_changes") + "\n", quiet)
        for change in details.changes:
            values = f"{shown_text(change.before)} → {shown_text(change.after)}"
            shown.append(f"{change.key}  ", quiet).append(f"{values}\n")
        shown.rstrip()
        return shown

    def _pipeline_facts(self, details: RunDetails) -> Text:
        """How a pipeline stands, where it came from, what it has cost."""
        row, pipeline, standing = details.row, details.row.pipeline, details.row.standing
        assert pipeline is not None
        assert standing is not None
        shown = Text()
        shown.append(f"{row.name}  ", Style(bold=True))
        shown.append(long_standing(pipeline, standing) + "\n", state_style(self.app, row.state))
        if note := standing_note(pipeline, standing):
            shown.append(note + "\n", role_style(self.app, "warning"))
        facts = [
            (text("runs.fact_model"), row.facts.model),
            (text("pipeline.fact_time"), duration(row.elapsed)),
            (text("runs.fact_preset"), row.facts.preset),
            (text("runs.fact_path"), str(row.path)),
        ]
        if row.price is not None:
            facts.insert(2, (text("pipeline.cost"), f"{row.price:,.2f}"))
        for label, value in facts:
            shown.append(set_cell_size(label, _FACT_CELLS), role_style(self.app, "muted")).append(f"{value}\n")
        shown.rstrip()
        return shown

    def _parts(self, parts: Sequence[RunRow]) -> Text:
        """The parts of a pipeline, one a line."""
        shown = Text().append(text("pipeline.parts") + "\n", Style(bold=True))
        names = [row.pipeline.parts[row.number - 1].name for row in parts if row.pipeline is not None]
        width = max(map(cell_len, names), default=0)
        for row, name in zip(parts, names, strict=True):
            shown.append(f"{state_sign(row.state)} {row.number} {set_cell_size(name, width)}  {row.facts.stage:<5} ")
            shown.append(part_state_word(row), state_style(self.app, row.state))
            if row.elapsed:
                shown.append(f"  {duration(row.elapsed)}")
            shown.append("\n")
        shown.append(text("pipeline.fold_hint"), role_style(self.app, "muted"))
        return shown

    def _checkpoints(self, details: RunDetails) -> Text:
        if details.row.is_pipeline:
            return self._parts(details.parts)
        shown = Text().append(text("runs.checkpoints") + "\n", Style(bold=True))
        if not details.checkpoints and not details.damaged:
            shown.append(text("runs.no_checkpoints"), role_style(self.app, "muted"))
        badge = text("runs.badge_verified" if details.verified else "runs.badge_good")
        for one in reversed(details.checkpoints):
            shown.append(f"{set_cell_size(text('runs.step', step=one.step), _STEP_CELLS)} {size(one.bytes):>8}  ")
            shown.append(badge, role_style(self.app, "success", bold=True))
            shown.append(f"  {age(time.time() - one.created)}\n")
        for bad in details.damaged:
            shown.append(f"{bad.path.name}  ").append(
                text("runs.badge_damaged"), role_style(self.app, "error", bold=True)
            )
            shown.append(f" {bad.reason}\n")
        if details.checkpoints and not details.verified:
            shown.append(text("runs.verify_hint"), role_style(self.app, "muted"))
        shown.rstrip()
        return shown
