"""The input line of the chat: Enter sends, pasted lines stay together. Not for answers (`chat_log`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widgets import TextArea

# A terminal without bracketed paste sends pasted line ends as Enter; more keys follow within this time then.
_PASTE_SECONDS = 0.05


class PromptArea(TextArea):
    """A text area that grows with what is typed; Enter sends it, ctrl+j begins a new line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+j,shift+enter,alt+enter", "new_line", "chat.key_new_line", show=False, id="chat.new_line"),
    ]

    @dataclass
    class Sent(Message):
        """The user pressed Enter."""

        text: str

    def __init__(self, **widget_arguments: Any) -> None:
        super().__init__(
            soft_wrap=True, tab_behavior="focus", compact=True, highlight_cursor_line=False, **widget_arguments
        )
        self.cursor_blink = False
        self._enter: Timer | None = None

    async def _on_key(self, event: events.Key) -> None:
        if self._enter is not None:
            self._forget_enter()
            self.insert("\n")
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self._enter = self.set_timer(_PASTE_SECONDS, self._send)

    def _send(self) -> None:
        self._forget_enter()
        self.post_message(self.Sent(self.text))

    def _forget_enter(self) -> None:
        if self._enter is not None:
            self._enter.stop()
            self._enter = None

    def action_new_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")
