"""One row over the charts of a part: which one it is, and how all parts of its pipeline stand. Not for its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.locale import text
from tui.widgets.glyphs import ascii_only
from tui.widgets.pane import Piece
from tui.widgets.rows import RowsWidget
from tui.widgets.state_words import STATE_ROLES

if TYPE_CHECKING:
    from trainer.run import RunState
    from tui.run_parts import PartOf

_SIGNS = {"finished": "✓", "stopped": "■", "failed": "✗", "lost": "✗"}
_PLAIN_SIGNS = {"finished": "+", "stopped": "=", "failed": "x", "lost": "x"}


class PartsStrip(RowsWidget):
    """` part 2 of 3: rm   ✓ sft  ▶ rm  · ppo`; takes no room for a run that is no part."""

    DEFAULT_CSS = "PartsStrip { height: 1; width: 100%; display: none; }"

    def show(self, part: PartOf | None) -> None:
        """Show where the run stands."""
        self.display = part is not None
        if part is None:
            self.set_rows([()])
            return
        head = text("pipeline.part_of", number=part.number, count=len(part.states), part=part.name)
        pieces: list[Piece] = [(f" {head}  ", "*foreground")]
        for number, (each, state) in enumerate(zip(part.pipeline.parts, part.states, strict=True), start=1):
            role = "muted" if state is None else STATE_ROLES[state.value]
            name = f"[{each.name}]" if number == part.number else each.name
            pieces.append((f" {state_sign(state)} {name} ", f"*{role}" if number == part.number else role))
        self.set_rows([tuple(pieces)])


def state_sign(state: RunState | None) -> str:
    """One character for the state of a part."""
    plain = ascii_only()
    if state is None:
        return "." if plain else "·"
    if state.alive:
        return ">" if plain else "▶"
    return (_PLAIN_SIGNS if plain else _SIGNS)[state.value]
