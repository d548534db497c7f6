"""The words of `trimtab data`: one parser per action. Not for acting on them: `data.py` and the files beside it."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trainer.errors import UserError
from tui.locale import text

if TYPE_CHECKING:
    from tui.commands.arguments import Parser

# `key=value`, as against a path that has a "=" somewhere in it.
_SETTING = re.compile(r"[A-Za-z_][\w.]*=")


def parse(words: Sequence[str], make_parser: Callable[[str], Parser]) -> argparse.Namespace:
    """The arguments of `trimtab data ACTION ...`, with the action's name as `action`.

    Raises:
        UserError: unknown action or option, a word missing or too many.
        SystemExit: after `--help` printed its text.
    """
    if not words or words[0].startswith("-"):
        # Without an action, what there is.
        return _overview(make_parser).parse_args(list(words) or ["--help"])
    name = words[0]
    if name not in ACTIONS:
        near = difflib.get_close_matches(name, ACTIONS, n=1, cutoff=0.5)
        hint = text("command_line.near_command", name=f"data {near[0]}") if near else ""
        hint = hint or text("command_line.see_help", command="trimtab data")
        raise UserError(text("data_commands.unknown_action", name=name), hint=hint)
    parser = make_parser(f"data {name}")
    ACTIONS[name](parser)
    parsed = parser.parse(words[1:])
    parsed.action = name
    if "words" in parsed:
        parsed.settings = [word for word in parsed.words if _SETTING.match(word)]
        parsed.sets = [word for word in parsed.words if not _SETTING.match(word)]
    return parsed


def _overview(make_parser: Callable[[str], Parser]) -> Parser:
    parser = make_parser("data")
    parser.usage = text("data_commands.usage")
    section = parser.add_argument_group(text("data_commands.group_actions"))
    for name in ACTIONS:
        section.add_argument(name, nargs="?", help=text(f"data_commands.{name}_summary").replace("%", "%%"))
    return parser


def _list(parser: Parser) -> None:
    parser.option("dir", "FOLDER")
    parser.option("stage", "STAGE")
    parser.flag("json")


def _show(parser: Parser) -> None:
    parser.word("set", "SET")
    parser.option("rows", "N", short="-n")
    parser.option("from", "ROW")
    parser.option("dir", "FOLDER")
    parser.option("stage", "STAGE")
    parser.flag("download")
    parser.flag("json")


def _check(parser: Parser) -> None:
    parser.word("words", "SET ... key=value", nargs="*")
    _recipe_options(parser)
    parser.flag("json")


def _preview(parser: Parser) -> None:
    parser.word("words", "SET ... key=value", nargs="*")
    parser.option("row", "ROW")
    parser.flag("ids")
    _recipe_options(parser)
    parser.flag("json")


def _encode(parser: Parser) -> None:
    parser.word("words", "SET ... key=value", nargs="*")
    parser.option("output", "FILE", short="-o")
    _recipe_options(parser)


def _recipe_options(parser: Parser) -> None:
    parser.option("preset", "PRESET")
    parser.option("model", "MODEL")
    parser.option("template", "NAME")
    parser.option("stage", "STAGE")
    parser.option("dir", "FOLDER")


def _register(parser: Parser) -> None:
    parser.word("name", "NAME")
    parser.word("source", "SOURCE")
    parser.option("dir", "FOLDER")
    parser.option("formatting", "FORMAT")
    parser.option("columns", "KEY=COLUMN,...")
    parser.option("tags", "KEY=NAME,...")
    parser.flag("ranking")
    parser.option("subset", "NAME")
    parser.option("split", "NAME")
    parser.option("num-samples", "N")
    parser.flag("replace")
    parser.flag("json")


def _templates(parser: Parser) -> None:
    parser.word("name", "NAME", nargs="?")
    parser.flag("json")


ACTIONS: dict[str, Callable[[Parser], None]] = {
    "list": _list,
    "show": _show,
    "check": _check,
    "preview": _preview,
    "encode": _encode,
    "register": _register,
    "templates": _templates,
}
