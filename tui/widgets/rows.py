"""Base of the widgets that draw their own rows: a row is runs of (text, role), and only changed rows are sent again."""

from __future__ import annotations

from collections.abc import Sequence

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.pane import Row, changed_cells, row_strip
from tui.widgets.wrapping import one_line


class RowsWidget(Widget):
    """Shows rows; `set_rows` compares with what is there."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._rows: tuple[Row, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is shown."""
        return self._rows

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows; those that are the same as before are not drawn again.

        Names and values come from files: what a terminal would act on is written as codes.
        """
        safe = (tuple((one_line(words), role) for words, role in row) for row in rows)
        old, self._rows = self._rows, tuple(safe)
        if len(old) != len(self._rows):
            self.refresh(layout=self.styles.is_auto_height)
            return
        width = self.size.width
        changed = [
            Region(0, y, min(width, changed_cells(old[y], row)), 1) for y, row in enumerate(self._rows) if row != old[y]
        ]
        if changed:
            self.refresh(*changed)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """As many rows as there are."""
        return max(1, len(self._rows))

    def render_line(self, y: int) -> Strip:
        """One row."""
        if y >= len(self._rows):
            return Strip.blank(self.size.width, self.rich_style)
        return row_strip(self, self._rows[y], self.size.width)

    def notify_style_update(self) -> None:
        """The theme changed."""
        super().notify_style_update()
        self.refresh()
