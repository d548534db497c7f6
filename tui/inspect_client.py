"""The inspect worker seen from Setup: `python -m trainer inspect`, JSON lines (docs/inspect-worker-protocol.md).

`ask` waits: call it in a thread. The newest question is answered; older ones get nothing. A worker that ended is
started again by the next question. Knows nothing of textual and nothing of torch.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from trainer.errors import UserError
from tui.forms.outlook import Outlook, outlook, ways_out
from tui.locale import text
from tui.worker_process import WorkerProcess


class InspectClient:
    """A worker that answers "will it fit?"; started by the first question."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = tuple(command or (sys.executable, "-P", "-m", "trainer", "inspect"))
        self._worker: WorkerProcess | None = None
        self._starting = threading.Lock()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The worker's process id; None when none was started."""
        return None if self._worker is None else self._worker.process.pid

    def start(self) -> None:
        """Start the process, so that its imports are done when the first question comes.

        Raises:
            UserError: it cannot be started.
        """
        self._living()

    def ask(self, recipe: Mapping[str, object], length: int | None, told: Callable[[Outlook], None]) -> None:
        """Ask for a resolved recipe; `told` gets the answer, and again with each way out when it does not fit.

        Raises:
            UserError: the worker refused, or ended.
        """
        with self._living().request("estimate", {"recipe": recipe, "length": length}) as replies:
            seen: Outlook | None = None
            for reply in replies:
                event = reply.get("event")
                if event == "estimate":
                    seen = outlook(reply)
                    told(replace(seen, searching=seen.verdict in ("tight", "no")))
                elif event == "savings" and seen is not None:
                    complete = bool(reply.get("complete", True))
                    if seen.verdict in ("tight", "no"):
                        told(replace(seen, ways_out=ways_out(reply), searching=not complete))
                    if complete:
                        return
                elif event == "dropped":
                    return

    def close(self) -> None:
        """End the worker. Whoever waits for an answer gets a UserError."""
        with self._starting:
            self._closed = True
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()

    def _living(self) -> WorkerProcess:
        with self._starting:
            if self._closed:
                raise UserError(text("estimate.closed"))
            if self._worker is None or not self._worker.alive:
                if self._worker is not None:
                    self._worker.end()
                self._worker = WorkerProcess(self._command, "estimate")
            return self._worker
