"""Reading the disk without holding up a key press, or the way out. Not for work that must finish."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from textual.message_pump import MessagePump

Found = TypeVar("Found")


def read_in_background(where: MessagePump, read: Callable[[], Found], take: Callable[[Found], None]) -> None:
    """Call `read` in a thread, then `take` with what it found in the loop of `where`, if that is still there.

    What `read` raises is raised in the loop: a thread would print it over the screen. A daemon thread, where Textual's
    own workers would be waited for: a checkpoint of 100 GB takes minutes to verify.
    """

    def work() -> None:
        try:
            found = read()
        except Exception as error:
            where.call_later(_raise, error)
        else:
            where.call_later(take, found)

    threading.Thread(target=work, name="reader", daemon=True).start()


def _raise(error: Exception) -> None:
    raise error
