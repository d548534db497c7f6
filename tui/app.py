"""The cockpit: one Textual app, six numbered screens, one run in the foreground. Not for what a screen does.

Nothing that matters lives here: kill the cockpit at any moment and open it again, and it shows the same.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.filter import LineFilter
from textual.screen import Screen
from textual.theme import Theme

from tui import settings
from tui.harmless_lines import HarmlessLines
from tui.locale import language, set_language, text
from tui.run_feed import POLL_SECONDS, RunFeed, RunUpdated
from tui.screens.base import CockpitScreen
from tui.themes import THEMES, theme_for_environment
from tui.widgets.top_bar import SCREENS, TALK_NUMBER, TopBar
from tui.widgets.wrapping import printable

if TYPE_CHECKING:
    from textual.command import Provider

    from trainer.run import RunDirectory, RunState
    from tui.forms.model import FormModel


_REMEMBER_SECONDS = 2.0
_LOOK_AT = 20  # of the newest runs: is one of them going?
_WAITING_WRITES = 3


@dataclass(frozen=True)
class ChatRequest:
    """What Chat or Score is asked to open: a checkpoint, or the newest one of a run, or nothing in particular."""

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


def _score_screen() -> Screen[None]:
    from tui.screens.score import ScoreScreen

    return ScoreScreen()


def _presets_screen() -> Screen[None]:
    from tui.screens.presets import PresetsScreen

    return PresetsScreen()


def _data_screen() -> Screen[None]:
    from tui.screens.data import DataScreen

    return DataScreen()


def _ordered_commands() -> type[Provider]:
    from tui.palette import OrderedCommands

    return OrderedCommands


class TrimtabApp(App[int]):
    """The app. `open_run`, `open_chat`, `open_setup` are the doors that screens use to reach each other."""

    TITLE = "trimtab"
    CSS_PATH = "theme/app.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {_ordered_commands}  # noqa: RUF012 - Textual's own declaration
    # Each screen module is imported when its screen is first opened: the first frame pays for one screen only.
    MODES = {  # noqa: RUF012 - Textual's own declaration
        "setup": _setup_screen,
        "dashboard": _dashboard_screen,
        "runs": _runs_screen,
        "chat": _chat_screen,
        "score": _score_screen,
        "presets": _presets_screen,
        "data": _data_screen,
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"open('{name}')", f"common.screen_{name}", show=False, id=f"app.open_{name}")
            for number, name in enumerate(SCREENS, start=1)
        ),
        Binding(str(TALK_NUMBER), "open('score')", "common.screen_score", show=False, id="app.open_score"),
        Binding("L", "switch_language", "common.key_language", show=False, id="app.language"),
        Binding("colon", "command_palette", "common.key_palette", show=False, id="app.palette"),
        Binding("ctrl+p", "command_palette", "common.key_palette", show=False, priority=True, id="app.palette_always"),
        Binding("question_mark,f1", "help", "common.key_help", id="app.help"),
        Binding("q", "leave", "common.key_quit", id="app.quit"),
        Binding("ctrl+q", "leave", "common.key_quit", show=False, priority=True, id="app.quit_always"),
    ]

    def __init__(self, *, screen: str = "dashboard", run: Path | None = None, preset: str | None = None) -> None:
        # Textual opens its default mode first; starting with another one costs a screen that nobody sees.
        self.DEFAULT_MODE = screen  # type: ignore[misc]
        super().__init__()
        self.current_run: RunDirectory | None = None
        """The run in the foreground: the one that the dashboard shows."""
        self.run_state: RunState | None = None
        """Its state, as last looked up."""
        self.setup_request: str | None = preset
        """The preset that Setup is asked to open; Setup takes it in `on_shown` and sets it to None."""
        self.setup_field: str = ""
        """The field that Setup is asked to put the cursor on; Setup takes it in `on_shown` and sets it to nothing."""
        self.data_request: str | None = None
        """The set that Data is asked to open; Data takes it in `on_shown` and sets it to None."""
        self.draft: FormModel | None = None
        """The settings of the next run: Setup edits them, Data looks at the rows with them. None: not begun yet."""
        self.chat_request: ChatRequest | None = None
        """What Chat or Score is asked to open; it takes it in `on_shown` and sets it to None."""
        self.talk_mode: str = "chat"
        """Which of the two its number opens, "chat" or "score": the one that was opened last."""
        self._harmless_lines = HarmlessLines()
        self.feed = RunFeed(self.post_message)
        """Follows `current_run` in a thread."""
        for theme in THEMES:
            self.register_theme(theme)
        # Set without its watcher, which would read every style sheet once more.
        self.set_reactive(App.theme, theme_for_environment(settings.load().theme, set(self.available_themes)))
        if run is not None:
            self._set_run(run)

    def on_mount(self) -> None:
        """Install the signal handlers, start to follow the run."""
        self._chosen_theme = self.theme
        self.theme_changed_signal.subscribe(self, self._remember_theme)
        self._install_signal_handlers()
        if self.current_run is None:
            self.run_worker(self._find_run, thread=True, group="find-run", exit_on_error=False)
        # After the first frame: what the thread imports and reads must not hold it up.
        self.call_after_refresh(self.feed.start)
        self.set_timer(_REMEMBER_SECONDS, self._remember_run)

    def on_unmount(self) -> None:
        """The feed ends with the app."""
        self.feed.stop()

    # Doors between screens

    def open_run(self, path: Path) -> None:
        """Show a run on the dashboard."""
        self._set_run(path)
        self.show_screen("dashboard")

    def open_chat(self, checkpoint: Path | None = None, run: Path | None = None) -> None:
        """Open the chat with a checkpoint, or with the newest one of a run."""
        self._open_talk("chat", ChatRequest(checkpoint, run))

    def open_score(self, checkpoint: Path | None = None, run: Path | None = None) -> None:
        """Let a reward model score answers: a checkpoint, or the newest one of a run of stage rm."""
        self._open_talk("score", ChatRequest(checkpoint, run))

    def _open_talk(self, mode: str, request: ChatRequest) -> None:
        self.chat_request, self.talk_mode = request, mode
        self.show_screen(mode)

    def open_setup(self, preset: str | None = None) -> None:
        """Open Setup, with a preset loaded when one is named."""
        self.setup_request = preset
        self.show_screen("setup")

    def open_setup_at(self, field: str) -> None:
        """Open Setup with the cursor on a field."""
        self.setup_field = field
        self.show_screen("setup")

    def open_data(self, name: str | None = None) -> None:
        """Open the Data screen, with a set open when one is named."""
        self.data_request = name
        self.show_screen("data")

    def draft_recipe(self) -> FormModel:
        """The settings of the next run, begun with the first preset where Setup was not opened yet."""
        if self.draft is None:
            from tui.screens.setup import first_draft

            self.draft = first_draft()
        return self.draft

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
        self.run_state = None
        self.feed.set_run(self.current_run)

    def _find_run(self) -> None:
        """In a thread: nobody asked for a run, so take one that is going, else the last one seen, else the newest."""
        from trainer.run import list_runs

        newest = list_runs()
        going = next((run for run in newest[:_LOOK_AT] if run.state().alive), None)
        last = next((run for run in newest if str(run.path) == settings.load().last_run), None)
        found = going or last or (newest[0] if newest else None)
        if found is not None:
            self.call_from_thread(self._take_found_run, found.path)

    def _take_found_run(self, path: Path) -> None:
        if self.current_run is None:
            self._set_run(path)
            # A screen that is still being composed is shown when it is there, with this run.
            if isinstance(self.screen, CockpitScreen) and self.screen.is_mounted:
                self.screen.on_shown()

    def on_run_updated(self, message: RunUpdated) -> None:
        """A new snapshot of the run in the foreground."""
        snapshot = message.snapshot
        if not self.screen_stack:
            return  # the last one may come while the app is closing
        if self.current_run is None or snapshot.run.path != self.current_run.path or self._link_is_slow():
            return
        screen = self.screen_stack[0]
        if snapshot.state != self.run_state:
            self.run_state = snapshot.state
            if isinstance(screen, CockpitScreen):
                screen.refresh_bars()
        if isinstance(screen, CockpitScreen) and screen.is_mounted:
            # While the app closes, widgets go before their screen does.
            with suppress(NoMatches):
                screen.show_snapshot(snapshot)

    def _link_is_slow(self) -> bool:
        """Frames are waiting to be written: skip one, so that keys stay alive. Looks at a private part of Textual."""
        writer = getattr(self._driver, "_writer_thread", None)
        queue = getattr(writer, "_queue", None)
        return queue is not None and queue.qsize() > _WAITING_WRITES

    def on_app_blur(self, _event: events.AppBlur) -> None:
        """Nobody looks: look at the run half as often."""
        self.feed.interval = 2 * POLL_SECONDS

    def on_app_focus(self, _event: events.AppFocus) -> None:
        """Somebody looks again."""
        self.feed.interval = POLL_SECONDS
        self.feed.look_now()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every line of every widget goes through."""
        return [*super().get_line_filters(), self._harmless_lines]

    def notify(self, message: str, **settings: Any) -> None:
        """A toast; what a terminal would act on is written as codes."""
        super().notify(printable(message), **settings)

    # Actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Chat and Score share a number."""
        if action == "open" and parameters[0] in ("chat", "score"):
            return parameters[0] == self.talk_mode
        return True

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
        """Leave; runs go on, and the last line says how to come back."""
        run, state = self.current_run, self.run_state
        farewell = text("common.left_running", run=run.name) if run and state and state.alive else None
        self._remember_run()
        self.exit(0, message=farewell)

    def on_top_bar_tab_chosen(self, message: TopBar.TabChosen) -> None:
        """A click on a tab."""
        self.show_screen(message.mode)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: every key that works here, the screens, the themes."""
        from tui.screens.help import entries_of

        for entry in entries_of(screen):
            title = f"{entry.what} ({entry.keys})"
            yield SystemCommand(title, "", partial(self.run_action, entry.action, entry.node))
        for name in sorted(self.available_themes):
            choose = partial(setattr, self, "theme", name)
            yield SystemCommand(text("common.theme", name=name), text("common.theme_help"), choose)

    def _remember_run(self) -> None:
        if self.current_run is not None:
            settings.change(last_run=str(self.current_run.path))

    def _remember_theme(self, theme: Theme) -> None:
        if theme.name != self._chosen_theme and not os.environ.get("NO_COLOR"):
            self._chosen_theme = theme.name
            settings.change(theme=theme.name)

    def _install_signal_handlers(self) -> None:
        # Textual restores the terminal when it leaves by itself, not when TERM or HUP ends the process.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, partial(self.exit, 128 + number, return_code=128 + number))
