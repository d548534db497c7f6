"""The bar on top of every screen: name, numbered tabs, the run and its state. Not for details of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.locale import text
from tui.themes import role_style
from tui.widgets.state_words import state_style, state_word

if TYPE_CHECKING:
    from tui.app import TrimtabApp

SCREENS = ("setup", "dashboard", "runs", "chat", "presets", "data")
TALK_NUMBER = 1 + SCREENS.index("chat")
"""Where Chat stands, and in its place Score while a reward model is asked."""


class TopBar(Widget):
    """One row; a click on a tab opens its screen."""

    class TabChosen(Message):
        """A tab was clicked."""

        def __init__(self, mode: str) -> None:
            super().__init__()
            self.mode = mode

    def __init__(self, area: str) -> None:
        super().__init__()
        self._area = area
        self._tab_ends: list[tuple[int, int, str]] = []

    def update_texts(self) -> None:
        """Draw again: language, run or state changed."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The whole bar; `y` is 0."""
        width = self.size.width
        base = self.rich_style
        muted = base + role_style(self.app, "muted")
        active = base + role_style(self.app, "primary", bold=True)
        brief = width < 64
        segments = [Segment(" trimtab ", base + Style(bold=True))] if width >= 40 else []
        used = sum(segment.cell_length for segment in segments)
        self._tab_ends = []
        for number, name in enumerate(self._tabs(), start=1):
            label = f" {number} " if brief and name != self._area else f" {number} {text(f'common.screen_{name}')} "
            segments.append(Segment(label, active if name == self._area else muted))
            self._tab_ends.append((used, used + cell_len(label), name))
            used += cell_len(label)
        segments += self._run_segments(width - used, base)
        return Strip(segments).adjust_cell_length(width, base)

    def _tabs(self) -> list[str]:
        talk_mode = cast("TrimtabApp", self.app).talk_mode
        return [talk_mode if name == "chat" else name for name in SCREENS]

    def _run_segments(self, room: int, base: Style) -> list[Segment]:
        app = cast("TrimtabApp", self.app)
        if app.current_run is None or self._area == "dashboard":  # the dashboard has a line for it
            return []
        word = state_word(app.run_state)
        name = app.current_run.name
        space = room - cell_len(word) - 3
        if space < 3:
            return []
        if cell_len(name) > space - 1:
            name = "" if space < 8 else name[: space - 2] + "~"
        style = base + state_style(self.app, app.run_state)
        right = [Segment(name + " ", base), Segment(word, style), Segment(" ", base)]
        gap = room - sum(segment.cell_length for segment in right)
        return [Segment(" " * max(0, gap), base), *right]

    def on_click(self, event: events.Click) -> None:
        """Open the screen whose tab was clicked."""
        for first, last, name in self._tab_ends:
            if first <= event.x < last:
                self.post_message(self.TabChosen(name))
