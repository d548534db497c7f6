"""A form generated from the definition: sections, one list of fields, help and plan beside it. It changes its model.

Not for presets, starting runs or reading data: screens do that. Posts `Form.Changed` after every change of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.geometry import Region
from textual.message import Message
from textual.widgets import Input, Label

from trainer.config import Parameter, parameter
from tui.forms.entry import EntryError
from tui.forms.explain import explain
from tui.forms.lines import closed_reason, lines_of, section_title
from tui.forms.model import FormModel
from tui.forms.search import search
from tui.forms.sections import Section, Tier, rows_of, section_of, sections_of
from tui.forms.suggestions import Suggest
from tui.locale import text
from tui.widgets.field_editor import FieldEditor, LineInput
from tui.widgets.field_help import FieldHelp
from tui.widgets.parameter_list import ParameterList
from tui.widgets.plan_pane import PlanPane
from tui.widgets.section_bar import SectionBar, SectionTab


class Form(Container):
    """The fields of a model; fully usable with the keyboard. `pick` may open a dialog, and says if it did."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "screen.trust", "setup.key_trust", id="form.trust"),
        Binding("slash", "search", "setup.key_search", id="form.search"),
        Binding("a", "tier", "setup.key_tier", id="form.tier"),
        Binding("d", "only_changed", "setup.key_changed", id="form.only_changed"),
        Binding("r,backspace", "reset", "setup.key_reset", id="form.reset"),
        Binding("u", "undo", "setup.key_undo", id="form.undo"),
        Binding("f", "fix", "setup.key_fix", id="form.fix"),
        Binding("left,h,shift+tab", "section(-1)", "setup.key_section_before", show=False, id="form.section_before"),
        Binding("right,l,tab", "section(1)", "setup.key_section_next", show=False, id="form.section_next"),
        Binding("i", "more_help", "setup.key_more_help", show=False, id="form.more_help"),
        Binding("n", "next_finding", "setup.key_next_finding", show=False, id="form.next_finding"),
        Binding("down", "into_list", "setup.key_down", show=False, id="form.into_list"),
        Binding("escape", "leave_search", "setup.key_leave_search", id="form.leave_search"),
    ]

    @dataclass
    class Changed(Message):
        """The model has other values now."""

        keys: tuple[str, ...]

    def __init__(
        self,
        model: FormModel,
        *,
        suggest: Suggest | None = None,
        pick: Callable[[str], bool] | None = None,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.model = model
        self.tier = Tier.BASIC
        self.only_changed = False
        self.section = ""
        self._suggest = suggest
        self._pick = pick
        self._compact = False
        self._cursor_of: dict[str, str] = {}
        self._editor: FieldEditor | None = None
        self._searched = ""

    def compose(self) -> ComposeResult:
        """Sections, list, search line, help and plan."""
        yield SectionBar(id="form-sections")
        with Vertical(id="form-middle"):
            yield ParameterList(self._open, id="form-list")
            with Horizontal(id="form-search-line"):
                yield Label("/", id="form-search-sign")
                yield LineInput(id="form-search", select_on_focus=False, compact=True)
                yield Label("", id="form-search-count", markup=False)
        with Vertical(id="form-side"):
            yield FieldHelp(id="form-help")
            yield PlanPane(id="form-plan")

    def on_mount(self) -> None:
        """The list has the keys from the start."""
        line = self.query_one("#form-search", LineInput)
        line.cursor_blink = False
        line.submit = lambda _typed: self.action_into_list()
        self.refresh_form()
        self.fields.focus()

    @property
    def fields(self) -> ParameterList:
        """The list of fields."""
        return self.query_one(ParameterList)

    @property
    def plan_pane(self) -> PlanPane:
        """The plan of the run; its screen fills it."""
        return self.query_one(PlanPane)

    @property
    def searching(self) -> bool:
        """Is a search typed in, so that the list shows what it found?"""
        return self.has_class("-searching")

    @property
    def typing(self) -> bool:
        """Is something being typed, so that letters are no keys?"""
        return self._editor is not None or self.query_one("#form-search", Input).has_focus

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that do something here and now are offered."""
        if action == "into_list":
            return self.query_one("#form-search", Input).has_focus
        if action == "leave_search":
            return self.searching and self._editor is None
        if self.typing:
            return False
        key = self.fields.key
        match action:
            case "reset":
                return bool(key) and self.model.changed(key)
            case "undo":
                return self.model.can_undo
            case "fix":
                return any(found.change for found in self.model.findings_of(key))
            case "only_changed":
                return self.only_changed or bool(self.model.changes)
        return True

    # showing

    def use_model(self, model: FormModel) -> None:
        """Show another model from its beginning."""
        self.model = model
        self._cursor_of.clear()
        self.refresh_form()

    def set_compact(self, compact: bool) -> None:
        """Tabs and strips for a narrow window, columns for a wide one."""
        self._compact = compact
        self.set_class(compact, "-compact")
        self.query_one(SectionBar).vertical = not compact
        self.query_one(FieldHelp).compact = compact
        self.plan_pane.compact = compact
        self._show_help()

    def refresh_form(self, *, select: str | None = None) -> None:
        """Draw everything again from the model: after a change, a new finding, another language."""
        sections = sections_of(self.model, self.tier, only_changed=self.only_changed)
        names = [section.name for section in sections]
        if self.section not in names:
            self.section = names[0] if names else ""
        bar = self.query_one(SectionBar)
        bar.tabs = tuple(self._tab(section) for section in sections)
        bar.active = "" if self.searching else self.section
        bar.refresh()
        if self.searching:
            self._searched = self.query_one("#form-search", Input).value
            found = search(self.model, self._searched)
            lines = lines_of(self.model, found)
            self.query_one("#form-search-count", Label).update(text("setup.found", count=len(found)))
            self.fields.empty_text = text("setup.nothing_found")
        else:
            section = next((one for one in sections if one.name == self.section), None)
            rows = () if section is None else rows_of(self.model, section, self.tier, only_changed=self.only_changed)
            lines = lines_of(self.model, rows)
            self.fields.empty_text = text("setup.nothing_changed" if self.only_changed else "setup.nothing_here")
        self.fields.show_lines(lines, select=select)
        self._show_help()

    def _tab(self, section: Section) -> SectionTab:
        keys = {one.key for one in section.parameters if self.model.applies(one.key)}
        errors = sum(1 for key in keys if any(found.severity == "error" for found in self.model.findings_of(key)))
        return SectionTab(
            section.name, section_title(self.model, section.name), sum(map(self.model.changed, keys)), errors
        )

    def _show_help(self) -> None:
        key = self.fields.key
        self.query_one(FieldHelp).show(explain(self.model, key) if key else None)

    # moving

    def on_parameter_list_highlighted(self, message: ParameterList.Highlighted) -> None:
        """Help follows the cursor; each section keeps its own place."""
        message.stop()
        if not self.searching and message.key:
            self._cursor_of[self.section] = message.key
        self._show_help()
        self.refresh_bindings()

    def on_section_bar_chosen(self, message: SectionBar.Chosen) -> None:
        """A click on a section."""
        message.stop()
        self.action_leave_search()
        self._go_to_section(message.name)

    def action_section(self, step: int) -> None:
        """To the next section in this direction, round and round."""
        if self.searching:
            return
        names = [tab.name for tab in self.query_one(SectionBar).tabs]
        if names:
            self._go_to_section(names[(names.index(self.section) + step) % len(names)])

    def _go_to_section(self, name: str) -> None:
        self.section = name
        self.refresh_form(select=self._cursor_of.get(name, ""))

    def go_to(self, key: str) -> None:
        """Put the cursor on a field, whatever tier it is in."""
        self.action_leave_search()
        tier = Tier(parameter(key).form.tier)
        if not self.tier.shows(tier):
            self.tier = tier
        self.only_changed = False
        self.section = section_of(key)
        self.refresh_form(select=key)
        self.post_message(self.Changed(()))

    def action_next_finding(self) -> None:
        """To the next field that a finding names, through all sections."""
        fields = [key for found in self.model.findings for key in found.fields if found.severity != "info"]
        fields = [key for key in dict.fromkeys(fields) if self.model.applies(key)]
        if not fields:
            self.notify(text("setup.no_findings"))
            return
        here = fields.index(self.fields.key) if self.fields.key in fields else -1
        self.go_to(fields[(here + 1) % len(fields)])

    # showing more or less

    def action_tier(self) -> None:
        """Basic, advanced, expert, and round again."""
        self.tier = self.tier.following
        self.refresh_form()
        self.post_message(self.Changed(()))

    def action_only_changed(self) -> None:
        """Only what differs from the preset, or all again."""
        self.only_changed = not self.only_changed
        self.refresh_form()
        self.post_message(self.Changed(()))

    def action_more_help(self) -> None:
        """A taller help strip."""
        self.toggle_class("-tall-help")

    def action_search(self) -> None:
        """Open the search line."""
        self.add_class("-searching")
        line = self.query_one("#form-search", Input)
        self.screen.set_focus(line)
        line.cursor_position = len(line.value)
        self.refresh_form()

    def action_leave_search(self) -> None:
        """Close the search; a field that was found stays under the cursor."""
        if not self.searching:
            return
        key = self.fields.key
        self.remove_class("-searching")
        self.query_one("#form-search", Input).value = ""
        self.screen.set_focus(self.fields)
        if key and self.model.applies(key) and any(one.name == section_of(key) for one in self._all_shown(key)):
            self.go_to(key)
        else:
            self.refresh_form()

    def _all_shown(self, key: str) -> tuple[Section, ...]:
        tier = Tier(parameter(key).form.tier)
        return sections_of(self.model, self.tier if self.tier.shows(tier) else tier)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while it is typed."""
        event.stop()
        self._search_again()

    def _search_again(self) -> None:
        if self.searching and self._searched != self.query_one("#form-search", Input).value:
            self.refresh_form(select="")

    def action_into_list(self) -> None:
        """Enter and down go from the search line into the list."""
        self._search_again()
        self.screen.set_focus(self.fields)

    # changing

    async def _open(self, key: str) -> None:
        """Switch a yes-or-no field at once; open an editor for any other."""
        one = parameter(key)
        reason = closed_reason(self.model, one)
        if reason:
            self.notify(reason, title=one.name, severity="warning", markup=False)
            return
        if one.kind == "bool" and not one.optional:
            automatic = self.model.automatic(one.key)
            now = automatic[0] if automatic else self.model.value(one.key)
            self.take({one.key: not now})
        elif self._pick is None or not self._pick(one.key):
            await self._open_editor(one)

    async def _open_editor(self, one: Parameter) -> None:
        suggestions = self._suggest(one.key) if self._suggest is not None else ()
        self._close_editor()
        self._editor = FieldEditor(
            one, self.model.value(one.key), self.model.enter, self._editor_done, suggestions=suggestions
        )
        self._place_editor(self._editor, one.key)
        await self.mount(self._editor)
        self.refresh_bindings()

    def _place_editor(self, editor: FieldEditor, key: str) -> None:
        home = self.content_region
        value = self.fields.value_region(key).translate(-home.offset)
        middle = self.query_one("#form-middle").region.translate(-home.offset)
        room = Region(middle.x, 0, middle.width, home.height) if editor.wants_height else middle
        editor.place(value, room)

    def on_resize(self) -> None:
        """An open editor follows its row."""
        if self._editor is not None:
            self.call_after_refresh(self._place_editor, self._editor, self.fields.key)

    def _editor_done(self, key: str, taken: bool) -> None:
        """Back to the list."""
        self._close_editor()
        self.screen.set_focus(self.fields)
        if taken:
            self._after_change((key,))

    def _close_editor(self) -> None:
        if self._editor is not None:
            # Not awaited: the editor may be the one that called.
            self._editor.remove()
            self._editor = None
        self.refresh_bindings()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A click beside an open editor closes it without a change."""
        if self._editor is not None and not self._editor.region.contains(event.screen_x, event.screen_y):
            self._editor_done("", False)

    def take(self, values: Mapping[str, object]) -> None:
        """Give fields the values that a dialog asked for, as one step of undo."""
        try:
            self.model.set_many(values)
        except EntryError as error:
            self.notify(str(error), severity="error", markup=False)
        else:
            self._after_change(tuple(values))

    def action_reset(self) -> None:
        """The field under the cursor back to the preset's value."""
        key = self.fields.key
        if key and self.model.changed(key):
            self.model.reset(key)
            self._after_change((key,))

    def action_undo(self) -> None:
        """Take the last change back, and show where it was."""
        keys = self.model.undo()
        if not keys:
            self.notify(text("setup.nothing_to_undo"))
            return
        if not self.searching and self.model.applies(keys[0]):
            self.go_to(keys[0])
        self._after_change(keys)

    def action_fix(self) -> None:
        """Make the change that a finding of this field proposes; of several the one that leaves the fewest open."""
        here = [found for found in self.model.findings_of(self.fields.key) if found.change]
        found = self.model.best_proposal(here)
        if found is None:
            self.notify(text("setup.nothing_to_fix"))
            return
        self.take(found.change)

    def _after_change(self, keys: tuple[str, ...]) -> None:
        self.refresh_form()
        self.post_message(self.Changed(keys))

    def relabel(self) -> None:
        """Set every text again after a language switch."""
        self.query_one("#form-search", Input).placeholder = text("setup.search_placeholder")
        self.refresh_form()
