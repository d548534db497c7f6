"""Asks a worker process one thing: `python -m trainer <verb>`, a request on stdin, a JSON object on stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from trainer.errors import UserError
from tui.locale import text
from tui.worker_process import worker_environment


def ask_worker(verb: str, request: str, failed: str) -> dict[str, Any]:
    """The worker's answer; `failed` is the key of the text for a worker that ended without one (`{problem}`).

    Raises:
        UserError: the worker refused, in its own words, or failed.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", "trainer", verb],
        input=request,
        capture_output=True,
        text=True,
        check=False,
        env=worker_environment(),
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(text(failed, problem=last)) from error
    if "error" in found:
        raise UserError(str(found["error"]))
    return found
