"""The help: every key that works where the user is, found by typing, run by Enter. Built from the live bindings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.locale import find, text
from tui.widgets.key_bar import description, key_name

_MOST_KEY_CELLS = 24


@dataclass(frozen=True)
class HelpEntry:
    """One key: how it is written, what it does, and how to run it."""

    keys: str
    what: str
    action: str
    node: DOMNode


def entries_of(screen: Screen[Any]) -> list[HelpEntry]:
    """The keys that work on a screen now, one entry an action; the innermost widget's first, the app's last."""
    keys: dict[tuple[str, int], list[str]] = {}
    first: dict[tuple[str, int], tuple[Binding, DOMNode]] = {}
    for node, binding, enabled, _tooltip in screen.active_bindings.values():
        place = (binding.action, id(node))
        if not enabled or not find(binding.description):
            # Textual's own bindings of text fields and lists have no text of ours; everybody knows them.
            continue
        first.setdefault(place, (binding, node))
        keys.setdefault(place, []).append(key_name(binding.key))
    return [
        HelpEntry(_as_many_as_fit(dict.fromkeys(keys[place])), description(binding), binding.action, node)
        for place, (binding, node) in first.items()
    ]


def _as_many_as_fit(keys: Iterable[str]) -> str:
    """The keys of one action in the column for keys; the last ones are left out before any is cut."""
    shown = ""
    for key in keys:
        longer = f"{shown}  {key}" if shown else key
        if shown and cell_len(longer) > _MOST_KEY_CELLS:
            break
        shown = longer
    return shown


class HelpScreen(ModalScreen[None]):
    """A list of keys over the screen it explains."""

    CSS_PATH = "../theme/help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "help.key_close", id="help.close"),
        Binding("down", "move(1)", "help.key_down", show=False, priority=True, id="help.down"),
        Binding("up", "move(-1)", "help.key_up", show=False, priority=True, id="help.up"),
    ]

    def __init__(self, below: Screen[Any]) -> None:
        super().__init__()
        self._entries = entries_of(below)
        self._area = str(getattr(below, "area", ""))
        self._shown: list[HelpEntry] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="help") as box:
            box.border_title = text("help.title")
            box.border_subtitle = text("help.keys")
            yield Input(placeholder=text("help.search"), id="search")
            yield OptionList(id="keys", compact=True, markup=False)
            about = [find(f"help.about_{self._area}"), text("help.palette")]
            yield Label("\n".join(line for line in about if line), id="about", classes="muted", markup=False)

    def on_mount(self) -> None:
        """Fill the list."""
        self.query_one(Input).cursor_blink = False
        self.query_one("#keys", OptionList).can_focus = False
        self._fill("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Typing narrows the list: by what a key does, or by the key."""
        self._fill(event.value.strip())

    def _fill(self, wanted: str) -> None:
        low = wanted.casefold()
        self._shown = [entry for entry in self._entries if low in entry.what.casefold() or wanted in entry.keys.split()]
        options = self.query_one("#keys", OptionList)
        options.clear_options()
        width = max((cell_len(entry.keys) for entry in self._entries), default=0) + 2
        options.add_options(
            Option(Text.assemble((set_cell_size(entry.keys, width), "bold"), entry.what)) for entry in self._shown
        )
        options.highlighted = 0 if self._shown else None

    def action_move(self, by: int) -> None:
        """Arrow keys move in the list while the search field has the focus."""
        options = self.query_one("#keys", OptionList)
        if self._shown:
            options.highlighted = ((options.highlighted or 0) + by) % len(self._shown)

    def on_input_submitted(self, _event: Input.Submitted) -> None:
        """Enter runs what is highlighted."""
        self._run(self.query_one("#keys", OptionList).highlighted)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """So does a click."""
        self._run(event.option_index)

    def _run(self, index: int | None) -> None:
        if index is None:
            return
        entry = self._shown[index]
        app = self.app

        def run(_result: None) -> None:
            app.call_later(app.run_action, entry.action, entry.node)

        self.dismiss(None)
        run(None)
