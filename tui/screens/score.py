"""The Score screen: a reward model puts answers to a prompt in order; prompt and answers can be changed and added to.

Wires the parts up. Not the process (`tui.workers`), its queue (`tui.chat_session`) or the drawing (`tui.widgets`).
"""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Label

from trainer.errors import UserError
from tui.chat_opening import Opening, step_of
from tui.chat_session import ChatSession
from tui.conversation import Transcript
from tui.judgement import Judgement, RatedAnswer, Turn
from tui.locale import text
from tui.screens.talk import TalkScreen
from tui.widgets.answer_sheet import AnswerSheet
from tui.widgets.chat_log import Block, ChatLog
from tui.widgets.score_blocks import first_block_of_last, judgement_blocks


class ScoreScreen(TalkScreen):
    """What was judged so far, and below it the sheet with the prompt and the answers."""

    area = "score"
    scores = True
    CSS_PATH = "../theme/score.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,i", "write", "score.key_write", show=False, id="score.write"),
        Binding("escape", "escape", "chat.key_stop", id="score.stop"),
        Binding("ctrl+l", "new_prompt", "score.key_new", priority=True, id="score.new"),
        Binding("f2,ctrl+t", "next_turn", "score.key_turn", priority=True, id="score.turn"),
        Binding("ctrl+o", "choose", "chat.key_choose", priority=True, id="score.choose"),
        Binding("ctrl+y", "retry", "chat.key_retry", priority=True, id="score.retry"),
        Binding("ctrl+g", "system", "score.key_system", priority=True, id="score.system"),
        Binding("m", "choose", "chat.key_choose", show=False, id="score.choose_letter"),
        Binding("z", "whole", "score.key_whole", id="score.whole"),
        Binding("pageup", "scroll(-1)", "score.key_scroll", show=False, priority=True, id="score.page_up"),
        Binding("pagedown", "scroll(1)", "score.key_scroll", show=False, priority=True, id="score.page_down"),
    ]

    def __init__(self, session: ChatSession | None = None) -> None:
        super().__init__(session)
        self.judgements: list[Judgement] = []
        self._before: tuple[Turn, ...] = ()
        """The turns before the prompt that is being written."""
        self._whole = False
        self._transcript: Transcript | None = None

    def compose_body(self) -> ComposeResult:
        with Vertical(id="score-body"):
            yield Label(id="score-head", markup=False)
            yield ChatLog(id="score-log")
            yield AnswerSheet(id="sheet")

    def on_mount(self) -> None:
        """Begin at the prompt."""
        self.query_one(AnswerSheet).focus_prompt()

    def on_resize(self) -> None:
        """Bars have the width that there is."""
        self.draw()

    def relabel(self) -> None:
        """Set every visible text again."""
        self.query_one(AnswerSheet).relabel()
        self.draw()

    def begin(self, opening: Opening) -> None:
        """Another reward model: what is written is judged by it too."""
        sheet = self.query_one(AnswerSheet)
        if opening.run != self._run:
            self._transcript = None
        if opening.run != self._run or not self._path:
            sheet.write(system=opening.system, prompt=sheet.prompt, answers=sheet.answers)
        if opening.goes_on:
            self.notify(text("score.run_goes_on", step=step_of(opening.path)), markup=False)

    def loading_begun(self) -> None:
        """Judge what is written, now that another model was chosen."""
        sheet = self.query_one(AnswerSheet)
        if self.judgements and sheet.prompt and sheet.answers:
            self._judge()

    # Judging

    @on(AnswerSheet.Submitted)
    def _judge(self) -> None:
        if self.session.target is None:
            self.action_choose()
            return
        sheet = self.query_one(AnswerSheet)
        answers = [RatedAnswer(words) for words in sheet.answers]
        judgement = Judgement(self._path, sheet.prompt, sheet.system, self._before, answers)
        if self.judgements and self.judgements[-1].asks_the_same(judgement):
            judgement.take_numbers(self.judgements.pop())
        self.judgements.append(judgement)
        transcript = self._transcript = self._transcript or Transcript(self._run, kind="score")

        def save() -> None:
            if judgement.error:
                return
            try:
                transcript.add_judgement(judgement)
            except UserError as error:
                self._notice = text("chat.transcript_failed", error=error)

        self.session.score(judgement, save)
        self.follow()

    def action_retry(self) -> None:
        """Judge what is written anew, or load the model again."""
        sheet = self.query_one(AnswerSheet)
        if self.session.target is None:
            self.action_choose()
        elif self.session.phase == "failed":
            self.load_again()
            self.loading_begun()
        elif sheet.prompt and sheet.answers:
            self._judge()

    def action_next_turn(self) -> None:
        """Go on with the best answer: the next prompt follows it."""
        last = self.judgements[-1] if self.judgements else None
        if last is None or not last.complete or last.error:
            self.notify(text("score.nothing_judged"), severity="warning")
            return
        best = last.ranked()[0]
        asked = {"role": "user", "content": last.prompt}
        self._before = (*last.before, asked, {"role": "assistant", "content": best.text})
        self._write_anew()

    def action_new_prompt(self) -> None:
        """An empty sheet; what was judged stays above."""
        self._before = ()
        self._write_anew()

    def _write_anew(self) -> None:
        sheet = self.query_one(AnswerSheet)
        sheet.write()
        sheet.focus_prompt()
        self.draw()

    # Other keys

    def action_escape(self) -> None:
        """Stop what goes on; else leave the sheet, so that the letters are keys again; from there give a load up."""
        in_sheet = not self.query_one(ChatLog).has_focus
        if self.session.busy and not (in_sheet and self.session.phase == "loading"):
            self.session.give_up()
        else:
            self.query_one(ChatLog).focus()

    def action_write(self) -> None:
        """Back to the sheet: to the next answer, or to the prompt."""
        sheet = self.query_one(AnswerSheet)
        if sheet.prompt:
            sheet.focus_answer()
        else:
            sheet.focus_prompt()

    def action_system(self) -> None:
        """Show or hide the system prompt."""
        self.query_one(AnswerSheet).toggle_system()

    def action_whole(self) -> None:
        """Show long texts to their end, or only their beginning."""
        self._whole = not self._whole
        self.draw()

    def action_scroll(self, by: int) -> None:
        """Page through what was judged without leaving the sheet."""
        log = self.query_one(ChatLog)
        (log.action_page_down if by > 0 else log.action_page_up)()

    # Drawing

    def follow(self) -> None:
        """Draw what comes, with the newest judgement in view."""
        self.query_one(ChatLog).follow()
        super().follow()

    def draw(self) -> None:
        """Show everything as it is now."""
        if not self.is_mounted:
            return
        self.draw_head(self.query_one("#score-head", Label))
        turn = 1 + len(self._before) // 2
        self.query_one(AnswerSheet).border_title = self.status() + (
            text("score.status_turn", number=turn) if turn > 1 else ""
        )
        log = self.query_one(ChatLog)
        blocks = self._blocks(log.size.width)
        log.show(blocks, first_block_of_last(blocks))

    def _blocks(self, width: int) -> list[Block]:
        if self.judgements:
            return judgement_blocks(self.judgements, self.title_of, width=width, whole=self._whole)
        if self.session.phase == "failed" and self.session.error:
            return [Block("error", text("chat.trouble"), self.session.error, text("chat.retry_hint"))]
        target = self.session.target
        return [Block("note", "", text("score.empty" if target is None else "score.empty_ready"))]
