"""The cockpit: one Textual app, five numbered screens, one run in the foreground. Not for what a screen does.

Nothing that matters lives here: kill the cockpit at any moment and open it again, and it shows the same.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from tui import settings
from tui.locale import language, set_language, text
from tui.screens.base import CockpitScreen
from tui.themes import THEMES, theme_for_environment
from tui.widgets.top_bar import SCREENS, TopBar

if TYPE_CHECKING:
    from trainer.run import RunDirectory, RunState


@dataclass(frozen=True)
class ChatRequest:
    """What the chat screen is asked to open: a checkpoint, or the newest one of a run, or nothing in particular."""

    checkpoint: Path | None
    run: Path | None


def _setup_screen() -> Screen[None]:
    from tui.screens.setup import SetupScreen

    return SetupScreen()


def _dashboard_screen() -> Screen[None]:
    from tui.screens.dashboard import DashboardScreen

    return DashboardScreen()


def _runs_screen() -> Screen[None]:
    from tui.screens.runs import RunsScreen

    return RunsScreen()


def _chat_screen() -> Screen[None]:
    from tui.screens.chat import ChatScreen

    return ChatScreen()


def _presets_screen() -> Screen[None]:
    from tui.screens.presets import PresetsScreen

    return PresetsScreen()


class TrimtabApp(App[int]):
    """The app. `open_run`, `open_chat`, `open_setup` are the doors that screens use to reach each other."""

    TITLE = "trimtab"
    CSS_PATH = "theme/app.tcss"
    ENABLE_COMMAND_PALETTE = True
    # Each screen module is imported when its screen is first opened: the first frame pays for one screen only.
    MODES = {  # noqa: RUF012 - Textual's own declaration
        "setup": _setup_screen,
        "dashboard": _dashboard_screen,
        "runs": _runs_screen,
        "chat": _chat_screen,
        "presets": _presets_screen,
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"open('{name}')", f"common.screen_{name}", show=False, id=f"app.open_{name}")
            for number, name in enumerate(SCREENS, start=1)
        ),
        Binding("L", "switch_language", "common.key_language", show=False, id="app.language"),
        Binding("colon", "command_palette", "common.key_palette", show=False, id="app.palette"),
        Binding("question_mark,f1", "help", "common.key_help", id="app.help"),
        Binding("q", "leave", "common.key_quit", id="app.quit"),
        Binding("ctrl+q", "leave", "common.key_quit", show=False, priority=True, id="app.quit_always"),
    ]

    def __init__(self, *, screen: str = "dashboard", run: Path | None = None, preset: str | None = None) -> None:
        super().__init__()
        self._first_screen = screen
        self._first_run = run
        self.current_run: RunDirectory | None = None
        """The run in the foreground: the one that the dashboard shows."""
        self.run_state: RunState | None = None
        """Its state, as last looked up."""
        self.setup_request: str | None = preset
        """The preset that Setup is asked to open; Setup takes it in `on_shown` and sets it to None."""
        self.chat_request: ChatRequest | None = None
        """What Chat is asked to open; Chat takes it in `on_shown` and sets it to None."""
        for theme in THEMES:
            self.register_theme(theme)

    def on_mount(self) -> None:
        """Choose the theme, install the signal handlers, open the first screen."""
        self.theme = theme_for_environment(settings.load().theme, set(self.available_themes))
        self._install_signal_handlers()
        if self._first_run is not None:
            self._set_run(self._first_run)
        self.switch_mode(self._first_screen)

    # Doors between screens

    def open_run(self, path: Path) -> None:
        """Show a run on the dashboard."""
        self._set_run(path)
        self.show_screen("dashboard")

    def open_chat(self, checkpoint: Path | None = None, run: Path | None = None) -> None:
        """Open the chat with a checkpoint, or with the newest one of a run."""
        self.chat_request = ChatRequest(checkpoint, run)
        self.show_screen("chat")

    def open_setup(self, preset: str | None = None) -> None:
        """Open Setup, with a preset loaded when one is named."""
        self.setup_request = preset
        self.show_screen("setup")

    def show_screen(self, mode: str) -> None:
        """Bring a screen to the front; `on_shown` of the screen follows, also when it is there already."""
        if self.current_mode == mode:
            if isinstance(self.screen, CockpitScreen):
                self.screen.on_shown()
            return
        self.switch_mode(mode)

    def _set_run(self, path: Path) -> None:
        from trainer.run import RunDirectory

        self.current_run = RunDirectory(path)
        self.run_state = self.current_run.state()

    # Actions

    def action_open(self, mode: str) -> None:
        """Number keys."""
        self.show_screen(mode)

    def action_switch_language(self) -> None:
        """English and Chinese, live."""
        set_language("zh" if language() == "en" else "en")
        settings.change(language=language())
        self.relabel_all()

    def relabel_all(self) -> None:
        """Let every open screen set its texts again."""
        for stack in self._screen_stacks.values():
            for screen in stack:
                if isinstance(screen, CockpitScreen):
                    screen.relabel()
                    screen.refresh_bars()

    def action_help(self) -> None:
        """The keys of where you are."""
        from tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_leave(self) -> None:
        """Leave; runs go on."""
        self.exit(0)

    def on_top_bar_tab_chosen(self, message: TopBar.TabChosen) -> None:
        """A click on a tab."""
        self.show_screen(message.mode)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: every screen, language, themes, help."""
        yield from super().get_system_commands(screen)

    def _install_signal_handlers(self) -> None:
        # Textual restores the terminal when it leaves by itself, not when TERM or HUP ends the process.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, lambda code=128 + number: self.exit(code, return_code=code))
