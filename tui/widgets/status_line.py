"""The two rows over the charts: what the run is doing, how far it is, when it will be done, the newest figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual import events

from trainer.run import RunState
from tui import run_recipe
from tui.locale import text
from tui.stage_curves import curve_title, main_curve
from tui.widgets import measures
from tui.widgets.axes import value_text
from tui.widgets.gauge import bar
from tui.widgets.pane import Piece, Row
from tui.widgets.rows import RowsWidget
from tui.widgets.state_words import STATE_ROLES, state_word

if TYPE_CHECKING:
    from tui.run_feed import RunSnapshot


class StatusLine(RowsWidget):
    """Two rows of fixed columns, so that nothing jitters while the numbers change."""

    DEFAULT_CSS = "StatusLine { height: 2; width: 100%; }"

    _snapshot: RunSnapshot | None = None

    def show(self, snapshot: RunSnapshot | None) -> None:
        """Show a new snapshot."""
        self._snapshot = snapshot
        self.relabel()

    def relabel(self) -> None:
        """Build the rows again."""
        snapshot = self._snapshot
        width = self.size.width
        if snapshot is None or width < 20:
            self.set_rows([(), ()])
        else:
            self.set_rows([_progress_row(snapshot, width), _figures_row(snapshot, width)])

    def on_resize(self, _event: events.Resize) -> None:
        """The progress bar has the rest of the width."""
        self.relabel()


def _progress_row(snapshot: RunSnapshot, width: int) -> Row:
    state = (state_word(snapshot.state), f"*{STATE_ROLES[snapshot.state.value]}")
    name = snapshot.run.name
    if len(name) > width // 3:
        name = name[: width // 3 - 1] + "~"
    left: list[Piece] = [(f" {name}  ", "*foreground"), state, ("  ", "muted")]
    share = _share(snapshot)
    if snapshot.state.alive:
        label, time, role = text("dashboard.eta"), snapshot.seconds_left, "*foreground"
    else:
        label, time, role = text("dashboard.elapsed"), snapshot.elapsed, "foreground"
    left += [
        (f"{'-' if share is None else f'{share * 100:.0f} %':>5}  ", "foreground"),
        (f"{label} ", "muted"),
        (f"{measures.duration(time):<8}", role),
    ]
    # The bar stands last: what changes each second is left of it, so that it is seldom sent.
    room = width - 1 - sum(cell_len(piece) for piece, _ in left)
    return (*left, *bar(share, max(0, room), STATE_ROLES[snapshot.state.value]), (" ", "muted"))


def _share(snapshot: RunSnapshot) -> float | None:
    """How much is done: of the steps, or, before the first one, of the rows or megabytes that are prepared."""
    status = snapshot.status
    if snapshot.state is RunState.PREPARING and status is not None and status.total_rows:
        return min(1.0, status.rows / status.total_rows)
    return snapshot.step / snapshot.total_steps if snapshot.total_steps else None


def _figures_row(snapshot: RunSnapshot, width: int) -> Row:
    latest = snapshot.latest
    total = snapshot.total_steps
    curve = main_curve(run_recipe.stage(snapshot.run.recipe_file))
    step = f"{snapshot.step:>{len(str(total))}}/{total}" if total else str(snapshot.step)
    speed = latest.get("tokens_per_second")
    padded = latest.get("padded_tokens_per_second")
    figures: list[tuple[str, str]] = [
        (text("dashboard.step"), step),
        (curve_title(curve), f"{value_text(latest.get(curve)):>7}"),
        (text("dashboard.speed"), f"{'-' if speed is None else measures.count(speed):>7}"),
        (text("dashboard.epoch"), f"{snapshot.epoch:.2f}"),
    ]
    if snapshot.state.alive:
        figures.append((text("dashboard.elapsed"), measures.duration(snapshot.elapsed)))
    if latest.get("step_seconds") is not None:
        figures.append((text("dashboard.step_time"), f"{latest['step_seconds']:.3g} s"))
    if padded is not None:
        figures.append((text("dashboard.padded"), measures.count(padded)))
    if latest.get("tokens") is not None:
        figures.append((text("dashboard.tokens"), measures.count(latest["tokens"])))
    pieces: list[Piece] = []
    used = 0
    for label, value in figures:
        cells = cell_len(label) + cell_len(value) + 4
        if used + cells > width:
            break
        pieces += [(f" {label} ", "muted"), (f"{value}  ", "foreground")]
        used += cells
    return tuple(pieces)
