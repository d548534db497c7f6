"""A dialog to pick one of many things: typing filters, arrows choose, Enter takes. Its subclasses know the things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.background import read_in_background
from tui.locale import text


class Pickable(Protocol):
    """One thing to pick."""

    @property
    def path(self) -> str:
        """What it is; typed text is compared with it."""

    @property
    def group(self) -> str:
        """The heading that it stands under; empty for none."""

    @property
    def words(self) -> str:
        """What typed words are looked for in, beside the path."""


Choice = TypeVar("Choice", bound=Pickable)


class Picker(ModalScreen[Choice | None], Generic[Choice]):
    """Type to filter, or type something that is not listed; arrows choose; Enter takes."""

    area: ClassVar[str] = ""
    """The catalogue file of the texts `pick_title`, `pick_placeholder`, `pick_hint`, `pick_reading`, `pick_none`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "common.key_cancel", id="picker.close"),
        Binding("down", "move(1)", "common.key_down", show=False, id="picker.down"),
        Binding("up", "move(-1)", "common.key_up", show=False, id="picker.up"),
        Binding("pagedown", "page(1)", "common.key_page_down", show=False, id="picker.page_down"),
        Binding("pageup", "page(-1)", "common.key_page_up", show=False, id="picker.page_up"),
    ]

    def __init__(self, current: str = "", **widget_arguments: Any) -> None:
        super().__init__(**widget_arguments)
        self.current = current
        self._choices: list[Choice] = []
        self._rows: list[Choice | None] = []
        """The choice in each row; None for headings."""
        self._reading = True

    def find(self) -> Sequence[Choice]:
        """All there is, in the order of the groups. Reads the disk: called in a thread."""
        raise NotImplementedError

    def typed(self, words: str) -> Choice:
        """What is meant by words that are not in the list."""
        raise NotImplementedError

    def row(self, choice: Choice, shown: Sequence[Choice], room: int) -> str | Text:
        """A choice as one line of at most `room` cells; `shown` are all that are listed with it."""
        raise NotImplementedError

    def note(self, choice: Choice | None) -> str:
        """More about the highlighted choice, for the line below the list."""
        return text(f"{self.area}.pick_hint")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog picker-dialog") as dialog:
            dialog.border_title = text(f"{self.area}.pick_title")
            wanted = Input(placeholder=text(f"{self.area}.pick_placeholder"), id="pick-text", compact=True)
            wanted.cursor_blink = False
            yield wanted
            options = OptionList(id="pick-list", markup=False, compact=True)
            options.can_focus = False
            yield options
            yield Label("", id="pick-note", classes="muted", markup=False)

    def on_mount(self) -> None:
        """Look for choices without holding up the keys."""
        self.query_one(Input).focus()
        self._fill("")
        read_in_background(self, self.find, self.take)

    def take(self, choices: Sequence[Choice]) -> None:
        """Show these choices."""
        self._choices = list(choices)
        self._reading = False
        self._fill(self.query_one(Input).value)

    def on_resize(self) -> None:
        """Rows follow the width."""
        self.call_after_refresh(lambda: self._fill(self.query_one(Input).value))

    @on(Input.Changed)
    def _filter(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def _fill(self, asked: str) -> None:
        words = asked.lower().split()
        shown = [
            choice
            for choice in self._choices
            if all(word in f"{choice.group} {choice.words} {choice.path}".lower() for word in words)
        ]
        if asked.strip() and (is_path(asked) or not shown or _could_be_a_name(asked, shown)):
            shown.append(self.typed(asked.strip()))
        options = self.query_one(OptionList)
        before = options.highlighted
        kept = self._rows[before] if before is not None and before < len(self._rows) else None
        options.clear_options()
        self._rows = []
        room = max(20, (options.scrollable_content_region.width or self.app.size.width * 9 // 10 - 7) - 2)
        group = ""
        for choice in shown:
            if choice.group != group:
                group = choice.group
                self._rows.append(None)
                options.add_option(Option(group, disabled=True))
            self._rows.append(choice)
            options.add_option(Option(self.row(choice, shown, room)))
        if not shown:
            name = f"{self.area}.pick_reading" if self._reading else f"{self.area}.pick_none"
            options.add_option(Option(text(name), disabled=True))
        options.highlighted = self._first_row(asked, kept)
        self._show_note()

    def _first_row(self, asked: str, kept: Choice | None) -> int | None:
        """The row to begin on: the one from before, the current one, else the first; what is typed as a path."""
        rows = [number for number, choice in enumerate(self._rows) if choice is not None]
        if not rows:
            return None
        if is_path(asked):
            return rows[-1]
        by_path = {choice.path: number for number, choice in reversed(list(enumerate(self._rows))) if choice}
        if asked.strip():
            return rows[0]
        wanted = kept.path if kept is not None else self.current
        return by_path.get(wanted, rows[0])

    def action_move(self, by: int) -> None:
        """The arrows move in the list while the text has the focus."""
        options = self.query_one(OptionList)
        if by > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def action_page(self, by: int) -> None:
        """A page of the list."""
        options = self.query_one(OptionList)
        if by > 0:
            options.action_page_down()
        else:
            options.action_page_up()

    @on(OptionList.OptionHighlighted)
    def _show_note(self) -> None:
        self.query_one("#pick-note", Label).update(self.note(self._highlighted()))

    def _highlighted(self) -> Choice | None:
        at = self.query_one(OptionList).highlighted
        return self._rows[at] if at is not None and at < len(self._rows) else None

    @on(Input.Submitted)
    def _chosen(self) -> None:
        choice = self._highlighted()
        if choice is not None:
            self.dismiss(choice)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        choice = self._rows[event.option_index] if event.option_index < len(self._rows) else None
        if choice is not None:
            self.dismiss(choice)


def _could_be_a_name(typed: str, shown: Sequence[Pickable]) -> bool:
    """Whether what is typed may be a name on a hub that is not listed."""
    return "/" in typed and not any(choice.path == typed.strip() for choice in shown)


def is_path(typed: str) -> bool:
    """Whether what is typed can only be a path."""
    return typed.startswith(("/", "./", "../", "~"))
