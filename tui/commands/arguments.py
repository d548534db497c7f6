"""The words of the command line: one argparse parser per command, with its help in the language in force.

Not for acting on them. Every command has a parser of its own, because `key=value` words and options may then stand in
any order (`train demo --detach lora_rank=4`), which argparse's subparsers cannot do.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Sequence

import trainer
from trainer.errors import UserError
from tui.command_line import COMMANDS
from tui.locale import text

_GROUPS = {
    "start": ("demo", "train", "resume"),
    "watch": ("attach", "runs", "status", "stop", "delete"),
    "talk": ("chat", "score"),
    "prepare": (
        "check",
        "data",
        "download",
        "trust",
        "estimate",
        "probe",
        "presets",
        "expand",
        "import",
        "export-config",
        "params",
        "doctor",
        "paths",
    ),
}
# Stands before words that must not be taken for options; no word of a command line can hold it.
_SHIELD = "\0"


class _Help(argparse.HelpFormatter):
    """argparse's layout, with lines measured in terminal cells, so that Chinese help fits too."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        from tui.commands.output import wrap

        return wrap(text, width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        from tui.commands.output import wrap

        lines = [line for part in text.splitlines() for line in (wrap(part, width - len(indent)) or [""])]
        return "\n".join(indent + line for line in lines)

    def add_usage(
        self,
        usage: str | None,
        actions: object,
        groups: object,
        prefix: str | None = None,
    ) -> None:
        label = text("command_line.usage") if prefix is None else prefix
        super().add_usage(usage, actions, groups, label)  # type: ignore[arg-type]


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are UserErrors, and whose own words come from the catalogue."""

    def __init__(self, command: str) -> None:
        self.command = command
        super().__init__(
            prog=f"trimtab {command}".strip(),
            description=self._own_help("help") if command else _help("about"),
            formatter_class=_Help,
            add_help=False,
            allow_abbrev=False,
        )
        self.words = self.add_argument_group(text("command_line.group_arguments"))
        self.options = self.add_argument_group(text("command_line.group_options"))
        self.options.add_argument("-h", "--help", action="help", help=_help("option_help"))

    def word(self, name: str, metavar: str, *, nargs: str | None = None) -> None:
        """Add a positional word; its help is `<command>_<name>` in the catalogue; of `data <action>`, `<action>_<name>`
        among the texts of data commands.
        """
        self.words.add_argument(name, metavar=metavar, nargs=nargs, help=self._own_help(name))

    def settings(self) -> None:
        """Add the `key=value` words."""
        self.words.add_argument("settings", metavar="key=value", nargs="*", default=(), help=_help("settings"))

    def flag(self, name: str) -> None:
        """Add an option without a value; its help is `<command>_option_<name>`, or the shared `option_<name>`."""
        self.options.add_argument(f"--{name}", action="store_true", help=self._option_help(name))

    def option(self, name: str, metavar: str, *, short: str | None = None, required: bool = False) -> None:
        """Add an option with a text value."""
        names = (f"--{name}",) if short is None else (short, f"--{name}")
        self.options.add_argument(*names, metavar=metavar, required=required, help=self._option_help(name))

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """The arguments; words and options stand in any order, and behind `--` all are words.

        Raises: UserError for unknown options, and for words missing or too many.
        """
        # Left to itself, parse_intermixed_args cuts the first seven letters, "usage: ", off our usage line in any
        # language, and forgets that it met a "--".
        self.usage = self.format_usage().removeprefix(text("command_line.usage")).strip()
        end = list(words).index("--") if "--" in words else len(words)
        shielded = [*words[:end], *(_SHIELD + word for word in words[end + 1 :])]
        parsed = self.parse_intermixed_args(shielded)
        for name, value in vars(parsed).items():
            if isinstance(value, list):
                setattr(parsed, name, [word.removeprefix(_SHIELD) for word in value])
            elif isinstance(value, str):
                setattr(parsed, name, value.removeprefix(_SHIELD))
        return parsed

    def _option_help(self, name: str) -> str:
        if name == "json":
            return _help("option_json")
        return self._own_help(f"option_{name}".replace("-", "_"))

    def _own_help(self, name: str) -> str:
        group, _, action = self.command.partition(" ")
        return _help(f"{action}_{name}", f"{group}_commands") if action else _help(f"{group}_{name}".replace("-", "_"))

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise instead of printing the usage: one line, with the place to look."""
        raise UserError(message.replace(_SHIELD, ""), hint=text("command_line.see_help", command=self.prog))


def _help(name: str, area: str = "command_line") -> str:
    return text(f"{area}.{name}").replace("%", "%%")


def parse(words: Sequence[str]) -> tuple[str | None, argparse.Namespace]:
    """The command's name (None: none was given) and its arguments.

    Raises:
        UserError: unknown command or option, a word missing or too many.
        SystemExit: after `--help` or `--version` printed their text.
    """
    if not words or words[0].startswith("-"):
        found = _top().parse_args(list(words))
        return None, found
    name = words[0]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
        hint = text("command_line.near_command", name=near[0]) if near else text("command_line.see_commands")
        raise UserError(text("command_line.unknown_command", name=name), hint=hint)
    if name == "data":
        from tui.commands import data_arguments

        return name, data_arguments.parse(words[1:], Parser)
    return name, command_parser(name).parse(words[1:])


def command_parser(name: str) -> Parser:
    """The parser of one command."""
    parser = Parser(name)
    _FILL[name](parser)
    return parser


def _top() -> Parser:
    parser = Parser("")
    parser.usage = text("command_line.top_usage")
    parser.options.add_argument(
        "--version", action="version", version=f"trimtab {trainer.__version__}", help=_help("option_version")
    )
    # `--language` is taken out of the words before any parser sees them; here it is for the help only.
    parser.options.add_argument("--language", metavar="en|zh", help=_help("option_language"))
    for group, names in _GROUPS.items():
        section = parser.add_argument_group(text(f"command_line.group_{group}"))
        for name in names:
            section.add_argument(name, nargs="?", help=_help(f"{name}_summary".replace("-", "_")))
    parser.epilog = text("command_line.epilog")
    return parser


def _demo(parser: Parser) -> None:
    parser.flag("headless")
    parser.option("name", "NAME")


def _train(parser: Parser) -> None:
    parser.word("preset", "PRESET")
    parser.settings()
    parser.option("name", "NAME")
    parser.flag("detach")


def _resume(parser: Parser) -> None:
    parser.word("run", "RUN")
    parser.settings()
    parser.flag("detach")


def _attach(parser: Parser) -> None:
    parser.word("run", "RUN", nargs="?")
    parser.flag("plain")


def _runs(parser: Parser) -> None:
    parser.flag("json")


def _status(parser: Parser) -> None:
    parser.word("run", "RUN", nargs="?")
    parser.flag("json")
    parser.flag("watch")


def _stop(parser: Parser) -> None:
    parser.word("run", "RUN")
    parser.flag("now")


def _delete(parser: Parser) -> None:
    parser.word("run", "RUN")
    parser.flag("yes")


def _chat(parser: Parser) -> None:
    parser.word("target", "RUN|CHECKPOINT|MODEL", nargs="?")
    parser.settings()
    parser.flag("base")
    parser.option("prompt", "TEXT")
    parser.option("system", "TEXT")


def _score(parser: Parser) -> None:
    parser.word("target", "RUN|CHECKPOINT")
    parser.word("answers", "ANSWER", nargs="*")
    parser.option("prompt", "TEXT")
    parser.option("file", "FILE|SET")
    parser.option("system", "TEXT")
    parser.flag("json")


def _expand(parser: Parser) -> None:
    parser.word("model", "MODEL")
    parser.word("out", "OUT")
    parser.option("num-expand", "N", required=True)
    parser.flag("json")


def _check(parser: Parser) -> None:
    parser.word("preset", "PRESET")
    parser.settings()
    parser.flag("json")


def _import(parser: Parser) -> None:
    parser.word("file", "FILE")
    parser.option("output", "FILE", short="-o")
    parser.flag("replace")


def _export_config(parser: Parser) -> None:
    parser.word("preset", "PRESET")
    parser.settings()
    parser.flag("llamafactory")
    parser.option("output", "FILE", short="-o")
    parser.flag("replace")


def _download(parser: Parser) -> None:
    parser.word("model", "MODEL|PRESET")
    parser.option("hub", "huggingface|modelscope")
    parser.option("revision", "REVISION")
    parser.option("cache-dir", "FOLDER")
    parser.flag("refresh")
    parser.flag("json")


def _trust(parser: Parser) -> None:
    parser.word("model", "MODEL")
    parser.option("hub", "huggingface|modelscope")
    parser.option("revision", "REVISION")
    parser.option("cache-dir", "FOLDER")
    parser.flag("yes")
    parser.flag("forget")


def _params(parser: Parser) -> None:
    parser.word("name", "NAME", nargs="?")
    parser.flag("json")


def _only_json(parser: Parser) -> None:
    parser.flag("json")


_FILL: dict[str, Callable[[Parser], None]] = {
    "demo": _demo,
    "train": _train,
    "resume": _resume,
    "attach": _attach,
    "runs": _runs,
    "status": _status,
    "stop": _stop,
    "delete": _delete,
    "chat": _chat,
    "check": _check,
    "score": _score,
    "expand": _expand,
    "download": _download,
    "trust": _trust,
    "estimate": _check,
    "probe": _check,
    "presets": _only_json,
    "import": _import,
    "export-config": _export_config,
    "params": _params,
    "doctor": _only_json,
    "paths": _only_json,
}
