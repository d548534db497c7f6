"""Where a prompt and the answers to it are written, one below the other. Not for what a model says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widgets import Label, TextArea

from tui.locale import text
from tui.widgets.prompt_area import PromptArea

_NARROW = 40


class SheetArea(PromptArea):
    """One text of the sheet; the arrow keys leave it above its first line and below its last."""

    @dataclass
    class Left(Message):
        """An arrow key went beyond the text: -1 above it, 1 below."""

        by: int

    def action_cursor_up(self, select: bool = False) -> None:
        """A line up, or to the text above."""
        if not select and self.navigator.is_first_wrapped_line(self.cursor_location):
            self.post_message(self.Left(-1))
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """A line down, or to the text below."""
        if not select and self.navigator.is_last_wrapped_line(self.cursor_location):
            self.post_message(self.Left(1))
        else:
            super().action_cursor_down(select)


class SheetRow(Horizontal):
    """A text with its name on the left."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.area = SheetArea()
        self._label = Label(classes="sheet-name", markup=False)
        # Children from the start: a row is named and written before it is mounted.
        super().__init__(self._label, self.area, classes="sheet-row")

    def name_it(self, number: int, *, brief: bool) -> None:
        """Set the texts; `number` is that of an answer."""
        if self.kind == "answer":
            self._label.update(str(number))
        else:
            self._label.update(text(f"score.{self.kind}_brief" if brief else f"score.{self.kind}"))
        self.area.placeholder = text(f"score.placeholder_{self.kind}")


class AnswerSheet(VerticalScroll, can_focus=False):
    """System prompt (on demand), prompt, and one answer more than are written."""

    class Submitted(Message):
        """The user wants the answers judged."""

    def __init__(self, **widget_arguments: Any) -> None:
        super().__init__(**widget_arguments)
        self._system = SheetRow("system")
        self._prompt = SheetRow("prompt")
        self._answers = [SheetRow("answer")]

    def compose(self) -> ComposeResult:
        yield self._system
        yield self._prompt
        yield from self._answers

    def on_mount(self) -> None:
        """The system prompt is shown when there is one."""
        self._system.display = False
        self.relabel()

    def on_resize(self) -> None:
        """Names are short where there is little room."""
        self.relabel()

    def relabel(self) -> None:
        """Set every visible text again."""
        brief = self.size.width < _NARROW
        self.set_class(brief, "-brief")
        for row in (self._system, self._prompt):
            row.name_it(0, brief=brief)
        for number, row in enumerate(self._answers, start=1):
            row.name_it(number, brief=brief)

    # What is written

    @property
    def system(self) -> str:
        """The system prompt; empty for none."""
        return self._system.area.text.strip()

    @property
    def prompt(self) -> str:
        """What is answered."""
        return self._prompt.area.text.strip()

    @property
    def answers(self) -> list[str]:
        """The answers that are written, each once."""
        return list(dict.fromkeys(words for row in self._answers if (words := row.area.text.strip())))

    def write(self, *, system: str | None = None, prompt: str = "", answers: Sequence[str] = ()) -> None:
        """Replace what is written; the system prompt only where one is given."""
        if system is not None:
            self._system.area.load_text(system)
            self._system.display = bool(system)
        self._prompt.area.load_text(prompt)
        for row in self._answers:
            row.area.load_text("")
        for place, answer in enumerate(answers):
            if place == len(self._answers):
                self._add_row()
            self._answers[place].area.load_text(answer)
        self._tidy()

    # Where the cursor is

    def focus_prompt(self) -> None:
        """To the prompt."""
        self._prompt.area.focus()

    def focus_answer(self) -> None:
        """To the answer that is not written yet."""
        self._tidy()
        # At once, because what is typed next belongs there; the row is there since the last answer was begun.
        self.screen.set_focus(self._answers[-1].area)

    def toggle_system(self) -> None:
        """Show the system prompt and go to it; again, away, unless it says something."""
        shown = self._system.display = not self._system.display or bool(self.system)
        (self._system if shown and not self._system.area.has_focus else self._prompt).area.focus()

    @on(SheetArea.Left)
    def _walk(self, message: SheetArea.Left) -> None:
        rows = [row for row in (self._system, self._prompt, *self._answers) if row.display]
        place = next((at for at, row in enumerate(rows) if row.area.has_focus), 0) + message.by
        if 0 <= place < len(rows):
            rows[place].area.focus()

    @on(PromptArea.Sent)
    def _submit(self, message: PromptArea.Sent) -> None:
        message.stop()
        written = [row for row in self._answers if row.area.text.strip()]
        at_end = bool(written) and (written[-1].area.has_focus or self._answers[-1].area.has_focus)
        if not self.prompt:
            self.focus_prompt()
        elif not self.answers:
            self.focus_answer()
        else:
            self._tidy()
            if at_end:
                self.focus_answer()
            self.post_message(self.Submitted())

    @on(TextArea.Changed)
    def _open_next(self) -> None:
        """Where the last answer is begun, the next one is opened; where it is given up, that one goes."""
        last = self._answers[-1]
        if last.area.text:
            self._add_row()
            self.relabel()
        elif len(self._answers) > 1 and not self._answers[-2].area.text and not last.area.has_focus:
            self._answers.remove(last)
            last.remove()

    def _tidy(self) -> None:
        """Rows without a word go; one stands at the end for the next answer."""
        for row in self._answers[:-1]:
            if not row.area.text.strip() and not row.area.has_focus:
                self._answers.remove(row)
                row.remove()
        if self._answers[-1].area.text:
            self._add_row()
        self.relabel()

    def _add_row(self) -> None:
        row = SheetRow("answer")
        self._answers.append(row)
        self.mount(row)
