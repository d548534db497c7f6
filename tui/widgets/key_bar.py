"""The line of keys below every screen: the keys that work here and now, as many as fit. The rest stands in the help."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.widget import Widget

from tui.locale import find
from tui.themes import role_style
from tui.widgets.glyphs import ascii_only

# Keys whose display Textual spells out; ours are the shorter ones of the house.
_SPELLING = {
    "question_mark": "?",
    "colon": ":",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "slash": "/",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "escape": "esc",
    "space": "space",
    "ctrl+p": "^p",
    "plus": "+",
    "minus": "-",
}
_ARROWS = {"left": "←", "right": "→", "up": "↑", "down": "↓"}


def key_name(key: str) -> str:
    """How a key is written on the screen: `question_mark` -> `?`, `ctrl+r` -> `^r`."""
    first = key.split(",")[0]
    if first in _ARROWS and not ascii_only():
        return _ARROWS[first]
    if first in _SPELLING:
        return _SPELLING[first]
    return "^" + first[5:] if first.startswith("ctrl+") else first


def description(binding: Binding) -> str:
    """What a binding does, in the language in force; descriptions are catalogue keys."""
    return find(binding.description) or binding.description


def shown_bindings(screen: Screen[object]) -> list[Binding]:
    """The bindings that work now and want to be seen, one an action, the screen's own first."""
    found: dict[str, Binding] = {}
    own: list[Binding] = []
    common: list[Binding] = []
    for node, binding, enabled, _tooltip in screen.active_bindings.values():
        if not enabled or not binding.show or binding.action in found:
            continue
        found[binding.action] = binding
        (common if node is screen.app else own).append(binding)
    return own + common


class KeyBar(Widget):
    """One row of `key what-it-does` pairs; that of `main`, the screen's most wanted action, comes first."""

    _hints: list[tuple[str, str, str]] = []  # noqa: RUF012 - replaced, never changed in place
    _ends: list[tuple[int, int, str]] = []  # noqa: RUF012

    def __init__(self, main: str = "") -> None:
        super().__init__()
        self._main = main

    def on_mount(self) -> None:
        """Follow the focus: other keys work in other places."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self.update_texts())
        self.update_texts()

    def update_texts(self) -> None:
        """Look the keys up again; draws only when they changed. Behind a dialog they stay: none of them works there."""
        if not self.is_attached or isinstance(self.app.screen, ModalScreen):
            return
        hints = [(key_name(b.key), description(b), b.action) for b in shown_bindings(self.screen)]
        hints.sort(key=lambda hint: hint[2] != self._main)
        if hints != self._hints:
            self._hints = hints
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The whole line; hints that do not fit are left out, the last two (help, quit) stay."""
        base = self.rich_style
        key_style = base + role_style(self.app, "primary", bold=True)
        width = self.size.width
        keep = self._hints[-2:]
        room = width - 1 - sum(self._cells(hint) for hint in keep)
        chosen: list[tuple[str, str, str]] = []
        for hint in self._hints[:-2]:
            if self._cells(hint) > room:
                continue
            room -= self._cells(hint)
            chosen.append(hint)
        segments = [Segment(" ", base)]
        self._ends = []
        at = 1
        for hint in chosen + keep:
            segments += [Segment(hint[0], key_style), Segment(f" {hint[1]}  ", base)]
            self._ends.append((at, at + self._cells(hint), hint[2]))
            at += self._cells(hint)
        return Strip(segments).adjust_cell_length(width, base)

    @staticmethod
    def _cells(hint: tuple[str, str, str]) -> int:
        return cell_len(hint[0]) + cell_len(hint[1]) + 3

    async def on_click(self, event: events.Click) -> None:
        """Do what the hint says."""
        for first, last, action in self._ends:
            if first <= event.x < last:
                await self.screen.run_action(action)
