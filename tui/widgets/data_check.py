"""The check on the Data screen: its progress while it goes on, then its report. Asks the worker; reads no file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from trainer.config import Finding
from trainer.errors import UserError
from tui.background import read_in_background
from tui.data_answers import Progress, Report
from tui.data_client import CancelledError, DataClient, Recipe
from tui.data_report import example_of, report_rows
from tui.locale import text
from tui.widgets.gauge import bar
from tui.widgets.measures import count, duration
from tui.widgets.pane import Row
from tui.widgets.row_list import ListRow, RowList
from tui.widgets.wrapping import wrapped

_DRAW_SECONDS = 0.25
_SURE_SECONDS = 1.0
"""Before that a remaining time would be a guess."""


class DataCheck(RowList):
    """One report at a time; Enter on a bad row asks the screen to show it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "data_screen.key_show_row", id="data.show_row"),
    ]

    @dataclass
    class RowWanted(Message):
        """Show this row of this file."""

        file: str
        row: int

    @dataclass
    class Ended(Message):
        """The check is over; `report` is None when it was given up or failed."""

        report: Report | None

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.report: Report | None = None
        self.running = False
        self._trouble = ""
        self._sets: tuple[str, ...] = ()
        self._began = 0.0
        """When the worker said for the first time how far it is, and how many rows that were."""
        self._first = 0
        self._progress = Progress(0, None)
        self._drawn = 0.0
        self._number = 0

    @property
    def sets(self) -> tuple[str, ...]:
        """The sets that were checked last."""
        return self._sets

    @property
    def proposal(self) -> Finding | None:
        """The first advice of the report that names what to change."""
        found = self.report.findings if self.report is not None else ()
        return next((one for one in found if one.change), None)

    def start(self, client: DataClient, sets: Sequence[str], recipe: Recipe) -> None:
        """Check these sets; one that goes on is given up."""
        if self.running:
            self.stop(client)
        self._number += 1
        number = self._number
        self.report, self.running, self._trouble = None, True, ""
        self._sets, self._began, self._progress = tuple(sets), 0.0, Progress(0, None)
        self.relabel()

        def told(progress: Progress) -> None:
            self.call_later(self._told, number, progress)

        def read() -> Report | UserError:
            try:
                return client.check(sets, recipe, told)
            except UserError as error:
                return error

        read_in_background(self, read, lambda found: self._take(number, found))

    def stop(self, client: DataClient) -> None:
        """Give the check up."""
        read_in_background(self, lambda: client.cancel("check"), lambda _none: None)

    def forget(self) -> None:
        """The report is about rows that would now be read in another way."""
        self._number += 1
        self.report, self.running, self._trouble = None, False, ""
        self.relabel()

    def relabel(self) -> None:
        """Build the rows again."""
        self.show(self._build())

    def on_resize(self, event: object) -> None:
        """Bars have the width of the pane."""
        self.relabel()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a bad row there is nothing to choose."""
        return bool(self.key) if action == "choose" else super().check_action(action, parameters)

    def action_choose(self) -> None:
        """Show the row of the example."""
        self.choose()

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        """Enter, or a double click."""
        message.stop()
        example = example_of(self.report, message.key) if self.report is not None else None
        if example is not None:
            self.post_message(self.RowWanted(example.file, example.row))

    def _told(self, number: int, progress: Progress) -> None:
        if number != self._number or not self.running:
            return
        self._progress = progress
        now = time.monotonic()
        if not self._began:
            self._began, self._first = now, progress.done
        if now - self._drawn >= _DRAW_SECONDS:
            self._drawn = now
            self.relabel()

    def _take(self, number: int, found: Report | UserError) -> None:
        if number != self._number:
            return
        self.running = False
        self.report = found if isinstance(found, Report) else None
        if isinstance(found, CancelledError):
            self._trouble = text("data_screen.check_given_up")
        elif isinstance(found, UserError):
            self._trouble = str(found)
        self.relabel()
        self.post_message(self.Ended(self.report))

    def _build(self) -> list[ListRow]:
        width = max(8, self.size.width - 2)
        if self.running:
            return [ListRow("", row) for row in self._progress_rows(width)]
        if self.report is not None:
            return report_rows(self.report, width)
        words, role = (self._trouble, "error") if self._trouble else (text("data_screen.check_empty"), "muted")
        return [ListRow("", row) for row in wrapped(words, role, width)]

    def _progress_rows(self, width: int) -> list[Row]:
        done, total = self._progress.done, self._progress.total
        share = min(1.0, done / total) if total else None
        said = text("data_screen.checking", set=self._progress.set or ", ".join(self._sets), rows=count(done))
        # Measured from the first word on: what came before was loading.
        seconds = time.monotonic() - self._began if self._began else 0.0
        speed = (done - self._first) / seconds if seconds > _SURE_SECONDS else 0.0
        if total and speed > 0:
            left = duration(max(0.0, (total - done) / speed))
            said += " · " + text("data_screen.check_left", time=left, speed=count(speed))
        rows = wrapped(said, "foreground", width)
        return [
            *rows,
            tuple(bar(share, min(60, width), "primary")),
            (),
            *wrapped(text("data_screen.check_stop"), "muted", width),
        ]
