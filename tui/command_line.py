"""The command line `trimtab`: reads the words, picks the command, turns errors into one line and an exit code.

Not for what a command does: that is in `tui/commands/`, one file per group, imported only when it is asked for.
Exit codes: 0 done; 1 it ran and the result is bad; 2 a mistake of usage or of a setting; 130 left with Ctrl-C.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from trainer.errors import UserError
from tui.locale import LANGUAGES, set_language, text

# Command -> the file in `tui/commands/` that has a function of the command's name (`import_preset` for `import`).
COMMANDS: dict[str, str] = {
    "demo": "demo",
    "train": "train",
    "resume": "train",
    "attach": "train",
    "runs": "runs",
    "status": "runs",
    "stop": "runs",
    "delete": "runs",
    "chat": "chat",
    "score": "score",
    "check": "check",
    "data": "data",
    "download": "download",
    "trust": "trust",
    "estimate": "estimate",
    "expand": "expand",
    "probe": "probe",
    "presets": "presets",
    "import": "import_export",
    "export-config": "import_export",
    "params": "params",
    "doctor": "doctor",
    "paths": "paths",
}
USAGE_EXIT = 2
INTERRUPTED_EXIT = 130
BROKEN_PIPE_EXIT = 141
# Errors of the machine that a user can mend; every other OSError is a bug and keeps its traceback.
_MACHINE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing but a bug leaves this function as an exception."""
    _open_what_is_closed()
    _forgive_odd_characters()
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    except BrokenPipeError:
        _close_quietly()
        return BROKEN_PIPE_EXIT
    except OSError as error:
        if error.errno == errno.ENOENT and _is_folder_gone():
            return _fail(text("command_line.folder_gone"))
        if error.errno not in _MACHINE_ERRORS:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _close_quietly()
        return _fail(f"{place}{error.strerror}")
    return code


def _run(words: list[str]) -> int:
    _choose_language(words)
    from tui.commands import arguments

    try:
        name, parsed = arguments.parse(words)
    except SystemExit as finished:  # argparse leaves this way after --help and --version
        return int(finished.code or 0)
    if name is None:
        return _open_cockpit()
    module = importlib.import_module(f"tui.commands.{COMMANDS[name]}")
    function = "import_preset" if name == "import" else name.replace("-", "_")
    command = cast(Callable[[Namespace], int], getattr(module, function))
    return command(parsed)


def _open_cockpit() -> int:
    from tui.commands import output

    if not output.on_terminal():
        from tui.commands.runs import overview

        return overview()
    from tui.cockpit import open_cockpit

    return open_cockpit()


def _choose_language(words: list[str]) -> None:
    """The language of this time, else of the environment, else of the settings, else of the locale."""
    if (chosen := _take_language(words)) is not None:
        # The cockpit and its workers read it here; a choice for this once is not stored.
        os.environ["TRIMTAB_LANGUAGE"] = chosen
    elif os.environ.get("TRIMTAB_LANGUAGE"):
        return  # the catalogue has looked there already
    else:
        from tui import settings

        chosen = settings.load().language
    if chosen in LANGUAGES:
        set_language(chosen)


def _take_language(words: list[str]) -> str | None:
    """Take `--language en|zh` out of the words, wherever it stands: the help itself is in that language."""
    for index, word in enumerate(words):
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if name != "--language":
            continue
        chosen = value if equals else words[index + 1] if index + 1 < len(words) else ""
        if chosen not in LANGUAGES:
            expected = text("command_line.expected_language", choices=", ".join(LANGUAGES))
            raise UserError(expected, field="--language", value=chosen)
        del words[index : index + (1 if equals else 2)]
        return chosen
    return None


def _is_folder_gone() -> bool:
    """Whether the folder that the command was started in has been deleted."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _fail(message: str) -> int:
    from tui.commands import output

    with contextlib.suppress(OSError):
        print(output.harmless(text("command_line.error", message=message)), file=sys.stderr)
    return USAGE_EXIT


def _open_what_is_closed() -> None:
    """Started with `>&-` there is no standard output: what is printed goes nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # In this order each gets the number that was free, so that no file of ours becomes standard output.
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - open until the process ends


def _forgive_odd_characters() -> None:
    """A terminal or file that cannot take a character gets "?" instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _close_quietly() -> None:
    """Point standard output at nothing, so that the interpreter's last flush does not complain again."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # a replaced stream without a descriptor has nothing to flush
        return
