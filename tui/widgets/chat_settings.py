"""The side panel of the chat: system prompt and generation settings, checked against the definition. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.events import DescendantBlur, DescendantFocus
from textual.widgets import Checkbox, Input, Label, Static, TextArea

from trainer.config import Parameter, parameter
from tui.forms.entry import EntryError, entry_text, expectation, parse_entry
from tui.forms.explain import help_text
from tui.locale import text

NAMES = ("do_sample", "temperature", "top_p", "top_k", "max_new_tokens", "repetition_penalty", "num_beams")


class ChatSettings(VerticalScroll, can_focus=False):
    """A row for each setting; `values` holds the last valid ones, `problem` says what is wrong with the others."""

    def __init__(self, **widget_arguments: Any) -> None:
        super().__init__(**widget_arguments)
        self._parameters = {name: parameter(f"generation.{name}") for name in NAMES}
        self.values: dict[str, object] = {name: one.default for name, one in self._parameters.items()}
        self._problems: dict[str, str] = {}
        self._before: dict[str, object] = {}
        """What stood in a field when it got the keys: half of what is typed may be valid too."""
        self._helped = ""

    def compose(self) -> ComposeResult:
        yield Label(id="system-label", classes="heading")
        system = TextArea(id="system", soft_wrap=True, tab_behavior="focus", compact=True, highlight_cursor_line=False)
        system.cursor_blink = False
        yield system
        yield Label(id="generation-label", classes="heading")
        for name, one in self._parameters.items():
            with Horizontal(classes="setting", id=f"row-{name}"):
                yield Label(name, markup=False)
                if one.kind == "bool":
                    yield Checkbox(value=bool(self.values[name]), id=f"setting-{name}", compact=True)
                else:
                    shown = entry_text(one, self.values[name])
                    yield Input(shown, id=f"setting-{name}", compact=True, select_on_focus=False)
        yield Static(id="setting-help", markup=False)

    def on_mount(self) -> None:
        """Set the texts."""
        for field in self.query(Input):
            field.cursor_blink = False
        self.relabel()

    def relabel(self) -> None:
        """Set every visible text again."""
        self.query_one("#system-label", Label).update(text("chat.system_prompt"))
        self.query_one("#generation-label", Label).update(text("chat.generation"))
        self._mark()

    @property
    def system(self) -> str:
        """The system prompt."""
        return self.query_one("#system", TextArea).text.strip()

    @system.setter
    def system(self, value: str) -> None:
        self.query_one("#system", TextArea).load_text(value)

    @property
    def problem(self) -> str:
        """What is wrong with the settings as they stand, in one line; empty when nothing is."""
        return next((text("common.said_of", what=name, words=said) for name, said in self._problems.items()), "")

    def set_values(self, table: Mapping[str, object]) -> None:
        """Take the settings of a recipe's generation table."""
        self._problems.clear()
        for name in NAMES:
            if name not in table:
                continue
            self.values[name] = table[name]
            field = self.query_one(f"#setting-{name}")
            if isinstance(field, Checkbox):
                field.value = bool(table[name])
            elif isinstance(field, Input):
                field.value = entry_text(self._parameters[name], table[name])
        self._mark()

    def drop_wrong_entries(self) -> str:
        """Put back what stood before where something wrong stands; says what was dropped, empty for nothing."""
        kept = {name: self._before.get(name, self.values[name]) for name in self._problems}
        said = [
            text(
                "chat.settings_kept",
                problem=text("common.said_of", what=name, words=problem),
                value=entry_text(self._parameters[name], kept[name]),
            )
            for name, problem in self._problems.items()
        ]
        self.set_values(kept)
        return "\n".join(said)

    def focus_first(self) -> None:
        """The first field that acts now has the keys."""
        acting = next(name for name in ("temperature", "do_sample") if self._applies(self._parameters[name]))
        self.query_one(f"#setting-{acting}").focus()

    @on(Checkbox.Changed)
    def _toggled(self, event: Checkbox.Changed) -> None:
        self.values[_name_of(event.checkbox.id)] = event.value
        self._mark()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        name = _name_of(event.input.id)
        try:
            self.values[name] = parse_entry(self._parameters[name], event.value)
        except EntryError as error:
            self._problems[name] = str(error)
        else:
            self._problems.pop(name, None)
            self._mark()

    @on(Input.Submitted)
    def _confirmed(self) -> None:
        self._mark()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Help for the field that has the focus."""
        self._helped = _name_of(event.widget.id) if (event.widget.id or "").startswith("setting-") else ""
        if self._helped in self.values and self._helped not in self._problems:
            self._before[self._helped] = self.values[self._helped]
        self._show_help()

    def on_descendant_blur(self, _event: DescendantBlur) -> None:
        """Only what was typed to the end is called wrong."""
        self._mark()

    def _mark(self) -> None:
        for name, one in self._parameters.items():
            row = self.query_one(f"#row-{name}")
            row.set_class(name in self._problems, "-wrong")
            if one.kind == "bool":
                # The tick is told by its colour alone.
                self.query_one(f"#setting-{name}", Checkbox).label = text(
                    "chat.on" if self.values[name] else "chat.off"
                )
            row.set_class(not self._applies(one), "-idle")
        self._show_help()

    def _applies(self, one: Parameter) -> bool:
        conditions = ((condition.key.removeprefix("generation."), condition.values) for condition in one.form.when)
        return all(self.values.get(name) in values for name, values in conditions)

    def _show_help(self) -> None:
        shown = self.query_one("#setting-help", Static)
        shown.set_class(bool(self._problems), "-wrong")
        if self._problems:
            shown.update("! " + self.problem)
        elif self._helped:
            one = self._parameters[self._helped]
            limits = "" if one.kind == "bool" else expectation(one) + "\n"
            default = text("chat.default", value=entry_text(one, one.default))
            reason = "" if self._applies(one) else text("chat.settings_idle", names=self._helped) + "\n"
            shown.update(f"{reason}{help_text(one)}\n{limits}{default}")
        else:
            idle = [name for name, one in self._parameters.items() if not self._applies(one)]
            reason = text("chat.settings_idle", names=text("chat.and").join(idle)) + "\n" if idle else ""
            shown.update(reason + text("chat.settings_hint"))


def _name_of(identifier: str | None) -> str:
    return (identifier or "").removeprefix("setting-")
