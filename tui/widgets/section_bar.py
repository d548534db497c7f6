"""The sections of a form with their counts, as a column or one line of tabs. Never focused: the list moves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui.widgets.component_style import component_style


@dataclass(frozen=True)
class SectionTab:
    """One section: its title, how many fields were changed, how many have an error."""

    name: str
    title: str
    changed: int = 0
    errors: int = 0

    @property
    def counts(self) -> str:
        """`3* 1!`; empty when there is nothing to say."""
        parts = [f"{self.changed}*" if self.changed else "", f"{self.errors}!" if self.errors else ""]
        return " ".join(part for part in parts if part)


class SectionBar(Widget):
    """Draws the sections; a click chooses one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "section-bar--tab",
        "section-bar--active",
        "section-bar--changed",
        "section-bar--error",
    }

    vertical: reactive[bool] = reactive(False, layout=True)
    active: reactive[str] = reactive("")
    tabs: reactive[tuple[SectionTab, ...]] = reactive(())

    @dataclass
    class Chosen(Message):
        """The user clicked on a section."""

        name: str

    def render(self) -> Text:
        """The column, or the line with the active tab in view."""
        if self.vertical:
            return Text("\n").join(self._column_entry(tab) for tab in self.tabs)
        return self._line()

    def on_click(self, event: events.Click) -> None:
        """Choose the section under the pointer."""
        place = event.get_content_offset_capture(self)
        if self.vertical:
            if 0 <= place.y < len(self.tabs):
                self.post_message(self.Chosen(self.tabs[place.y].name))
            return
        edge = 0
        for tab in self._in_view()[0]:
            edge += cell_len(self._words(tab))
            if place.x < edge:
                self.post_message(self.Chosen(tab.name))
                return

    def _style(self, name: str) -> Style:
        return component_style(self, f"section-bar--{name}", background=name == "active")

    def _column_entry(self, tab: SectionTab) -> Text:
        width = self.content_region.width
        active = tab.name == self.active
        base = self._style("active" if active else "tab")
        title = ("▌" if active else " ") + " " + tab.title
        room = max(0, width - cell_len(tab.counts) - 1)
        entry = Text(set_cell_size(title, room), style=base)
        entry.append_text(self._counts(tab, base))
        entry.append(" ", style=base)
        return entry

    def _counts(self, tab: SectionTab, base: Style) -> Text:
        counts = Text(style=base)
        for part in tab.counts.split():
            style = base + self._style("error" if "!" in part else "changed")
            counts.append((" " if counts else "") + part, style=style)
        return counts

    @staticmethod
    def _words(tab: SectionTab) -> str:
        return f" {tab.title} {tab.counts} " if tab.counts else f" {tab.title} "

    def _in_view(self) -> tuple[list[SectionTab], bool]:
        """The tabs that fit with the active one among them, and whether more stand to the right."""
        width = self.content_region.width - 1
        tabs = list(self.tabs)
        names = [tab.name for tab in tabs]
        active = names.index(self.active) if self.active in names else 0
        first = 0
        while first < active and sum(cell_len(self._words(tab)) for tab in tabs[first : active + 1]) > width:
            first += 1
        shown: list[SectionTab] = []
        for tab in tabs[first:]:
            if shown and sum(cell_len(self._words(one)) for one in [*shown, tab]) > width:
                return shown, True
            shown.append(tab)
        return shown, False

    def _line(self) -> Text:
        shown, more = self._in_view()
        line = Text(no_wrap=True, overflow="ellipsis")
        for tab in shown:
            base = self._style("active" if tab.name == self.active else "tab")
            line.append(f" {tab.title} ", style=base)
            if tab.counts:
                line.append_text(self._counts(tab, base))
                line.append(" ", style=base)
        if more:
            line.append("›", style=self._style("tab"))
        return line
