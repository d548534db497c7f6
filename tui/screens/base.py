"""What all screens of the cockpit share: the bar on top, the body, the line of keys. Not for anything one screen does.

A screen subclasses `CockpitScreen`, sets `area` (its catalogue file and its mode), and gives `compose_body()`. Rules:
- `Binding(key, action, "<area>.key_name", id="<area>.<action>")`: the description is a catalogue key; the key line, the
  help screen and the palette translate it. Keys that nobody needs to see get `show=False` (they stand in the help).
- `relabel()` sets every visible text again; it is called after a language switch.
- `on_shown()` is called each time the screen comes to the front, also when the app opens it with another request.
- The sheet of a screen is `CSS_PATH = "../theme/<area>.tcss"`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.containers import Container
from textual.events import ScreenResume
from textual.screen import Screen

from tui.widgets.key_bar import KeyBar
from tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from tui.app import TrimtabApp
    from tui.run_feed import RunSnapshot


class CockpitScreen(Screen[None]):
    """One of the numbered screens."""

    area: ClassVar[str] = "common"
    main_action: ClassVar[str] = ""
    """The action whose key comes first in the line of keys, so that a narrow window shows it too."""
    _shown_pending = False

    # The key line is ours, and a click must not maximise panes behind the screen's back.
    ALLOW_IN_MAXIMIZED_VIEW = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual's own declaration
    VERTICAL_BREAKPOINTS = [(0, "-low"), (32, "-high")]  # noqa: RUF012

    @property
    def cockpit(self) -> TrimtabApp:
        """The app, typed."""
        return cast("TrimtabApp", self.app)

    def compose(self) -> ComposeResult:
        yield TopBar(self.area)
        with Container(id="body"):
            yield from self.compose_body()
        yield KeyBar(self.main_action)

    def compose_body(self) -> ComposeResult:
        """The widgets between the bar on top and the line of keys."""
        yield from ()

    def relabel(self) -> None:
        """Set every visible text again, in the language that is now in force."""

    def on_shown(self) -> None:
        """The screen has come to the front."""

    def show_snapshot(self, snapshot: RunSnapshot | None) -> None:
        """The run in the foreground was looked at again, about twice a second while the screen is in front."""

    def on_screen_resume(self, _event: ScreenResume) -> None:
        """Textual's event; screens override `on_shown` instead."""
        self.refresh_bars()
        # Textual sends the event twice when a mode is opened for the first time.
        if not self._shown_pending:
            self._shown_pending = True
            self.call_after_refresh(self._shown)

    def _shown(self) -> None:
        self._shown_pending = False
        self.on_shown()

    def refresh_bars(self) -> None:
        """Draw the top bar and the key line again."""
        for bar in (*self.query(TopBar), *self.query(KeyBar)):
            bar.update_texts()
