"""The Chat screen: talk to a checkpoint or a model, and hear what the untuned base says to the same prompt.

Wires the parts up. Not the process (`tui.workers`), its queue (`tui.chat_session`) or the drawing (`tui.widgets`).
"""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Label

from trainer.errors import UserError
from tui.chat_opening import Opening
from tui.chat_session import ChatSession
from tui.conversation import Conversation, Source, Transcript
from tui.locale import text
from tui.screens.talk import TalkScreen
from tui.widgets.chat_blocks import conversation_blocks
from tui.widgets.chat_log import Block, ChatLog
from tui.widgets.chat_settings import ChatSettings
from tui.widgets.prompt_area import PromptArea


class ChatScreen(TalkScreen):
    """A conversation, an input line below it, settings beside it on demand."""

    area = "chat"
    CSS_PATH = "../theme/chat.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,i", "write", "chat.key_write", show=False, id="chat.write"),
        Binding("escape", "escape", "chat.key_stop", id="chat.stop"),
        Binding("f2,ctrl+t", "base_answer", "chat.key_base", priority=True, id="chat.base"),
        Binding("ctrl+y", "retry", "chat.key_retry", priority=True, id="chat.retry"),
        Binding("ctrl+o", "choose", "chat.key_choose", priority=True, id="chat.choose"),
        Binding("ctrl+g", "settings", "chat.key_settings", priority=True, id="chat.settings"),
        Binding("ctrl+l", "clear", "chat.key_clear", priority=True, id="chat.clear"),
        Binding("m", "choose", "chat.key_choose", show=False, id="chat.choose_letter"),
        Binding("y", "copy", "chat.key_copy", show=False, id="chat.copy"),
        Binding("pageup", "scroll(-1)", "chat.key_scroll", show=False, priority=True, id="chat.page_up"),
        Binding("pagedown", "scroll(1)", "chat.key_scroll", show=False, priority=True, id="chat.page_down"),
    ]

    def __init__(self, session: ChatSession | None = None) -> None:
        super().__init__(session)
        self.conversation = Conversation()
        self._suggestion = ""
        self._transcript: Transcript | None = None

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="chat-body"):
            with Vertical(id="chat-main"):
                yield Label(id="chat-head", markup=False)
                yield ChatLog(id="chat-log")
                yield PromptArea(id="prompt")
            yield ChatSettings(id="chat-settings")

    def on_mount(self) -> None:
        """Begin at the input line."""
        self.query_one(PromptArea).focus()

    def relabel(self) -> None:
        """Set every visible text again."""
        self.query_one(ChatSettings).relabel()
        self.draw()

    def begin(self, opening: Opening) -> None:
        """A new conversation, with the settings and the prompt that the run suggests."""
        if opening.run != self._run:
            self._transcript = None
        self._suggestion = opening.suggestion
        settings = self.query_one(ChatSettings)
        if opening.generation:
            settings.set_values(opening.generation)
        if opening.system:
            settings.system = opening.system
        self.conversation = Conversation()
        self.action_write()

    # The conversation

    @on(PromptArea.Sent)
    def _send(self, message: PromptArea.Sent) -> None:
        prompt = message.text.strip() or ("" if self.conversation.exchanges else self._suggestion)
        if not prompt:
            return
        if self.session.target is None:
            self.action_choose()
            return
        if self._may_ask():
            self.query_one(PromptArea).load_text("")
            self.conversation.ask(prompt)
            self._answer("tuned")

    def action_base_answer(self) -> None:
        """Answer the last prompt with the untuned base."""
        if self.session.target is None or self.conversation.last is None:
            self.notify(text("chat.nothing_asked"), severity="warning")
        elif not self.session.target.has_base:
            self.notify(text("chat.no_base"), severity="warning")
        elif self._may_ask():
            self._answer("base")

    def action_retry(self) -> None:
        """Answer the last prompt anew, or load the model again."""
        if self.session.target is None:
            self.action_choose()
        elif self.conversation.last is None:
            self.load_again()
        elif self._may_ask():
            self._answer("tuned")

    def action_clear(self) -> None:
        """Begin a new conversation; the old one stays in its transcript."""
        if self.session.phase == "answering":
            self.session.give_up()
        self.conversation = Conversation()
        self._transcript = None
        self.draw()

    def action_escape(self) -> None:
        """Stop an answer; else leave the input line, so that the letters are keys again; from there give a load up."""
        in_line = self.query_one(PromptArea).has_focus
        if self.session.busy and not (in_line and self.session.phase == "loading"):
            self.session.give_up()
        else:
            self.query_one(ChatLog).focus()

    def action_write(self) -> None:
        """Back to the input line."""
        self.query_one(PromptArea).focus()

    def action_settings(self) -> None:
        """Show or hide the side panel."""
        panel = self.query_one(ChatSettings)
        self.set_class(not self.has_class("-settings"), "-settings")
        if self.has_class("-settings"):
            panel.focus_first()
        else:
            dropped = panel.drop_wrong_entries()
            if dropped:
                self.notify(dropped, severity="warning", markup=False)
            self.action_write()

    def action_copy(self) -> None:
        """Copy the newest answer; where the terminal does not take it, the transcript has it."""
        last = self.conversation.last
        if last is None or not last.answers:
            return
        self.app.copy_to_clipboard(last.answers[-1].text)
        self.notify(text("chat.copied", file=self._transcript.file if self._transcript else "-"), markup=False)

    def action_scroll(self, by: int) -> None:
        """Page through the conversation without leaving the input line."""
        log = self.query_one(ChatLog)
        (log.action_page_down if by > 0 else log.action_page_up)()

    def _may_ask(self) -> bool:
        last = self.conversation.last
        if last is not None and any(not answer.complete for answer in last.answers):
            loading = self.session.phase == "loading"
            self.notify(text("chat.still_loading" if loading else "chat.still_answering"), severity="warning")
            return False
        problem = self.query_one(ChatSettings).problem
        if problem:
            self.notify(problem, severity="error", markup=False)
        return not problem

    def _answer(self, source: Source) -> None:
        settings = self.query_one(ChatSettings)
        answer = self.conversation.begin_answer(source)
        messages = self.conversation.messages(settings.system)
        values = dict(settings.values)
        transcript = self._transcript = self._transcript or Transcript(self._run)
        model = self._path

        def save() -> None:
            if answer.done is None:
                return
            try:
                transcript.add(model=model, answer=answer, messages=messages, settings=values)
            except UserError as error:
                self._notice = text("chat.transcript_failed", error=error)

        self.session.answer(answer, messages, values, save)
        self.follow()

    # Drawing

    def follow(self) -> None:
        """Draw what comes, at the end of the conversation."""
        self.query_one(ChatLog).scroll_end(animate=False, immediate=True)
        super().follow()

    def draw(self) -> None:
        """Show everything as it is now."""
        if not self.is_mounted:
            return
        self.draw_head(self.query_one("#chat-head", Label))
        prompt = self.query_one(PromptArea)
        prompt.border_title = self.status()
        prompt.placeholder = (
            self._suggestion if self._suggestion and not self.conversation.exchanges else text("chat.placeholder")
        )
        self.query_one(ChatLog).show(self._blocks())

    def _blocks(self) -> list[Block]:
        target = self.session.target
        blocks = conversation_blocks(self.conversation, has_base=target is not None and target.has_base)
        if self.session.phase == "failed" and self.session.error and self.conversation.last is None:
            blocks.append(Block("error", text("chat.trouble"), self.session.error, text("chat.retry_hint")))
        elif not blocks:
            blocks = [Block("note", "", text("chat.empty" if target is None else "chat.empty_ready"))]
            if self._suggestion:
                blocks.append(Block("note", "", text("chat.suggestion", prompt=self._suggestion)))
        return blocks
