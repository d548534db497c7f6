"""`trimtab params`: every parameter with its type, default and help, from the one definition."""

from __future__ import annotations

from argparse import Namespace

from trainer.config import Parameter, parameter, parameters
from trainer.config.toml_text import toml_text
from tui.commands import output
from tui.forms.entry import shown_text
from tui.forms.explain import takes_text
from tui.forms.lines import conditions_text
from tui.forms.refusals import unavailable_text
from tui.locale import find, language, text

_KIND_WIDTH = 24


def params(arguments: Namespace) -> int:
    """List all parameters, those of one table, or tell everything about one."""
    wanted = arguments.name
    if wanted is None:
        chosen = parameters()
    else:
        chosen = tuple(one for one in parameters() if one.table == wanted) or (parameter(wanted),)
    if arguments.json:
        output.print_json([_json(one) for one in chosen])
    elif len(chosen) == 1:
        _print_one(chosen[0])
    else:
        _print_table(chosen)
    return 0


def help_of(one: Parameter) -> str:
    """The parameter's help in the language in force, English where there is no other."""
    return (find(f"parameters.{one.key}") if language() != "en" else None) or one.help


def _print_table(chosen: tuple[Parameter, ...]) -> None:
    table = output.Table([text(f"command_line.column_{name}") for name in ("parameter", "type", "default", "help")])
    for one in chosen:
        first_line = " ".join(help_of(one).split())
        closed = "command_line.params_refused" if one.form.refused else "command_line.params_not_yet"
        note = "" if one.form.available else text(closed) + " "
        kind = "|".join(one.choices) or one.kind
        table.add(one.key, output.cut(kind, _KIND_WIDTH), output.cut(_default(one), _KIND_WIDTH), note + first_line)
    table.print()


def _print_one(one: Parameter) -> None:
    width = min(output.terminal_width(), 100)
    print(output.paint(one.key, "bold"))
    facts = text("command_line.params_type", type=takes_text(one), default=_default(one))
    for line in output.wrap(facts, width - 2):
        print("  " + line)
    print()
    for paragraph in help_of(one).strip().split("\n\n"):
        for line in output.wrap(paragraph, width - 2):
            print("  " + line)
    print()
    notes = []
    if one.form.when:
        notes.append(text("command_line.params_when", conditions=conditions_text(one.form.when)))
    notes.append(text(f"command_line.params_tier_{one.form.tier}"))
    if one.form.live:
        notes.append(text("command_line.params_live"))
    if one.form.refused:
        notes.append(unavailable_text(one))
    elif not one.form.available:
        notes.append(text("command_line.params_not_yet_long"))
    example = _example(one)
    notes.append(text("command_line.params_in_preset", table=one.table, name=one.name, value=example))
    notes.append(text("command_line.params_in_words", key=one.name, value=example))
    for note in notes:
        for number, line in enumerate(output.wrap(note, width - 4)):
            print(("  - " if number == 0 else "    ") + line)


def _default(one: Parameter) -> str:
    return text("command_line.params_unset") if one.default in (None, []) else shown_text(one.default)


def _example(one: Parameter) -> str:
    """A value as TOML writes it: the default, else the first choice, else a stand-in."""
    value = one.default
    if value is None:
        stand_ins = {"bool": True, "int": 1, "float": 0.1, "list": []}
        value = one.choices[0] if one.choices else stand_ins.get(one.kind, "...")
    return toml_text(value)


def _json(one: Parameter) -> dict[str, object]:
    return {
        "key": one.key,
        "table": one.table,
        "name": one.name,
        "kind": one.kind,
        "type": one.type_text,
        "default": one.default,
        "optional": one.optional,
        "choices": list(one.choices),
        "minimum": one.minimum,
        "maximum": one.maximum,
        "unit": one.form.unit,
        "tier": one.form.tier,
        "when": [{"key": condition.key, "values": list(condition.values)} for condition in one.form.when],
        "live": one.form.live,
        "available": one.form.available,
        "refused": unavailable_text(one) if one.form.refused else None,
        "help": help_of(one),
    }
