"""The parts of the Data screen and the keys that move among them: views, rows, search. Not for sets and the recipe."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from tui.data_answers import Opened
from tui.data_client import DataClient
from tui.locale import text
from tui.screens.base import CockpitScreen
from tui.widgets.data_check import DataCheck
from tui.widgets.data_head import DataHead, DataNote
from tui.widgets.data_mapping_list import DataMapping
from tui.widgets.data_rows import DataRows
from tui.widgets.data_sets import DataSets
from tui.widgets.dialogs import LineDialog
from tui.widgets.section_bar import SectionBar, SectionTab

SIDE_BY_SIDE = 100
"""Cells from which on the list of sets and the rows stand beside each other."""
VIEWS = ("raw", "rendered", "tokens", "columns", "check")
_ROWS = ("raw", "rendered", "tokens")


class DataViews(CockpitScreen):
    """The sets on the left; the rows, columns and the check of one of them beside it, or alone in a narrow window."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (SIDE_BY_SIDE, "-wide")]  # noqa: RUF012 - Textual's own declaration
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "data_screen.key_before", show=False, id="data.before"),
        Binding("right,l", "step(1)", "data_screen.key_next", id="data.next"),
        Binding("tab", "view(1)", "data_screen.key_view", priority=True, id="data.view"),
        Binding(
            "shift+tab", "view(-1)", "data_screen.key_view_before", show=False, priority=True, id="data.view_before"
        ),
        Binding("slash", "search", "data_screen.key_search", id="data.search"),
        Binding("n", "match(False)", "data_screen.key_match", show=False, id="data.match"),
        Binding("N", "match(True)", "data_screen.key_match_before", show=False, id="data.match_before"),
        Binding("i", "ids", "data_screen.key_ids", id="data.ids"),
        Binding("x", "part", "data_screen.key_part", id="data.part"),
        Binding("escape", "back", "data_screen.key_back", id="data.back"),
        Binding("r", "show('raw')", "data_screen.key_raw", show=False, id="data.raw"),
        Binding("d", "show('rendered')", "data_screen.key_rendered", show=False, id="data.rendered"),
        Binding("t", "show('tokens')", "data_screen.key_tokens", show=False, id="data.tokens"),
        Binding("m", "show('columns')", "data_screen.key_columns", show=False, id="data.columns"),
    ]

    def __init__(self, client: DataClient) -> None:
        super().__init__()
        self.client = client
        self.view = "raw"
        self._inside = False
        self.opened: Opened | None = None

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="data-body"):
            with Vertical(id="data-left"):
                yield DataSets(id="data-sets")
                yield DataNote(id="data-note")
            with Vertical(id="data-main"):
                yield DataHead(id="data-head")
                yield SectionBar(id="data-tabs")
                yield DataRows(self.client, id="data-rows")
                yield DataMapping(id="data-mapping")
                yield DataCheck(id="data-check")
                line = Input(id="data-search", compact=True, select_on_focus=False)
                line.cursor_blink = False
                yield line

    # parts

    @property
    def sets(self) -> DataSets:
        """The list of sets."""
        return self.query_one(DataSets)

    @property
    def rows(self) -> DataRows:
        """The row that is looked at."""
        return self.query_one(DataRows)

    @property
    def checking(self) -> DataCheck:
        """The check and its report."""
        return self.query_one(DataCheck)

    @property
    def in_rows(self) -> bool:
        """Whether the keys are beside the list of sets."""
        return self._inside

    def _go_inside(self, inside: bool) -> None:
        """Into the rows, or back to the list; only a narrow window, which has room for one of them, changes."""
        self._inside = inside
        self.set_class(inside and self.size.width < SIDE_BY_SIDE, "-inside")

    def on_resize(self, _event: events.Resize) -> None:
        """A window that became narrow shows where the keys are."""
        self._go_inside(self._inside)

    # looking

    def draw_tabs(self) -> None:
        """Draw the tabs again."""
        tabs = self.query_one(SectionBar)
        tabs.tabs = tuple(SectionTab(view, text(f"data_screen.view_{view}")) for view in VIEWS)
        tabs.active = self.view

    def show_view(self) -> None:
        """Show the chosen view, and give it the keys when they are not in the list of sets."""
        in_rows = self.view in _ROWS
        self.rows.display = in_rows
        self.query_one(DataMapping).display = self.view == "columns"
        self.checking.display = self.view == "check"
        if in_rows:
            self.rows.show_as(self.view)  # type: ignore[arg-type]
        if self.in_rows or not self.sets.has_focus:
            self.focus_view()
        self.draw_tabs()
        self.refresh_bindings()

    def focus_view(self) -> None:
        """Give the keys to what is looked at."""
        part = {"columns": self.query_one(DataMapping), "check": self.checking}.get(self.view, self.rows.lines)
        part.focus()

    # keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that do something here and now are offered."""
        if not self.is_mounted:
            return super().check_action(action, parameters)
        typing = self.query_one("#data-search", Input).has_focus
        if typing:
            return action in ("back",)
        rows, opened = self.view in _ROWS, self.opened
        match action:
            case "step":
                return self.in_rows and rows and opened is not None
            case "search" | "go_to" | "match":
                return self.in_rows and rows and opened is not None
            case "ids":
                return self.view == "tokens"
            case "part":
                return rows and opened is not None and len(opened.parts) > 1
            case "train_on":
                return not self.in_rows and bool(self.sets.key)
            case "use" | "check":
                return opened is not None
            case "fix":
                return self.view == "check" and self.checking.proposal is not None
            case "register":
                return opened is not None and opened.format is not None and self.view == "columns"
            case "back":
                return self.in_rows or self.checking.running or self.rows.seeking
        return True

    def action_enter(self) -> None:
        """From the list into the rows."""
        self._go_inside(True)
        self.focus_view()
        self.refresh_bindings()

    def action_back(self) -> None:
        """Leave the search line, stop a search, give a check up; else back to the list of sets."""
        line = self.query_one("#data-search", Input)
        if line.display:
            line.display = False
            self.rows.mark("")
            self.focus_view()
        elif self.rows.seeking:
            self.rows.stop_search()
        elif self.checking.running and self.view == "check":
            self.checking.stop(self.client)
        else:
            self._go_inside(False)
            self.sets.focus()
        self.refresh_bindings()

    def action_view(self, by: int) -> None:
        """The next way of looking, round and round."""
        self.action_show(VIEWS[(VIEWS.index(self.view) + by) % len(VIEWS)])

    def action_show(self, view: str) -> None:
        """Look in another way."""
        self.view = view
        self._go_inside(True)
        self.show_view()

    @on(SectionBar.Chosen)
    def _tab_clicked(self, message: SectionBar.Chosen) -> None:
        message.stop()
        self.action_show(message.name)

    def action_step(self, by: int) -> None:
        """The next row in this direction."""
        self.rows.step(by)

    def action_ids(self) -> None:
        """Show or hide the ids of tokens."""
        self.rows.tokens.show_ids(not self.rows.tokens.with_ids)

    def action_part(self) -> None:
        """The chosen answer or the rejected one."""
        self.rows.other_part()

    def action_go_to(self) -> None:
        """Ask for the number of a row."""

        def check(typed: str) -> tuple[bool, str]:
            good = typed.replace(",", "").strip().isdecimal() and 1 <= int(typed.replace(",", "")) <= self.rows.known
            return good, "" if good else text("data_screen.go_to_range", rows=self.rows.known)

        def take(typed: str | None) -> None:
            if typed is not None:
                self.rows.go_to(int(typed.replace(",", "")) - 1)

        self.app.push_screen(LineDialog(text("data_screen.go_to_title"), text("data_screen.go_to_help"), check), take)

    def action_search(self) -> None:
        """Open the search line."""
        line = self.query_one("#data-search", Input)
        line.display = True
        line.value = self.rows.words
        line.focus()

    @on(Input.Submitted, "#data-search")
    def _search_typed(self, event: Input.Submitted) -> None:
        self.query_one("#data-search").display = False
        self.focus_view()
        self.rows.search(event.value, here=True)

    def action_match(self, backwards: bool) -> None:
        """The next row, or the one before, with what was searched for."""
        if self.rows.words:
            self.rows.search(self.rows.words, backwards=backwards)
        else:
            self.action_search()
