"""Gauges of the machine: memory, load, power and temperature of each GPU, processor and RAM. Not for reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import set_cell_size
from textual import events

from tui.locale import text
from tui.widgets import measures
from tui.widgets.glyphs import ascii_only
from tui.widgets.pane import Piece, Row, header_row
from tui.widgets.rows import RowsWidget

if TYPE_CHECKING:
    from trainer.run.telemetry import Gpu, Telemetry

_NO_GPU = "no NVIDIA GPU"


def bar(share: float | None, width: int, role: str) -> tuple[Piece, Piece]:
    """A bar of `width` cells, filled to `share` (0 to 1); empty when it is not known."""
    full, empty = ("#", ".") if ascii_only() else ("━", "─")
    filled = 0 if share is None else round(max(0.0, min(1.0, share)) * width)
    return (full * filled, role), (empty * (width - filled), "faint")


def load_role(share: float | None, warn: float, alarm: float) -> str:
    """The colour of a gauge: calm, warning or error by its thresholds."""
    if share is None or share < warn:
        return "primary"
    return "error" if share >= alarm else "warning"


class MachinePane(RowsWidget):
    """All gauges below each other with a head line; one row when the screen is low."""

    DEFAULT_CSS = "MachinePane { height: auto; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._telemetry: Telemetry | None = None
        self._compact = False

    def show(self, telemetry: Telemetry | None, *, compact: bool) -> None:
        """Show a new look at the machine."""
        self._telemetry, self._compact = telemetry, compact
        self.relabel()

    def relabel(self) -> None:
        """Build the rows again."""
        if self._telemetry is None:
            self.set_rows([()] if self._compact else [self._head(), ()])
        elif self._compact:
            self.set_rows([_compact_row(self._telemetry, self.size.width)])
        else:
            self.set_rows([self._head(), *_full_rows(self._telemetry, max(20, self.size.width))])

    def on_resize(self, _event: events.Resize) -> None:
        """Bars have the width of the pane."""
        self.relabel()

    def _head(self) -> Row:
        telemetry = self._telemetry
        parts = [(gpu_note(telemetry), "muted")] if telemetry is not None and not telemetry.gpus else []
        return header_row(self, text("dashboard.machine"), parts, self.size.width)


def gpu_note(telemetry: Telemetry) -> str:
    """Why there is no GPU gauge, in the language in force where it is the usual reason."""
    return text("dashboard.no_gpu") if telemetry.gpu_note in ("", _NO_GPU) else telemetry.gpu_note


def _full_rows(telemetry: Telemetry, width: int) -> list[Row]:
    rows: list[Row] = []
    brief = len(telemetry.gpus) > 2
    for gpu in telemetry.gpus:
        rows += [_brief_gpu(gpu, width)] if brief else _gpu_rows(gpu, width)
    cpu = None if telemetry.cpu_percent is None else telemetry.cpu_percent / 100
    memory = _ratio(telemetry.memory_used, telemetry.memory_total)
    rows.append(_gauge(text("dashboard.cpu"), cpu, _percent(telemetry.cpu_percent), width, "primary"))
    amount = measures.share(telemetry.memory_used, telemetry.memory_total)
    rows.append(_gauge(text("dashboard.ram"), memory, amount, width, load_role(memory, 0.85, 0.95)))
    return rows


def _gpu_rows(gpu: Gpu, width: int) -> list[Row]:
    memory = _ratio(gpu.memory_used, gpu.memory_total)
    load = None if gpu.utilization is None else gpu.utilization / 100
    power = _ratio(gpu.power, gpu.power_limit)
    heat = None if gpu.temperature is None else gpu.temperature / 100
    limit = f"/{gpu.power_limit:.0f}" if gpu.power_limit else ""
    watts = "-" if gpu.power is None else f"{gpu.power:.0f}{limit} W"
    name = gpu.name.removeprefix("NVIDIA ")
    return [
        ((f" GPU {gpu.index} ", "*foreground"), (name[: max(0, width - 8)], "muted")),
        _gauge(
            text("dashboard.gpu_memory"),
            memory,
            measures.share(gpu.memory_used, gpu.memory_total),
            width,
            load_role(memory, 0.9, 0.97),
        ),
        _gauge(text("dashboard.gpu_load"), load, _percent(gpu.utilization), width, "primary"),
        _gauge(text("dashboard.gpu_power"), power, watts, width, "primary"),
        _gauge(text("dashboard.gpu_heat"), heat, _degrees(gpu.temperature), width, load_role(heat, 0.8, 0.88)),
    ]


def _brief_gpu(gpu: Gpu, width: int) -> Row:
    memory = _ratio(gpu.memory_used, gpu.memory_total)
    figures = f"{_percent(gpu.utilization):>5} {'-' if gpu.power is None else f'{gpu.power:.0f} W':>5}"
    amount = f"{figures} {_degrees(gpu.temperature):>5}"
    return _gauge(f"GPU {gpu.index}", memory, amount, width, load_role(memory, 0.9, 0.97))


def _gauge(label: str, share: float | None, amount: str, width: int, role: str) -> Row:
    amount_width = max(14, len(amount))
    cells = max(4, width - 10 - amount_width - 2)
    name = set_cell_size(label, 8)
    return ((f" {name} ", "muted"), *bar(share, cells, role), (f" {amount:>{amount_width}} ", "foreground"))


def _compact_row(telemetry: Telemetry, width: int) -> Row:
    """One row for low screens: figures instead of bars."""
    pieces: list[Piece] = [(" ", "muted")]
    shown = telemetry.gpus[: 1 if width < 120 else 2]
    for gpu in shown:
        memory = measures.share(gpu.memory_used, gpu.memory_total)
        watts = "-" if gpu.power is None else f"{gpu.power:.0f}"
        figures = f"{_percent(gpu.utilization):>5} {watts:>4} W {_degrees(gpu.temperature):>5}  "
        pieces += [
            (f"GPU {gpu.index} ", "muted"),
            (f"{memory} ", load_role(_ratio(gpu.memory_used, gpu.memory_total), 0.9, 0.97)),
            (figures, "foreground"),
        ]
    if not telemetry.gpus:
        pieces.append((f"{gpu_note(telemetry)}   ", "muted"))
    elif len(telemetry.gpus) > len(shown):
        pieces.append((f"+{len(telemetry.gpus) - len(shown)}  ", "muted"))
    cpu = None if telemetry.cpu_percent is None else telemetry.cpu_percent / 100
    room = 10 if not telemetry.gpus and width >= 76 else 0
    ram = _ratio(telemetry.memory_used, telemetry.memory_total)
    amount = measures.share(telemetry.memory_used, telemetry.memory_total)
    pieces += [(f"{text('dashboard.cpu')} ", "muted"), *bar(cpu, room, "primary")]
    pieces += [(f"{_percent(telemetry.cpu_percent):>5}  ", "foreground"), (f"{text('dashboard.ram')} ", "muted")]
    return (*pieces, *bar(ram, room, load_role(ram, 0.85, 0.95)), (f" {amount}" if room else amount, "foreground"))


def _ratio(used: float | None, total: float | None) -> float | None:
    return used / total if used is not None and total else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} %"


def _degrees(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} °C"
