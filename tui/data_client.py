"""The data worker seen from the Data screen: `python -m trainer data`, JSON lines (docs/data-worker-protocol.md).

All methods wait for their answer: call them in a thread. Knows nothing of textual. A worker that ended is started again
by the next question, with the same set open.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trainer.errors import UserError
from tui import data_answers
from tui.data_answers import Listing, Opened, Piece, Progress, Report, What
from tui.locale import text
from tui.worker_process import RefusedError, Reply, WorkerOnDemand

Recipe = Mapping[str, object]
"""Tables of a recipe, as in a preset."""
Told = Callable[[Progress], None]
"""Gets how far a long request is, in the thread that asked."""


class CancelledError(UserError):
    """The request was given up, because somebody asked for it."""


@dataclass(frozen=True)
class Indexed:
    """How many rows of the open set are known so far."""

    known: int
    complete: bool


class DataClient:
    """A data worker process. `indexed` is called in a thread of ours while the rows of a set are being counted."""

    def __init__(
        self, command: Sequence[str] | None = None, indexed: Callable[[str, Indexed], None] | None = None
    ) -> None:
        command = command or (sys.executable, "-P", "-m", "trainer", "data")
        self.worker = WorkerOnDemand(command, "data_screen", self._take_unasked)
        self._indexed = indexed
        self._open_request: dict[str, object] | None = None
        self._open_number = 0
        self._open_name = ""
        self._numbers: dict[str, int] = {}
        """The request of each kind that is under way, for those that may be cancelled."""

    def sets(self, recipe: Recipe) -> Listing:
        """All registered sets of the recipe's `dataset_dir`.

        Raises (as all methods here):
            UserError: the worker refused, or ended.
        """
        return data_answers.listing(self._ask("list", {"recipe": recipe}, "listed"))

    def open(
        self,
        name: str,
        recipe: Recipe,
        *,
        entry: Mapping[str, object] | None = None,
        download: bool = False,
        told: Told | None = None,
    ) -> Opened:
        """Open a set, in place of the one that was open; `entry` reads its rows in another way.

        Raises:
            RefusedError: with the code `not_downloaded` for a set of the hub that is not here, unless `download`.
        """
        request: dict[str, object] = {"set": name, "recipe": recipe}
        if entry is not None:
            request["entry"] = entry
        self._open_request, self._open_name = None, name
        answer = self._ask("open", {**request, "download": download}, "opened", told)
        self._open_request = request
        return data_answers.opened(answer)

    def view(self, row: int, what: What, part: str, offset: int, count: int) -> Piece:
        """A stretch of a row of the open set."""
        request = {"row": row, "what": what, "part": part, "offset": offset, "count": count}
        return data_answers.piece(self._ask("view", request, "view"))

    def locate(self, files: Sequence[str], file: str, file_row: int, known: int) -> int | None:
        """The number of the row that is the `file_row`th (from 1) of `file`; None when it is not among the known ones.

        Rows stand in the order of `files`, so that about twenty questions find one among a million.
        """
        order = {name: number for number, name in enumerate(files)}
        if file not in order:
            return None
        wanted, low, high = (order[file], file_row), 0, known
        while low < high:
            middle = (low + high) // 2
            rows = self._ask("rows", {"first": middle, "count": 1}, "rows").get("rows")
            row = rows[0] if isinstance(rows, list) and rows else None
            if not isinstance(row, dict):
                return None
            here = (order.get(str(row.get("file")), -1), int(row.get("row") or 0))
            if here == wanted:
                return middle
            low, high = (middle + 1, high) if here < wanted else (low, middle)
        return None

    def search(self, words: str, first: int, *, backwards: bool = False, told: Told | None = None) -> int | None:
        """The next row of the open set, from `first` on, that holds `words`; None when there is none."""
        request = {"text": words, "first": first, "backwards": backwards}
        row = self._ask("search", request, "found", told).get("row")
        return row if isinstance(row, int) else None

    def check(self, sets: Sequence[str], recipe: Recipe, told: Told | None = None) -> Report:
        """Convert, render and tokenize every row of these sets."""
        return data_answers.report(self._ask("check", {"sets": list(sets), "recipe": recipe}, "checked", told))

    def register(self, name: str, entry: Mapping[str, object], dataset_dir: str, *, replace: bool = False) -> str:
        """Write an entry into `dataset_info.json`; gives that file.

        Raises:
            RefusedError: with the code `exists` when the name is taken, unless `replace`.
        """
        request = {"name": name, "entry": entry, "dataset_dir": dataset_dir, "replace": replace}
        return str(self._ask("register", request, "registered").get("file") or "")

    def templates(self) -> tuple[str, ...]:
        """The names of all chat templates."""
        found = self._ask("templates", {}, "templates").get("templates")
        return tuple(str(one.get("name")) for one in found if isinstance(one, dict)) if isinstance(found, list) else ()

    def cancel(self, verb: str) -> None:
        """Give the request of this kind up that is under way; whoever waits for it gets a CancelledError."""
        number, worker = self._numbers.get(verb), self.worker.current
        if number is not None and worker is not None and worker.alive:
            worker.send({"do": "cancel", "id": number})

    def _ask(self, verb: str, arguments: Mapping[str, object], event: str, told: Told | None = None) -> Reply:
        try:
            return self._ask_once(verb, arguments, event, told)
        except RefusedError as refusal:
            request = self._open_request
            if refusal.code != "nothing_open" or request is None or verb == "open":
                raise
        # The worker that held the set has ended since, and this one is new.
        self._ask_once("open", request, "opened", None)
        return self._ask_once(verb, arguments, event, told)

    def _ask_once(self, verb: str, arguments: Mapping[str, object], event: str, told: Told | None) -> Reply:
        worker = self.worker.living()

        def started(number: int) -> None:
            self._numbers[verb] = number
            if verb == "open":
                self._open_number = number

        with worker.request(verb, arguments, started) as replies:
            for reply in replies:
                if reply.get("event") == event:
                    return reply
                if reply.get("event") == "cancelled":
                    raise CancelledError(text("data_screen.cancelled"))
                if reply.get("event") == "progress" and told is not None:
                    told(data_answers.progress(reply))
                elif reply.get("event") == "indexed":
                    self._take_unasked(reply)
        raise AssertionError("replies end with an answer or an error")

    def _take_unasked(self, reply: Reply) -> None:
        """In the reader's thread: only the count of rows comes unasked."""
        if reply.get("event") == "indexed" and reply.get("id") == self._open_number and self._indexed is not None:
            known = reply.get("known")
            counted = Indexed(known if isinstance(known, int) else 0, reply.get("complete") is True)
            self._indexed(self._open_name, counted)
