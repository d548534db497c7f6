"""One row of the open set, looked at in three ways: as it stands in the file, as the model reads it, as tokens.

Asks the worker for what is looked at and no more. Not for sets, columns or checks: those have their own widgets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from trainer.errors import UserError
from tui.background import read_in_background
from tui.data_answers import Opened, Piece, Progress, What
from tui.data_client import CancelledError, DataClient
from tui.latest import Latest
from tui.locale import text
from tui.widgets.data_words import words_of_piece
from tui.widgets.long_text import LongText
from tui.widgets.measures import count
from tui.widgets.pane import Piece as Words
from tui.widgets.pane import Row
from tui.widgets.rows import RowsWidget
from tui.widgets.scrolled_lines import ScrolledLines
from tui.widgets.token_view import TokenView, fences

_FIRST = {"raw": 8000, "rendered": 8000, "tokens": 3000}
_MORE = 20_000


class DataRows(Vertical):
    """A line that says which row this is, and the row."""

    @dataclass
    class Shown(Message):
        """Another row, or the same in another way, is shown now."""

        row: int

    def __init__(self, client: DataClient, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._client = client
        self._latest = Latest(self)
        self._more = Latest(self)
        self._seeks = Latest(self)
        self.opened: Opened | None = None
        self.row = 0
        self.known = 0
        self.complete = True
        self.what: What = "raw"
        self._part = 0
        self._piece: Piece | None = None
        self._have = 0
        """Characters or tokens of the row that are here."""
        self.words = ""
        """What was searched for last."""
        self._seeking = ""
        self._trouble = ""

    def compose(self) -> ComposeResult:
        yield RowsWidget(id="row-place")
        yield LongText(id="row-text")
        yield TokenView(id="row-tokens")

    def on_mount(self) -> None:
        """Begin with the text."""
        self.tokens.display = False

    @property
    def text(self) -> LongText:
        """The row as text."""
        return self.query_one(LongText)

    @property
    def tokens(self) -> TokenView:
        """The row as tokens."""
        return self.query_one(TokenView)

    @property
    def lines(self) -> LongText | TokenView:
        """What is shown now."""
        return self.tokens if self.what == "tokens" else self.text

    @property
    def part(self) -> str:
        """Which of the row's conversations is looked at."""
        parts = self.opened.parts if self.opened is not None else ("whole",)
        return parts[self._part % len(parts)]

    # what is looked at

    def use(self, opened: Opened | None) -> None:
        """Look at another set, from its first row; with the same one the row stays."""
        same = opened is not None and self.opened is not None and opened.name == self.opened.name
        self.opened = opened
        self._latest.forget()
        self._more.forget()
        self._seeks.forget()
        self._seeking = ""
        self._piece = None
        self._trouble = ""
        if not same:
            self.row = self._part = 0
            self.mark("")
        if opened is not None:
            self.known, self.complete = opened.known, opened.complete
            self.row = min(self.row, max(0, self.known - 1))
        self.refresh_row()

    def say(self, words: str) -> None:
        """No set is open: say why."""
        self.use(None)
        self._trouble = words
        self.refresh_row()

    def counted(self, known: int, complete: bool) -> None:
        """More rows are known."""
        first = self.known == 0 and known > 0
        self.known, self.complete = known, complete
        if first:
            self.refresh_row()
        else:
            self._draw_place()

    def show_as(self, what: What) -> None:
        """Look at the row in another way."""
        if what != self.what:
            self.what = what
            self.refresh_row()

    def step(self, by: int) -> None:
        """The next row in this direction."""
        self.go_to(self.row + by)

    def go_to(self, row: int) -> None:
        """Another row; stops at the first and the last that is known."""
        row = max(0, min(self.known - 1, row))
        if row != self.row:
            self.row = row
            self.refresh_row()

    def other_part(self) -> None:
        """The chosen answer, the rejected one, and round again."""
        self._part += 1
        self.refresh_row()

    def mark(self, words: str, *, go: bool = True) -> None:
        """Let these words stand out; without `go` in the next row only."""
        self.words = words
        self.text.mark(words, go=go)
        self.tokens.mark(words, go=go)

    def relabel(self) -> None:
        """Set every text again."""
        if self._piece is None or self._piece.problem is not None:
            self.refresh_row()
        self._draw_place()

    # fetching

    def refresh_row(self) -> None:
        """Fetch the beginning of what is looked at."""
        self.text.display = self.what != "tokens"
        self.tokens.display = self.what == "tokens"
        opened = self.opened
        self._more.forget()
        if opened is None or self.known == 0:
            self._piece = None
            nothing = text("data_screen.no_rows" if self.complete else "data_screen.counting")
            self.lines.clear(self._trouble if opened is None else nothing)
        elif self.what != "raw" and opened.no_tokens:
            self._piece = None
            self.lines.clear(text("data_screen.no_tokens", reason=opened.no_tokens))
        else:
            row, what, part = self.row, self.what, self.part
            self._latest.ask(
                lambda: self._client.view(row, what, part, 0, _FIRST[what]), self._take_first, self._failed
            )
        self._draw_place()
        self.post_message(self.Shown(self.row))

    def _take_first(self, piece: Piece) -> None:
        if piece.what != self.what:
            return
        self._piece = piece
        if piece.problem is not None and piece.what != "raw":
            problem = piece.problem
            self._have = 0
            self.lines.clear(text("data_screen.bad_row", title=problem.title, text=problem.text, hint=problem.hint))
        else:
            self._have = _length(piece)
            complete = self._have >= piece.total
            if piece.what == "tokens":
                self.tokens.start(piece.tokens, complete=complete)
            else:
                self.text.start(words_of_piece(piece), complete=complete)
        self._draw_place()

    def on_scrolled_lines_wanted(self, message: ScrolledLines.Wanted) -> None:
        """The next stretch of the row."""
        message.stop()
        piece, offset = self._piece, self._have
        if piece is None or message.sender is not self.lines:
            return
        row, what, part = piece.row, piece.what, piece.part

        def take(more: Piece) -> None:
            now = self._piece
            if now is None or (more.row, more.what, more.part) != (now.row, now.what, now.part):
                return
            if more.offset != self._have:
                return
            self._have += _length(more)
            # A worker that sends nothing more, although more was promised, must not be asked for ever.
            complete = self._have >= more.total or not _length(more)
            if what == "tokens":
                self.tokens.append(more.tokens, complete=complete)
            else:
                self.text.append(words_of_piece(more), complete=complete)

        self._more.ask(lambda: self._client.view(row, what, part, offset, _MORE), take, self._failed)

    def _failed(self, error: UserError) -> None:
        self._piece = None
        self.lines.clear(f"! {error}")
        self._draw_place()

    # searching

    @property
    def seeking(self) -> bool:
        """Whether a search goes on."""
        return bool(self._seeking)

    def search(self, words: str, *, backwards: bool = False, here: bool = False) -> None:
        """Go to the next row that holds these words, round over the end; `here` begins with this row."""
        if not words or self.opened is None:
            self.mark("")
            self._draw_place()
            return
        self.words = words
        first = self.row if here else self.row + (-1 if backwards else 1)
        self._seeking = text("data_screen.searching", words=words, rows=0)
        self._draw_place()

        def told(progress: Progress) -> None:
            self.call_later(self._told_search, words, progress)

        def read() -> tuple[int | None, bool]:
            found = self._client.search(words, first, backwards=backwards, told=told) if first >= 0 else None
            if found is not None or (first <= 0 and not backwards):
                return found, False
            around = self.known - 1 if backwards else 0
            return self._client.search(words, around, backwards=backwards, told=told), True

        self._seeks.ask(read, lambda found: self._take_found(words, *found), self._search_failed)

    def stop_search(self) -> None:
        """Give the search up."""
        self._seeks.forget()
        self._seeking = ""
        self._draw_place()
        read_in_background(self, lambda: self._client.cancel("search"), lambda _none: None)

    def locate(self, file: str, file_row: int, failed: Callable[[], None]) -> None:
        """Go to a row by its file and its number in it."""
        opened = self.opened
        if opened is None:
            return
        files, known = [path for path, _ in opened.files], self.known

        def take(row: int | None) -> None:
            if row is None:
                failed()
            else:
                self.go_to(row)

        self._seeks.ask(
            lambda: self._client.locate(files, file, file_row, known), take, lambda error: self._search_failed(error)
        )

    def _told_search(self, words: str, progress: Progress) -> None:
        if self._seeking and words == self.words:
            self._seeking = text("data_screen.searching", words=words, rows=count(progress.done))
            self._draw_place()

    def _take_found(self, words: str, row: int | None, around: bool) -> None:
        self._seeking = ""
        if row is None:
            self.notify(text("data_screen.not_found", words=words), severity="warning", markup=False)
        else:
            if around and row != self.row:
                self.notify(text("data_screen.found_around"), markup=False)
            self.known = max(self.known, row + 1)
            self.mark(words, go=row == self.row)
            self.go_to(row)
        self._draw_place()

    def _search_failed(self, error: UserError) -> None:
        self._seeking = ""
        if not isinstance(error, CancelledError):
            self.notify(str(error), severity="error", markup=False)
        self._draw_place()

    # the line above the row

    def on_resize(self) -> None:
        """The line has the width of the pane."""
        self._draw_place()

    def _draw_place(self) -> None:
        self.query_one("#row-place", RowsWidget).set_rows([self._place()])

    def _place(self) -> Row:
        width = self.size.width
        if self.opened is None:
            return ()
        if self._seeking:
            return ((f" {self._seeking}", "*accent"),)
        of = text(
            "data_screen.row_of" if self.complete else "data_screen.row_of_more",
            row=count(self.row + 1),
            rows=count(self.known),
        )
        words: list[Words] = [(f" {of} ", "*foreground")] if self.known else []
        piece = self._piece if self._piece is not None and self._piece.row == self.row else None
        if piece is None:
            return tuple(words)
        place = f"{Path(piece.file).name}:{piece.line or piece.file_row}"
        rest: list[Words] = []
        if len(self.opened.parts) > 1:
            rest.append((text("data_screen.part", part=text(f"data_screen.part_{piece.part}")), "*secondary"))
        if piece.problem is not None:
            rest.append((text("data_screen.left_out", title=piece.problem.title), "*error"))
        elif piece.what == "tokens":
            before, behind = fences()
            learned = f"{before}{text('data_screen.learned', tokens=count(piece.trained))}{behind}"
            rest.append((text("data_screen.tokens_of", tokens=count(piece.total)), "foreground"))
            rest.append((learned, "*success" if piece.trained else "*warning"))
            rest += [(said, "*warning") for said in _warnings(piece)]
        if piece.tag is not None:
            rest.append((text("data_screen.desirable" if piece.tag else "data_screen.undesirable"), "*secondary"))
        rest.append((place, "muted"))
        used = sum(cell_len(said) for said, _ in words)
        for said, role in rest:
            if used + cell_len(said) + 2 <= width:
                words.append((f" {said} ", role))
                used += cell_len(said) + 2
        return tuple(words)


def _warnings(piece: Piece) -> list[str]:
    found = []
    if piece.cut:
        found.append(text("data_screen.cut_from", tokens=count(piece.full_length)))
    if piece.end_lost:
        found.append(text("data_screen.end_lost"))
    elif not piece.has_end:
        found.append(text("data_screen.no_end"))
    return found


def _length(piece: Piece) -> int:
    return len(piece.tokens) if piece.what == "tokens" else len(piece.text)
