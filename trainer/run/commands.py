"""Commands from the cockpit to the trainer: numbered files, answered by events. Not for obeying them.

A command is `commands/00000001.json`, written beside and linked into place, so that it is whole when it appears and
no two senders get the same number. Numbers have no gaps, so the trainer only looks for the next one.

Which commands count: those sent after the trainer's process started. What was sent to a run whose trainer was dead
is not obeyed by the next one, hours later; the inbox journals it as refused.
"""

from __future__ import annotations

import getpass
import json
import os
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
        number = max(_numbers(folder), default=0)
        while True:
            number += 1
            with suppress(FileExistsError):
                _appear(temporary, _file(folder, number), data)
                sync_folder(folder)
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
    """The trainer's end: `poll` gives what is new, in the order of the numbers. Costs one look at a file name.

    What an earlier trainer answered or left lying is passed over; with `events`, the latter is journaled as refused.
    """

    def __init__(self, run: RunDirectory, events: EventWriter | None = None) -> None:
        self._folder = run.commands_folder
        self._events = events
        self._born = seconds_since_boot_at_start(os.getpid())
        self._born_wall = time.time() - (_since_boot() - self._born)
        self._answered = _answered_numbers(run.events_file)
        self._next = min(_numbers(self._folder), default=1)
        self._unreadable_since: float | None = None

    def poll(self) -> list[Command]:
        """New commands, oldest first; usually none."""
        found: list[Command] = []
        while True:
            file = _file(self._folder, self._next)
            try:
                data = file.read_bytes()
            except OSError:
                return found
            command = _decode(self._next, data)
            if command is None:
                if not self._give_up_on_unreadable():
                    return found
                self._refuse(Command(self._next, "?", {}), "cannot be read")
            elif command.number in self._answered:
                pass
            elif self._is_new(command):
                found.append(command)
            else:
                self._refuse(command, _TOO_OLD)
            self._unreadable_since = None
            self._next += 1

    def _is_new(self, command: Command) -> bool:
        if command.boot_id == boot_id():
            return command.since_boot >= self._born
        # Sent before a reboot, or from another machine on a shared disk.
        return command.time >= self._born_wall

    def _give_up_on_unreadable(self) -> bool:
        now = time.monotonic()
        if self._unreadable_since is None:
            self._unreadable_since = now
        return now - self._unreadable_since >= _UNREADABLE_SECONDS

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
    except (ValueError, KeyError, TypeError, AttributeError):
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
    return [int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdecimal()]


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())
