"""What the run will come to, beside the form: memory, steps, batch, disk, time, the command that does the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from trainer.config.form import IN_ANSWERING
from tui.forms.outlook import Outlook, forecast
from tui.forms.outlook_texts import bar, facts, legend, verdict_text
from tui.forms.plan_texts import plan_facts, plan_parts
from tui.forms.summary import RunPlan
from tui.locale import text
from tui.widgets.component_style import component_style
from tui.widgets.measures import size

_LEGEND = 6
"""Parts that are named: the largest."""
_BETWEEN = " · "


@dataclass(frozen=True)
class Planned:
    """All that the pane shows."""

    plan: RunPlan
    run_name: str
    command: str
    errors: int
    warnings: int
    outlook: Outlook | None = None
    """None while nothing is known of the memory."""
    memory_problem: str = ""
    """Why nothing is known; empty while it is being estimated, or when nobody has asked."""
    price_per_hour: float | None = None


class PlanPane(Static):
    """A block of facts, or one line of them (`compact`)."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "plan-pane--title",
        "plan-pane--label",
        "plan-pane--error",
        "plan-pane--warning",
        "plan-pane--command",
        "plan-pane--weights",
        "plan-pane--moving",
        "plan-pane--free",
    }

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, markup=False)
        self.compact = False
        self._planned: Planned | None = None

    def on_resize(self) -> None:
        """Line and bar follow the width."""
        if self._planned is not None:
            self.show(self._planned)

    def show(self, planned: Planned) -> None:
        """Show another plan."""
        self._planned = planned
        self.update(self._line(planned) if self.compact else self._block(planned))

    def _line(self, planned: Planned) -> Text:
        seen = planned.outlook
        parts: list[tuple[str, Style]] = []
        if planned.errors:
            parts.append((text("setup.errors", count=planned.errors), self._part("error")))
        told = plan_parts(planned.plan, planned.run_name)
        if seen is not None and seen.verdict == "fits":
            told.insert(1, verdict_text(seen))
        elif seen is not None:
            parts.append((f"! {verdict_text(seen)}", self._verdict_style(seen)))
            told[:0] = [f"m: {text('setup.key_memory')}"] if seen.ways_out else []
        line = Text(" ", no_wrap=True, overflow="ellipsis")
        for words, style in [*parts, *((words, self._part("label")) for words in told)]:
            if line.cell_len > 1:
                if line.cell_len + len(_BETWEEN) + cell_len(words) > self.size.width:
                    break
                line.append(_BETWEEN, style=self._part("label"))
            line.append(words, style=style)
        return line

    def _block(self, planned: Planned) -> Text:
        words = Text()
        self._add_memory(words, planned)
        words.append(text("setup.plan_title") + "\n", style=self._part("title"))
        told = plan_facts(planned.plan, planned.run_name)
        if planned.outlook is not None:
            told += facts(planned.outlook, forecast(planned.plan, planned.outlook, planned.price_per_hour))
        width = max(cell_len(label) for label, _ in told) + 2
        for label, fact in told:
            words.append(label + " " * (width - cell_len(label)), style=self._part("label"))
            words.append(f"{fact}\n", style=self._part("error") if fact.startswith("!") else Style())
        if planned.errors or planned.warnings:
            label = text("setup.plan_findings")
            words.append(label + " " * (width - cell_len(label)), style=self._part("label"))
            found = [text("setup.errors", count=planned.errors)] if planned.errors else []
            found += [text("setup.warnings", count=planned.warnings)] if planned.warnings else []
            words.append(", ".join(found) + "\n", style=self._part("error") if planned.errors else Style())
        words.append(planned.command, style=self._part("command"))
        return words

    def _add_memory(self, words: Text, planned: Planned) -> None:
        seen = planned.outlook
        words.append(text("estimate.memory_title"), style=self._part("title"))
        if seen is None:
            words.append(f"  {planned.memory_problem or text('estimate.asking')}\n", style=self._part("label"))
            return
        words.append(f"  {seen.device.name}\n", style=self._part("label"))
        width = max(10, self.content_size.width or 38)
        for name, letters in bar(seen, width):
            words.append(letters, style=self._bar_style(name))
        words.append("\n")
        words.append(f"{verdict_text(seen)}\n", style=self._verdict_style(seen))
        named = [f"{letters} {size(seen.parts[part])}" for part, letters in legend(seen)[:_LEGEND]]
        if seen.device.used:
            named.append(text("estimate.others", size=size(seen.device.used)))
        column = max(map(cell_len, named), default=0) + 2
        each = max(1, (width + 2) // column)
        for first in range(0, len(named), each):
            row = named[first : first + each]
            words.append("".join(one + " " * (column - cell_len(one)) for one in row).rstrip() + "\n", Style())
        if seen.is_formula:
            words.append(text("estimate.by_formula") + "\n", style=self._part("label"))
        if seen.stage in IN_ANSWERING.values:
            words.append(text("estimate.stage_note", stage=seen.stage) + "\n", style=self._part("label"))
        if seen.verdict in ("tight", "no"):
            words.append(self._ways(seen) + "\n", style=self._part("warning"))

    def _ways(self, seen: Outlook) -> str:
        if seen.searching:
            return text("estimate.looking")
        if not seen.ways_out:
            return text("estimate.no_way")
        count = len(seen.ways_out)
        return text("estimate.ways_one") if count == 1 else text("estimate.ways", count=count)

    def _verdict_style(self, seen: Outlook) -> Style:
        return {"no": self._part("error"), "tight": self._part("warning")}.get(seen.verdict, Style())

    def _bar_style(self, name: str) -> Style:
        if name in ("free", "others"):
            return self._part("free")
        part = "weights" if name.endswith("weights") else "moving"
        return component_style(self, f"plan-pane--{part}", background=True)

    def _part(self, name: str) -> Style:
        return component_style(self, f"plan-pane--{name}")
