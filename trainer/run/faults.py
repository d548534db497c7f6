"""Places at which a test may kill the process, to prove that what it leaves behind is whole. Not used outside tests.

`TRIMTAB_FAULT="checkpoint:before-rename"` kills the process with SIGKILL when it reaches that point;
`TRIMTAB_FAULT="checkpoint:before-rename@2"` lets it pass once and kills it the second time.

Points of a save, each passed once: `checkpoint:before-staging`, `checkpoint:mid-file` (one file is on the disk, the
others perhaps not), `checkpoint:before-manifest`, `checkpoint:before-rename`, `checkpoint:mid-replace` (only when a
step is saved again), `checkpoint:after-rename`, `checkpoint:before-rotate`. Whoever fills a checkpoint may add its own.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

CHECKPOINT_POINTS = (
    "checkpoint:before-staging",
    "checkpoint:mid-file",
    "checkpoint:before-manifest",
    "checkpoint:before-rename",
    "checkpoint:after-rename",
    "checkpoint:before-rotate",
)

_passed: Counter[str] = Counter()


def fault_point(name: str) -> None:
    """Die here by SIGKILL when `TRIMTAB_FAULT` names this point; otherwise cost one look at the environment."""
    wanted = os.environ.get("TRIMTAB_FAULT")
    if not wanted:
        return
    point, _, count = wanted.partition("@")
    if point != name:
        return
    _passed[name] += 1
    if _passed[name] >= int(count or 1):
        os.kill(os.getpid(), signal.SIGKILL)
