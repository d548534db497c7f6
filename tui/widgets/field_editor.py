"""The editor of one field, laid over its row: a line of text, a list of choices, or a text area. It changes nothing itself:
it hands what was typed to the form and shows the form's answer when that refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Region
from textual.message import Message
from textual.widgets import Input, Label, OptionList, TextArea
from textual.widgets.option_list import Option

from tui.forms.entry import EntryError, entry_text, shown_text
from tui.locale import text
from trainer.config import Parameter

Taker = Callable[[str, str], None]
"""Takes `table.name` and what was typed; raises EntryError when it is no value of the field."""


class ChoiceList(OptionList):
    """A list of choices that also listens to j and k."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "setup.key_down", show=False, id="choices.down"),
        Binding("k", "cursor_up", "setup.key_up", show=False, id="choices.up"),
        Binding("space", "select", "setup.key_choose", show=False, id="choices.choose"),
    ]


class FieldEditor(Vertical):
    """Opened for one field; closes itself by posting `Closed`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "setup.key_cancel", id="editor.cancel"),
        Binding("ctrl+s", "take_text", "setup.key_accept", show=False, id="editor.accept"),
    ]

    @dataclass
    class Closed(Message):
        """The editor is done; `taken` when the field has a new value."""

        key: str
        taken: bool

    def __init__(self, parameter: Parameter, value: object, take: Taker, *, suggestions: Sequence[str] = ()) -> None:
        super().__init__()
        self._parameter = parameter
        self._value = value
        self._take = take
        self._suggestions = tuple(suggestions)

    def compose(self) -> ComposeResult:
        """One editing widget and, below it, the line for a refusal."""
        one = self._parameter
        if self.chooses:
            yield ChoiceList(*self._options(), markup=False)
        elif one.form.multiline:
            area = TextArea(entry_text(one, self._value), soft_wrap=True, show_line_numbers=False)
            area.border_title = one.name
            area.border_subtitle = text("setup.editor_keys")
            yield area
        else:
            yield Input(entry_text(one, self._value), select_on_focus=False, compact=True)
            if self._suggestions:
                yield ChoiceList(*[Option(word, id=word) for word in self._suggestions], markup=False)
        yield Label("", id="editor-error", markup=False)

    def on_mount(self) -> None:
        """The keys go to the editing widget; a choice list starts on the value of now."""
        self.add_class("-choice" if self.chooses else "-text")
        widget = self.query("Input, TextArea, ChoiceList").first()
        if isinstance(widget, ChoiceList):
            words = [option.id for option in self._options()]
            now = "" if self._value is None else shown_text(self._value)
            widget.highlighted = words.index(now) if now in words else 0
        elif isinstance(widget, Input):
            widget.cursor_blink = False
            widget.cursor_position = len(widget.value)
        widget.focus()

    @property
    def wants_height(self) -> bool:
        """Does it want more room than the list has: a list of choices or a text area?"""
        return self.chooses or self._parameter.form.multiline

    @property
    def chooses(self) -> bool:
        """Is it a list of choices and nothing else?"""
        return self._parameter.kind in ("choice", "bool")

    def place(self, value: Region, room: Region) -> None:
        """Lay the editor over the value's place (`value`), inside `room`; both in the coordinates of the parent."""
        if self.chooses:
            height = min(len(self._options()) + 2, max(3, room.height))
            top = min(value.y - 1, room.bottom - height)
            width = max([16, *[cell_len(str(option.prompt)) + 6 for option in self._options()]])
            left = value.x - 2
        elif self._parameter.form.multiline:
            height, width, left, top = min(9, room.height), room.width, room.x, min(value.y, room.bottom - 9)
        else:
            height, width, left, top = 2 + min(6, len(self._suggestions)), value.width, value.x, value.y
            top = min(top, room.bottom - height)
        self.styles.width = min(width, room.width)
        self.styles.height = height
        self.styles.offset = (max(room.x, min(left, room.right - width)), max(room.y, top))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter takes the text; it starts nothing else."""
        event.stop()
        self._try(event.value)

    def on_input_changed(self, event: Input.Changed) -> None:
        """A new letter takes the refusal away: half-typed text is not judged."""
        event.stop()
        self._refuse("")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A choice, or a suggestion, is taken as it stands."""
        event.stop()
        self._try(event.option.id or "")

    def on_key(self, event: object) -> None:
        """Down from the line goes into the suggestions."""
        key = getattr(event, "key", "")
        if key == "down" and self._suggestions and isinstance(self.screen.focused, Input):
            self.query_one(ChoiceList).focus()
            self.query_one(ChoiceList).highlighted = 0

    def action_take_text(self) -> None:
        """Take the text of the line or the area."""
        for area in self.query(TextArea):
            self._try(area.text)
        for line in self.query(Input):
            self._try(line.value)

    def action_cancel(self) -> None:
        """Close without a change."""
        self.post_message(self.Closed(self._parameter.key, taken=False))

    def _options(self) -> list[Option]:
        choices = self._parameter.choices or ("true", "false")
        acting = self._parameter.form.available_choices or choices
        options = [
            Option(choice, id=choice)
            if choice in acting
            else Option(f"{choice}  {text('setup.not_available')}", id=choice, disabled=True)
            for choice in choices
        ]
        if self._parameter.optional:
            options.append(Option(f"{shown_text(None)} {text('setup.unset')}", id=""))
        return options

    def _try(self, typed: str) -> None:
        try:
            self._take(self._parameter.key, typed)
        except EntryError as error:
            self._refuse(str(error))
        else:
            self.post_message(self.Closed(self._parameter.key, taken=True))

    def _refuse(self, words: str) -> None:
        self.query_one("#editor-error", Label).update(words)
        self.set_class(bool(words), "-refused")
