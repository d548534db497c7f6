"""The editor of one field, laid over its row: a line of text, a list of choices, or a text area.

It changes nothing itself: it hands what was typed to the form and shows the form's answer when that refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Region
from textual.widgets import Input, Label, OptionList, TextArea
from textual.widgets.option_list import Option

from trainer.config import Parameter
from tui.forms.entry import EntryError, entry_text, shown_text
from tui.forms.suggestions import Suggestion
from tui.locale import text
from tui.widgets.ordered_keys import OrderedKeys

Take = Callable[[str, str], object]
"""Takes `table.name` and what was typed; raises EntryError when it is no value of the field."""
Done = Callable[[str, bool], None]
"""Told `table.name` and whether the field has a new value, when the editor is to be closed."""


class LineInput(OrderedKeys, Input):
    """A line of text; Enter is handed over at once when there is a `submit`."""

    submit: Callable[[str], None] | None = None

    async def action_submit(self) -> None:
        """Enter."""
        if self.submit is None:
            await super().action_submit()
        else:
            self.submit(self.value)


class ChoiceList(OrderedKeys, OptionList):
    """A list of choices that also listens to j and k; a choice is handed over at once when there is a `submit`."""

    submit: Callable[[str], None] | None = None

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "setup.key_down", show=False, id="choices.down"),
        Binding("k", "cursor_up", "setup.key_up", show=False, id="choices.up"),
        Binding("space", "select", "setup.key_choose", show=False, id="choices.choose"),
    ]

    def action_select(self) -> None:
        """Enter or space."""
        option = self.highlighted_option
        if self.submit is None or option is None:
            super().action_select()
        elif not option.disabled:
            self.submit(option.id or "")


class FieldEditor(Vertical):
    """Opened for one field; says when it is done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "setup.key_cancel", id="editor.cancel"),
        Binding("ctrl+s,tab,shift+tab", "take_text", "setup.key_accept", show=False, id="editor.accept"),
        Binding("down", "suggestions", "setup.key_down", show=False, id="editor.suggestions"),
    ]

    def __init__(
        self, parameter: Parameter, value: object, take: Take, done: Done, *, suggestions: Sequence[Suggestion] = ()
    ) -> None:
        super().__init__()
        self._parameter = parameter
        self._value = value
        self._take = take
        self._done = done
        self._suggestions = tuple(suggestions)
        self._refusal = ""
        self._places: tuple[Region, Region] | None = None

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
            yield LineInput(entry_text(one, self._value), select_on_focus=False, compact=True)
        yield Label("", id="editor-error", markup=False)
        if self._suggestions and not self.wants_height:
            yield ChoiceList(*map(_suggested, self._suggestions), markup=False)

    def on_mount(self) -> None:
        """The keys go to the editing widget; a choice list starts on the value of now."""
        self.add_class("-choice" if self.chooses else "-text")
        widget = self.query("Input, TextArea, ChoiceList").first()
        if isinstance(widget, ChoiceList):
            words = [option.id for option in self._options()]
            now = "" if self._value is None else shown_text(self._value)
            widget.highlighted = words.index(now) if now in words else 0
        elif isinstance(widget, Input):
            for suggested in self.query(ChoiceList):
                suggested.highlighted = None
            widget.cursor_blink = False
            widget.cursor_position = len(widget.value)
        for line in self.query(LineInput):
            line.submit = self._try
        for choices in self.query(ChoiceList):
            choices.submit = self._choose
        self.screen.set_focus(widget)

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
        self._places = (value, room)
        if self.chooses:
            height = min(len(self._options()) + 2, max(3, room.height))
            top = min(value.y - 1, room.bottom - height)
            width = max([16, *[cell_len(str(option.prompt)) + 6 for option in self._options()]])
            left = value.x - 2
        elif self._parameter.form.multiline:
            height, width, left, top = min(9, room.height), room.width, room.x, min(value.y, room.bottom - 9)
        else:
            rows = min(8, len(self._suggestions)) + self._refusal_rows(value.width)
            height, width, left, top = 1 + rows, value.width, value.x, value.y
            top = min(top, room.bottom - height)
        self.styles.width = min(width, room.width)
        self.styles.height = height
        self.styles.offset = (max(room.x, min(left, room.right - width)), max(room.y, top))

    def _refusal_rows(self, width: int) -> int:
        return len(Text(self._refusal).wrap(self.app.console, max(1, width))) if self._refusal else 0

    def on_input_changed(self, event: Input.Changed) -> None:
        """A new letter takes the refusal away: half-typed text is not judged."""
        event.stop()
        self._refuse("")
        self._narrow(event.value)

    def _narrow(self, typed: str) -> None:
        """Offer the suggestions with what is typed behind the last comma; all of them while nothing was typed."""
        begun = typed.rpartition(",")[2].strip().lower()
        untouched = typed == entry_text(self._parameter, self._value)
        offered = [_suggested(one) for one in self._suggestions if untouched or begun in one.value.lower()]
        for choices in self.query(ChoiceList):
            if [option.prompt for option in offered] != [option.prompt for option in choices.options]:
                before = choices.highlighted_option
                choices.clear_options()
                choices.add_options(offered)
                places = {option.id: place for place, option in enumerate(offered)}
                choices.highlighted = places.get(before.id) if before is not None and choices.has_focus else None

    def offer(self, suggestions: Sequence[Suggestion]) -> None:
        """More is known about the suggestions now; one that the cursor stands on keeps it."""
        self._suggestions = tuple(suggestions)
        for line in self.query(LineInput):
            self._narrow(line.value)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click on a choice."""
        event.stop()
        self._choose(event.option.id or "")

    def _choose(self, word: str) -> None:
        """A choice, or a suggestion, is taken as it stands; behind a comma it is added to what stands before."""
        before, comma, _ = next((line.value for line in self.query(Input)), "").rpartition(",")
        self._try(f"{before}, {word}" if comma else word)

    def action_suggestions(self) -> None:
        """Down from the line goes into the suggestions."""
        choices = next(iter(self.query(ChoiceList)), None)
        if choices is not None and choices.option_count and not self.chooses:
            choices.highlighted = 0
            self.screen.set_focus(choices)

    def action_take_text(self) -> None:
        """Take the text of the line or the area."""
        for area in self.query(TextArea):
            self._try(area.text)
        for line in self.query(Input):
            self._try(line.value)

    def action_cancel(self) -> None:
        """Close without a change."""
        self._done(self._parameter.key, False)

    @property
    def key(self) -> str:
        """The field, as `table.name`."""
        return self._parameter.key

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
            self._done(self._parameter.key, True)

    def _refuse(self, words: str) -> None:
        if words == self._refusal:
            return
        self._refusal = words
        self.query_one("#editor-error", Label).update(words)
        self.set_class(bool(words), "-refused")
        if self._places is not None:
            self.place(*self._places)


def _suggested(one: Suggestion) -> Option:
    return Option(f"! {one.value}  {one.against}" if one.against else one.value, id=one.value)
