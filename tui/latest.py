"""Questions of one kind of which only the newest matters: a key held down asks often, and the worker answers once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from textual.message_pump import MessagePump

from trainer.errors import UserError
from tui.background import read_in_background

Found = TypeVar("Found")
_Question = tuple[Callable[[], Any], Callable[[Any], None], Callable[[UserError], None]]


class Latest:
    """At most one question is under way; while it is, only the newest further one waits."""

    def __init__(self, where: MessagePump) -> None:
        self._where = where
        self._busy = False
        self._waiting: _Question | None = None
        self._forgotten = 0

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._busy

    def forget(self) -> None:
        """What is under way is not wanted any more: its answer is dropped."""
        self._forgotten += 1
        self._waiting = None

    def ask(
        self, read: Callable[[], Found], take: Callable[[Found], None], failed: Callable[[UserError], None]
    ) -> None:
        """Call `read` in a thread, then `take` or `failed` in the loop.

        A question that waits gives its place to a newer one; the one under way is answered, so that somebody who holds
        a key down sees something.
        """
        if self._busy:
            self._waiting = (read, take, failed)
            return
        self._begin(read, take, failed)

    def _begin(self, read: Callable[[], Any], take: Callable[[Any], None], failed: Callable[[UserError], None]) -> None:
        self._busy = True
        number = self._forgotten

        def work() -> object:
            try:
                return read()
            except UserError as error:
                return error

        def answered(found: object) -> None:
            self._busy = False
            wanted = number == self._forgotten
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                self._begin(*waiting)
            if wanted and isinstance(found, UserError):
                failed(found)
            elif wanted:
                take(found)

        read_in_background(self._where, work, answered)
