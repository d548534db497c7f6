"""The charts of a dashboard, and which curve each of them shows. Pictures, windows and cursors are the screen's.

The stage of the run says what stands first; what the user puts in a chart stays there while the cockpit is open.
"""

from __future__ import annotations

from collections.abc import Collection

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from tui.stage_curves import needs_smoothing, stage_curves
from tui.widgets.chart import SMOOTHINGS, Chart

_COLORS = ("success", "secondary", "secondary", "success")


class CurveBoard(Vertical):
    """One large chart over two rows of small ones; how many rows are shown is for the style sheet."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.smoothing = SMOOTHINGS[2]
        self._chosen: dict[str, dict[str, str]] = {}
        self._stage = "sft"
        self._first: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """The large chart is `main-curve`, the small ones are `curve-1` to `curve-4`."""
        first = stage_curves(self._stage, 1 + len(_COLORS), evaluates=True)
        yield Chart(first[0], ruler=True, id="main-curve")
        small = [
            Chart(curve, color=color, id=f"curve-{number}")
            for number, (curve, color) in enumerate(zip(first[1:], _COLORS, strict=True), 1)
        ]
        yield Horizontal(*small[:2], id="small")
        yield Horizontal(*small[2:], id="more")

    def on_mount(self) -> None:
        """What is exact is not smoothed."""
        self._smooth()

    @property
    def main(self) -> Chart:
        """The large chart."""
        return self.query_one("#main-curve", Chart)

    @property
    def charts(self) -> list[Chart]:
        """All charts, the large one first."""
        return list(self.query(Chart))

    @property
    def is_changed(self) -> bool:
        """Whether the user has put a curve somewhere."""
        return bool(self._chosen.get(self._stage))

    def show_stage(self, stage: str, *, evaluates: bool, measured: Collection[str]) -> None:
        """Show what a run of this stage is judged by, of what this one measures, and what the user has chosen."""
        self._stage = stage
        charts = self.charts
        self._first = stage_curves(stage, len(charts), evaluates=evaluates, measured=measured)
        self._fill()

    def put(self, chart: Chart, curve: str) -> None:
        """Show a curve in this chart; the chart that has it now, if one does, takes what stood here."""
        chosen = self._chosen.setdefault(self._stage, {})
        for other in self.charts:
            if other is not chart and other.curve == curve:
                chosen[str(other.id)] = chart.curve
        chosen[str(chart.id)] = curve
        self._fill()

    def put_back(self) -> None:
        """What the stage begins with."""
        self._chosen.pop(self._stage, None)
        self._fill()

    def set_smoothing(self, weight: float) -> None:
        """The weight for all curves that need one."""
        self.smoothing = weight
        self._smooth()

    def _fill(self) -> None:
        chosen = self._chosen.get(self._stage, {})
        taken = set(chosen.values())
        rest = iter(curve for curve in self._first if curve not in taken)
        for chart in self.charts:
            # A run may measure less than there are charts: then the last ones stay empty.
            chart.show_curve(chosen.get(str(chart.id)) or next(rest, ""))
        self._smooth()

    def _smooth(self) -> None:
        for chart in self.charts:
            chart.smoothing = self.smoothing if needs_smoothing(chart.curve) else 0.0
