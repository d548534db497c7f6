"""Help for the field under the cursor: its findings first, then what it does and what it takes. Not for editing."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Group
from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from trainer.config import Finding
from tui.forms.explain import Explanation, change_text, finding_text
from tui.locale import text
from tui.widgets.component_style import component_style
from tui.widgets.wrapping import flowed

SIGNS = {"error": "!", "warning": "?", "info": "i"}


class FieldHelp(VerticalScroll, can_focus=False):
    """A pane at the side, or a strip of a few rows below the list (`compact`)."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "field-help--title",
        "field-help--label",
        "field-help--error",
        "field-help--warning",
        "field-help--info",
        "field-help--key",
        "field-help--closed",
    }

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._words = Static(markup=False)
        self.compact = False
        self._told: Explanation | None = None
        self._width = 0

    def on_resize(self) -> None:
        """Lines follow the width."""
        if self._told is not None and self.scrollable_content_region.width != self._width:
            self.show(self._told)

    def compose(self) -> ComposeResult:
        """One block of text."""
        yield self._words

    def show(self, explanation: Explanation | None) -> None:
        """Show one field; None when there is none."""
        self._told, self._width = explanation, self.scrollable_content_region.width
        self.scroll_home(animate=False)
        if explanation is None:
            self._words.update("")
        elif self.compact:
            self._words.update(self._strip(explanation))
        else:
            self._words.update(self._pane(explanation))

    def _pane(self, told: Explanation) -> Group:
        words = Text()
        words.append(f"{told.name}\n", style=self._part("title"))
        if told.closed:
            words.append(f"{told.closed}\n", style=self._part("closed"))
        for finding in told.findings:
            words.append_text(self._finding(finding))
            words.append("\n")
        words.append(f"\n{flowed(told.help, self._width)}\n", style=Style())
        facts = Table.grid(padding=(0, 2, 0, 0))
        for label, fact in told.facts:
            facts.add_row(Text(label, style=self._part("label"), no_wrap=True), Text(fact, style=Style()))
        return Group(words, facts)

    def _strip(self, told: Explanation) -> Text:
        words = Text()
        for finding in told.findings[:2]:
            words.append_text(self._finding(finding))
            words.append("\n")
        if told.closed:
            words.append(text("common.said_of_closed", what=told.name, words=told.closed), style=self._part("closed"))
        words.append(told.help if told.closed else flowed(told.help, self._width), style=Style())
        facts = " · ".join(f"{label} {fact}" for label, fact in told.facts)
        words.append(f"\n{flowed(facts, self._width)}", style=self._part("label"))
        return words

    def _finding(self, finding: Finding) -> Text:
        style = self._part(finding.severity if finding.severity in SIGNS else "info")
        words = Text()
        words.append(flowed(f"{SIGNS.get(finding.severity, 'i')} {finding_text(finding)}", self._width), style=style)
        change = change_text(finding)
        if change:
            words.append(" ", style=Style())
            words.append("f", style=self._part("key"))
            words.append(f" {text('setup.fix_with', change=change)}", style=style)
        return words

    def _part(self, name: str) -> Style:
        return component_style(self, f"field-help--{name}")
