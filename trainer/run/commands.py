"""Commands from the cockpit to the trainer: numbered files, answered by events. Not for obeying them.

A command is `commands/00000001.json`, written beside and linked into place, so that it is whole when it appears and
no two senders get the same number. Numbers go up by one, so the trainer only looks for the next one; where that is
missing or cannot be read while there are higher ones, it is passed over after a moment. `.last-command`, beside the
folder, remembers the highest number when files are removed: no number is used twice.

Which commands count: those sent after the trainer's process started. What was sent to a run whose trainer was dead
is not obeyed by the next one, hours later; the inbox journals it as refused.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.errors import UserError
from trainer.run.events import CommandResultEvent, decode_event, decode_line
from trainer.run.files import sync_folder
from trainer.run.process import boot_id, seconds_since_boot_at_start

if TYPE_CHECKING:
    from trainer.run.directory import RunDirectory
    from trainer.run.journal import EventWriter

VERBS = ("stop", "pause", "resume", "save", "evaluate", "sample", "set", "note")
SETTABLE = (
    "learning_rate",
    "learning_rate_scale",
    "max_grad_norm",
    "weight_decay",
    "logging_steps",
    "eval_steps",
    "save_steps",
    "max_steps",
    "num_train_epochs",
)
_UNREADABLE_SECONDS = 2.0
_LAST_NUMBER = ".last-command"
_LAST_NUMBER_TAIL = 4096  # bytes; one number a line, so that senders at the same time need no lock
_COMMAND_FILE = re.compile(r"(\d{8}|[1-9]\d{8,17})\.json", re.ASCII)
_TOO_OLD = "sent while no trainer was running"


@dataclass(frozen=True)
class Command:
    """What somebody asked of the trainer. `time` in wall seconds; `author` is user@pid of the sender.

    `since_boot` is the moment of sending on CLOCK_BOOTTIME of boot `boot_id`.
    """

    number: int
    verb: str
    arguments: dict[str, Any]
    time: float = 0.0
    author: str = ""
    since_boot: float = 0.0
    boot_id: str = ""


def send_command(folder: Path, verb: str, arguments: Mapping[str, Any]) -> int:
    """Drop a command into `folder`; its number. Raises: UserError for what is no command, or a disk that refuses."""
    if verb not in VERBS:
        raise UserError(f"is not a command; there are {', '.join(VERBS)}", field="command", value=verb)
    if verb == "set" and arguments.get("name") not in SETTABLE:
        raise UserError(
            f"cannot be changed while a run is going; these can: {', '.join(SETTABLE)}",
            field="name",
            value=arguments.get("name"),
        )
    record = {
        "verb": verb,
        "arguments": dict(arguments),
        "time": time.time(),
        "author": f"{_user()}@{os.getpid()}",
        "since_boot": _since_boot(),
        "boot_id": boot_id(),
    }
    try:
        data = json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        folder.mkdir(mode=0o700, exist_ok=True)
        return _drop(folder, data)
    except (TypeError, ValueError) as error:
        raise UserError(f"cannot be sent: {error}", field=verb) from error
    except OSError as error:
        raise UserError(f"cannot send the command: {error.strerror}", file=folder) from error


def _drop(folder: Path, data: bytes) -> int:
    temporary = folder / f".new-{os.getpid()}-{time.monotonic_ns()}"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        number = max([_last_number(folder), *_numbers(folder)])
        while True:
            number += 1
            with suppress(FileExistsError):
                _appear(temporary, _file(folder, number), data)
                sync_folder(folder)
                _remember_number(folder, number)
                return number
    finally:
        with suppress(OSError):
            temporary.unlink()


def _appear(temporary: Path, final: Path, data: bytes) -> None:
    """Give the file its name, unless somebody else has it. Raises: FileExistsError."""
    try:
        os.link(temporary, final)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: the reader waits a moment for a file that is not whole yet.
        with final.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


class CommandInbox:
    """The trainer's end: `poll` gives what is new, in the order of the numbers. Costs one look at a file name,
    and now and then a listing.

    What an earlier trainer answered or left lying is passed over; with `events`, the latter is journaled as refused.
    """

    def __init__(self, run: RunDirectory, events: EventWriter | None = None) -> None:
        self._folder = run.commands_folder
        self._events = events
        self._born = seconds_since_boot_at_start(os.getpid())
        self._born_wall = time.time() - (_since_boot() - self._born)
        self._answered = _answered_numbers(run.events_file)
        present = _numbers(self._folder)
        self._next = min(present, default=max(self._answered, default=0) + 1)
        highest = max([0, *present, *self._answered])
        if highest > _last_number(self._folder):
            _remember_number(self._folder, highest)
        self._held_up_since: float | None = None
        self._next_listing = 0.0

    def poll(self) -> list[Command]:
        """New commands, oldest first; usually none."""
        found: list[Command] = []
        while True:
            command = self._look()
            if command is None:
                if not self._pass_over():
                    return found
                continue
            if command.number in self._answered:
                pass
            elif self._is_new(command):
                found.append(command)
            else:
                self._refuse(command, _TOO_OLD)
            self._go_on_at(command.number + 1)

    def _look(self) -> Command | None:
        file = _file(self._folder, self._next)
        try:
            # Reading a pipe would wait for ever.
            return _decode(self._next, file.read_bytes()) if file.is_file() else None
        except OSError:
            return None

    def _pass_over(self) -> bool:
        """Go behind a file that cannot be read, or a gap, once it held up the commands for a moment."""
        now = time.monotonic()
        if now < self._next_listing:
            return False
        self._next_listing = now + _UNREADABLE_SECONDS / 4
        ahead = [number for number in _numbers(self._folder) if number >= self._next]
        if not ahead:
            self._held_up_since = None
            return False
        if self._held_up_since is None:
            self._held_up_since = now
        if now - self._held_up_since < _UNREADABLE_SECONDS:
            return False
        if self._next in ahead:
            if self._next not in self._answered:
                self._refuse(Command(self._next, "?", {}), "cannot be read")
            self._go_on_at(self._next + 1)
        else:
            self._go_on_at(min(ahead))
        return True

    def _go_on_at(self, number: int) -> None:
        self._next = number
        self._held_up_since = None
        self._next_listing = 0.0

    def _is_new(self, command: Command) -> bool:
        if command.boot_id == boot_id():
            return command.since_boot >= self._born
        # Sent before a reboot, or from another machine on a shared disk.
        return command.time >= self._born_wall

    def _refuse(self, command: Command, why: str) -> None:
        if self._events is not None:
            self._events.write(
                CommandResultEvent(command.number, command.verb, command.arguments, 0, accepted=False, text=why)
            )


def read_commands(run: RunDirectory) -> list[Command]:
    """All commands ever sent to a run, answered or not, by number."""
    commands: list[Command] = []
    for number in sorted(_numbers(run.commands_folder)):
        with suppress(OSError):
            command = _decode(number, _file(run.commands_folder, number).read_bytes())
            if command is not None:
                commands.append(command)
    return commands


def _decode(number: int, data: bytes) -> Command | None:
    try:
        record = json.loads(data)
        return Command(
            number=number,
            verb=str(record["verb"]),
            arguments=dict(record["arguments"]),
            time=float(record.get("time", 0.0)),
            author=str(record.get("author", "")),
            since_boot=float(record.get("since_boot", 0.0)),
            boot_id=str(record.get("boot_id", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _answered_numbers(events_file: Path) -> set[int]:
    """The commands that were answered before. Only lines that may be answers are decoded."""
    answered: set[int] = set()
    try:
        file = events_file.open("rb")
    except OSError:
        return answered
    with file:
        for line in file:
            if b'"command-result"' not in line:
                continue
            record = decode_line(line)
            event = None if record is None else decode_event(record)
            if isinstance(event, CommandResultEvent):
                answered.add(event.number)
    return answered


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.json"


def _numbers(folder: Path) -> list[int]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a listing of names alone, taken at every command
    except OSError:
        return []
    return [int(name[:-5]) for name in names if _COMMAND_FILE.fullmatch(name)]


def _last_number(folder: Path) -> int:
    """The highest number that was ever given out, as far as it is known; 0 when it is not."""
    try:
        with (folder.parent / _LAST_NUMBER).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_NUMBER_TAIL))
            # The first line of a tail may be half a number, which is only smaller.
            return max((int(line) for line in file.read().split() if line.isdigit()), default=0)
    except (OSError, ValueError):
        return 0


def _remember_number(folder: Path, number: int) -> None:
    with suppress(OSError):
        descriptor = os.open(folder.parent / _LAST_NUMBER, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"%d\n" % number)
        finally:
            os.close(descriptor)


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())
