"""Which process is it, and does it live? By pid, start time and boot, because pids are used again. Linux only."""

from __future__ import annotations

import functools
import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessIdentity:
    """One process, told apart from any other that ever had its pid.

    `start` is field 22 of /proc/<pid>/stat, in clock ticks since boot. `namespace` names the pid namespace, since a
    pid of a container means nothing outside of it.
    """

    pid: int
    start: int
    boot_id: str
    host: str
    namespace: str


def this_process() -> ProcessIdentity:
    """The identity of the calling process."""
    return identify(os.getpid())


def identify(pid: int) -> ProcessIdentity:
    """The identity of a process of this machine; `start` is 0 when it is gone already."""
    found = _stat(pid)
    return ProcessIdentity(pid, found[1] if found else 0, boot_id(), socket.gethostname(), _namespace())


def is_alive(process: ProcessIdentity) -> bool | None:
    """True or False where it can be known from here; None for a process of another machine or container.

    A zombie is dead: it computes nothing any more. So is a process of an earlier boot of this host.
    """
    if process.boot_id != boot_id():
        return False if process.host == socket.gethostname() else None
    if process.namespace and process.namespace != _namespace():
        return None
    found = _stat(process.pid)
    return found is not None and found[0] not in "ZXx" and found[1] == process.start


def seconds_since_boot_at_start(pid: int) -> float:
    """When a process was started, in seconds of CLOCK_BOOTTIME; 0.0 when it is gone."""
    found = _stat(pid)
    return found[1] / os.sysconf("SC_CLK_TCK") if found else 0.0


@functools.cache
def boot_id() -> str:
    """The kernel's name for this boot; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@functools.cache
def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, int] | None:
    """State letter and start time in ticks; None when there is no such process."""
    if pid <= 0:
        return None
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The command name stands in parentheses and may itself hold blanks and parentheses.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
