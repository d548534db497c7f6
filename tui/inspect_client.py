"""The inspect worker seen from Setup: `python -m trainer inspect`, JSON lines (docs/inspect-worker-protocol.md).

`ask` waits: call it in a thread. The newest question is answered; older ones get nothing. A worker that ended is
started again by the next question. Knows nothing of textual and nothing of torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tui.forms.outlook import Outlook, outlook, ways_out
from tui.worker_process import WorkerOnDemand


class InspectClient:
    """A worker that answers "will it fit?"; started by the first question."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self.worker = WorkerOnDemand(command or (sys.executable, "-P", "-m", "trainer", "inspect"), "estimate")

    def ask(self, recipe: Mapping[str, object], length: int | None, told: Callable[[Outlook], None]) -> None:
        """Ask for a resolved recipe; `told` gets the answer, and again with each way out when it does not fit.

        Raises:
            UserError: the worker refused, or ended.
        """
        with self.worker.living().request("estimate", {"recipe": recipe, "length": length}) as replies:
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
