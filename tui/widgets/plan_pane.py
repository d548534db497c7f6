"""What the run will come to, beside the form: steps, batch, warmup, saves, name, the command that does the same."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from tui.forms.plan_texts import plan_facts, plan_line
from tui.forms.summary import RunPlan
from tui.locale import text
from tui.widgets.component_style import component_style


class PlanPane(Static):
    """A block of facts, or one line of them (`compact`)."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "plan-pane--title",
        "plan-pane--label",
        "plan-pane--error",
        "plan-pane--command",
    }

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, markup=False)
        self.compact = False

    def show(self, plan: RunPlan, *, run_name: str, command: str, errors: int, warnings: int) -> None:
        """Show another plan."""
        if self.compact:
            line = Text(no_wrap=True, overflow="ellipsis")
            line.append(f" {plan_line(plan, run_name)}", style=self._part("label"))
            if errors:
                line.append(f"  {text('setup.errors', count=errors)}", style=self._part("error"))
            self.update(line)
            return
        words = Text()
        words.append(text("setup.plan_title") + "\n", style=self._part("title"))
        facts = plan_facts(plan, run_name)
        width = max(cell_len(label) for label, _ in facts) + 2
        for label, fact in facts:
            words.append(label + " " * (width - cell_len(label)), style=self._part("label"))
            words.append(f"{fact}\n", style=Style())
        if errors or warnings:
            label = text("setup.plan_findings")
            words.append(label + " " * (width - cell_len(label)), style=self._part("label"))
            found = [text("setup.errors", count=errors)] if errors else []
            found += [text("setup.warnings", count=warnings)] if warnings else []
            words.append(", ".join(found) + "\n", style=self._part("error") if errors else Style())
        words.append(command, style=self._part("command"))
        self.update(words)

    def _part(self, name: str) -> Style:
        return component_style(self, f"plan-pane--{name}")
