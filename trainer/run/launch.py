"""Starting the background process of a run, so that nothing which happens to the cockpit reaches it.

Not for what the process does: that is `python -m trainer train`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import trainer
from trainer.errors import UserError
from trainer.run.directory import RunDirectory
from trainer.run.lock import RunLock
from trainer.run.process import identify
from trainer.run.status import RunState, read_status, write_launch_status

# SIGHUP is ignored from the first moment, and stays ignored through exec. A shell does that without running Python
# in a forked copy of a process that has threads; it becomes the trainer, so the pid stays.
_IGNORE_HANGUP = ("/bin/sh", "-c", 'trap "" HUP; exec "$@"', "trimtab")
_ENDING_SECONDS = 10.0
_TRAINER = (sys.executable, "-P", "-m", "trainer", "train")


def launch(run: RunDirectory, *, resume: bool = False, program: Sequence[str] = _TRAINER) -> int:
    """Start the trainer of `run` in a session of its own; its pid. Output goes to the run's log.

    `program` is what gets the run's path, and `--resume`, as its arguments.
    Raises: UserError when the run is going already, has nothing left to do, or cannot be started.
    """
    if read_status(run) is not None and run.state().alive:
        raise UserError(f"run {run.name} is going already", hint=f"Watch it with `trimtab attach {run.name}`")
    if resume and run.state() is RunState.FINISHED:
        raise UserError(
            f"run {run.name} is finished: there is nothing to go on with",
            hint="Start a new run with more steps; resume_from_checkpoint takes up its newest checkpoint",
        )
    command = [*program, str(run.path), *(["--resume"] if resume else [])]
    folder = Path(run.identity().working_folder)
    try:
        # A trainer that has said its end may still be writing its last status: it must not come after ours.
        with RunLock(run, patience=_ENDING_SECONDS):
            write_launch_status(run)
        child = detached(command, run.log_file, folder, TRIMTAB_RUN_DIRECTORY=str(run.path))
        status = read_status(run)
        if status is not None and status.pid == 0:
            write_launch_status(run, process=identify(child.pid))
    except OSError as error:
        with suppress(OSError):
            write_launch_status(run, failure=f"cannot start the trainer: {error.strerror}")
        raise UserError(f"cannot start the trainer: {error.strerror}", file=error.filename or run.path) from error
    # Reaps the child: a zombie would keep its pid, and look alive to others. When the cockpit ends first, init does it.
    threading.Thread(target=child.wait, name="trimtab-reaper", daemon=True).start()
    return child.pid


def detached(program: Sequence[str], log: Path, folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a program that nothing reaches which happens to this process; its output goes to `log`.

    Raises:
        OSError: when it cannot be started.
    """
    with open(log, "ab", opener=_private) as output:
        return subprocess.Popen(
            [*_IGNORE_HANGUP, *program],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            close_fds=True,
            umask=0o077,
            cwd=folder if folder.is_dir() else None,
            env={**_environment(), **environment},
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    environment.update(
        PYTHONUNBUFFERED="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        TRL_EXPERIMENTAL_SILENCE="1",
    )
    package = Path(trainer.__file__).resolve().parent.parent
    if not {"site-packages", "dist-packages"} & set(package.parts):
        # From a checkout, installed or not, the trainer is the one that the cockpit was imported from.
        before = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = os.pathsep.join([str(package), before] if before else [str(package)])
    return environment
