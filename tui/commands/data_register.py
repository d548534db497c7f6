"""`trimtab data register` and `templates`: a name for a file in `dataset_info.json`; the shipped chat templates."""

from __future__ import annotations

from argparse import Namespace

from trainer.data.inspect_sets import registry_for_writing
from trainer.data.new_entry import new_entry
from trainer.data.registry import register_dataset
from trainer.data.templates import named_template, template_names, template_spec, unmapped_names
from trainer.errors import UserError
from tui.commands import output
from tui.commands.data_recipe import number_of
from tui.locale import text


def register_command(arguments: Namespace) -> int:
    """Write an entry for a file, a folder or an address into `dataset_info.json`."""
    file = registry_for_writing(arguments.dir or "data")
    samples = arguments.num_samples
    stated = {
        "formatting": arguments.formatting,
        "ranking": arguments.ranking,
        "subset": arguments.subset,
        "split": arguments.split,
        "num_samples": None if samples is None else number_of("--num-samples", samples, 1),
        "columns": _pairs("--columns", arguments.columns),
        "tags": _pairs("--tags", arguments.tags),
    }
    entry = new_entry(arguments.source, file.parent, stated)
    register_dataset(file, arguments.name, entry, replace=arguments.replace)
    if arguments.json:
        output.print_json({"name": arguments.name, "file": file.resolve(), "entry": entry})
        return 0
    print(text("data_commands.registered", name=arguments.name, file=file))
    facts = output.Facts()
    for key, value in entry.items():
        facts.add(key, _shown(value))
    facts.print()
    print(text("data_commands.register_next", words=output.as_words(arguments.name, dataset_dir=arguments.dir)))
    return 0


def _shown(value: object) -> str:
    return ", ".join(f"{key}={name}" for key, name in value.items()) if isinstance(value, dict) else str(value)


def _pairs(option: str, value: str | None) -> dict[str, str]:
    """`a=b,c=d` as a mapping.

    Raises: UserError for anything else.
    """
    pairs: dict[str, str] = {}
    for part in (value or "").split(","):
        key, equals, name = part.partition("=")
        if part and not (key.strip() and equals and name.strip()):
            raise UserError(text("data_commands.expected_pairs"), field=option, value=value)
        if part:
            pairs[key.strip()] = name.strip()
    return pairs


def templates_command(arguments: Namespace) -> int:
    """List the chat templates, or print the text of one."""
    if arguments.name is not None:
        return _print_template(arguments)
    specs = [template_spec(name) for name in template_names()]
    if arguments.json:
        listed = [
            {
                "name": spec.name,
                "aliases": spec.aliases,
                "stop_words": spec.stop_words,
                "tool_format": spec.tool_format,
                "source": spec.source,
            }
            for spec in specs
        ]
        unmapped = [{"name": name, "reason": reason} for name, reason in unmapped_names().items()]
        output.print_json({"templates": listed, "unmapped": unmapped})
        return 0
    table = output.Table([text(f"data_commands.column_{name}") for name in ("template", "ends", "tools", "aliases")])
    for spec in specs:
        ends = " ".join(spec.stop_words) or text("data_commands.end_of_model")
        table.add(spec.name, ends, spec.tool_format, ", ".join(spec.aliases))
    table.print()
    if unmapped_names():
        print()
        print(text("data_commands.unmapped"))
        for name, reason in unmapped_names().items():
            for number, line in enumerate(output.wrap(f"{name}: {reason}", min(output.terminal_width(), 120) - 4)):
                print(("  " if number == 0 else "    ") + line)
    return 0


def _print_template(arguments: Namespace) -> int:
    spec, template = template_spec(arguments.name), named_template(arguments.name)
    if arguments.json:
        output.print_json({"name": spec.name, "source": spec.source, "text": template.text})
    else:
        print(template.text)
    return 0
