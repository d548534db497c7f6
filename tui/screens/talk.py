"""What the Chat and Score screens share: the checkpoint or model that is loaded, its worker, and what is said of both.

Not for the conversation, and not for answers and their numbers.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from textual.timer import Timer
from textual.widgets import Label

from trainer.errors import UserError
from tui.background import read_in_background
from tui.chat_opening import Opening, find_opening, newer_step, step_of
from tui.chat_session import ChatSession
from tui.locale import text
from tui.screens.base import CockpitScreen
from tui.widgets.model_picker import ChatChoice, ModelPicker
from tui.workers import ChatTarget, chat_target

# Four to five times a second: a stream reads smoothly, and a slow link carries it.
_TICK_SECONDS = 0.22
_NEWER_SECONDS = 3.0


class TalkScreen(CockpitScreen):
    """A screen with one model in a worker. Subclasses say what is done with it."""

    scores: ClassVar[bool] = False
    """Whether it is for reward models."""

    def __init__(self, session: ChatSession | None = None) -> None:
        super().__init__()
        self.session = session or ChatSession(scores=self.scores)
        self._path = ""
        self._run: Path | None = None
        self._newer = 0
        """The step of a checkpoint of the same run that is newer than the one that is loaded; 0 for none."""
        self._notice = ""
        """What the session's thread has to tell."""
        self._asked_for = 0
        self._asked = False
        """Whether somebody's request is being looked up."""
        self._timer: Timer | None = None

    def on_mount(self) -> None:
        """Begin to look at the session while it works, and for newer checkpoints."""
        self._timer = self.set_interval(_TICK_SECONDS, self._tick, pause=True)
        self.set_interval(_NEWER_SECONDS, self._look_for_newer)
        self.relabel()

    def on_unmount(self) -> None:
        """The worker goes with the cockpit."""
        self.session.close()

    def on_shown(self) -> None:
        """Take what the app asks to open."""
        request, self.cockpit.chat_request = self.cockpit.chat_request, None
        if request is not None and (request.checkpoint or request.run):
            self.open(request.checkpoint, request.run)
            self.action_write()
        elif not self._path and not self._asked and self.cockpit.current_run is not None:
            self.open(None, self.cockpit.current_run.path, quiet=True)
        self.draw()

    # What a subclass says

    def begin(self, opening: Opening) -> None:
        """A model was chosen and is about to be loaded."""

    def loading_begun(self) -> None:
        """It is being loaded; what the session is asked now waits for it."""

    def action_write(self) -> None:
        """Where the user writes."""

    def draw(self) -> None:
        """Show everything as it is now."""

    # What is loaded

    def open(self, checkpoint: Path | None, run: Path | None, *, quiet: bool = False) -> None:
        """Load a checkpoint, or the newest one of a run; `quiet` when nobody asked for it."""

        self._asked_for += 1
        self._asked = not quiet
        number = self._asked_for

        def read() -> Opening | UserError:
            try:
                return find_opening(checkpoint, run)
            except UserError as error:
                return error

        def take(found: Opening | UserError) -> None:
            if number != self._asked_for:
                return  # something else was asked for meanwhile
            self._asked = False
            if isinstance(found, Opening):
                self._take(found)
            elif not quiet:
                self.notify(str(found), severity="error", markup=False)

        read_in_background(self, read, take)

    def _take(self, opening: Opening) -> None:
        if opening.path == self._path and self.session.phase in ("loading", "ready", "answering"):
            return
        try:
            target = chat_target(opening.path)
        except UserError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if not self._fits(target):
            if self.is_current:
                door = self.cockpit.open_score if target.scores else self.cockpit.open_chat
                door(Path(opening.path), opening.run)
            return
        self.begin(opening)
        self._path, self._run, self._newer = opening.path, opening.run, 0
        self.session.load(target)
        self.relabel()
        self.loading_begun()
        self.follow()

    def _fits(self, target: ChatTarget) -> bool:
        return target.may_score if self.scores else not target.scores

    def action_choose(self) -> None:
        """Ask what to load."""

        def take(choice: ChatChoice | None) -> None:
            if choice is None:
                return
            if choice.run is not None:
                self.open(Path(choice.path), choice.run)
            else:
                self._take(Opening(choice.path, None))

        self.app.push_screen(ModelPicker(self._path), take)

    def load_again(self) -> None:
        """Load the same model anew."""
        if self.session.target is not None:
            self.session.load(self.session.target)
            self.follow()

    def _look_for_newer(self) -> None:
        """A run that goes on saves on: say so while an older checkpoint is loaded."""
        run, path = self._run, self._path
        if run is None or not self.is_current:
            return

        def take(newest: int) -> None:
            if path == self._path and newest != self._newer:
                self._newer = newest
                self.draw()

        read_in_background(self, lambda: newer_step(run, step_of(path)), take)

    # Drawing

    def follow(self) -> None:
        """Draw a few times a second from now on, until the session has nothing more to do."""
        if self._timer is not None:
            self._timer.resume()
        self.draw()

    def _tick(self) -> None:
        if not self.session.busy and self._timer is not None:
            self._timer.pause()
        if self._notice:
            notice, self._notice = self._notice, ""
            self.notify(notice, severity="warning", markup=False)
        self.draw()

    def draw_head(self, label: Label) -> None:
        """What is loaded, in one line."""
        target = self.session.target
        if target is None:
            label.update(text(f"{self.area}.no_model"))
            return
        kind = "adapter" if target.adapter else "tuned" if target.base else "model"
        base = Path(target.model if target.adapter else target.base or "").name
        newer = f" · {text('chat.newer', step=self._newer)}" if self._newer else ""
        label.update(f"{self.title_of(self._path)} · {text(f'{self.area}.kind_{kind}')} {base}".rstrip() + newer)

    def title_of(self, path: str) -> str:
        """A checkpoint or model in the language in force."""
        run = self._run
        if run is None or run not in Path(path).parents:
            return Path(path).name or path
        return text("chat.checkpoint_title", run=run.name, step=step_of(path))

    def status(self) -> str:
        """What the worker does."""
        session = self.session
        seconds = int(time.monotonic() - session.since)
        match session.phase:
            case "loading":
                return text("chat.status_loading", seconds=seconds)
            case "answering":
                return text(f"{self.area}.status_answering", tokens=session.tokens, seconds=seconds)
            case "ready":
                loaded = session.loaded
                return text("chat.status_ready", device=loaded.device) if loaded else text(f"{self.area}.status_gone")
            case "failed":
                return text("chat.status_failed")
        return text("chat.status_empty")
