"""Writes docs/parameters.md from the definition. With --check it only compares, and fails when they differ."""

from __future__ import annotations

import sys
from pathlib import Path

from trainer.config import Condition, Parameter, exceptions, parameters
from trainer.config.parameter import tables
from trainer.config.rules import MESSAGES
from trainer.config.spellings import OLDER_NAMES, SECRETS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "parameters.md"
HEAD = """# Parameters

<!-- Made by scripts/write_parameter_docs.py from trainer/config/tables. Do not edit: change the definition. -->

Every parameter of a preset, by TOML table. On the command line write `name=value` or `table.name=value`.
A parameter that is not in the file has its default; an empty default means unset.
"""
TRAINER = """## [trainer]

Any other field of transformers' `TrainingArguments` may stand here and is passed through. Its name is checked against
the installed version.
"""


def reference_page() -> str:
    """The whole page."""
    parts = [HEAD]
    for table, model in tables().items():
        rows = [_row(each) for each in parameters() if each.table == table]
        head = f"## [{table}]\n\n{' '.join((model.__doc__ or '').split())}\n"
        parts.append("\n".join([head, "| name | value | default | |", "|---|---|---|---|", *rows]) + "\n")
    return "\n".join([*parts, TRAINER, _older_names(), _secrets()])


def _row(each: Parameter) -> str:
    unit = f" ({each.form.unit})" if each.form.unit else ""
    notes = [each.help]
    if each.form.when:
        notes.append("Applies with " + " and ".join(_condition(condition) for condition in each.form.when) + ".")
    if each.form.live:
        notes.append("May be changed while a run is going.")
    if each.form.refused:
        words = MESSAGES[each.form.refused].format(name=f"`{each.name}`", default=_default(each.default) or "unset")
        notes.append(f"**Refused.** {words.partition(' is refused: ')[2] or words}.")
    elif not each.form.available:
        notes.append("**Not available yet.**")
    elif each.form.available_choices:
        notes.append(f"**Available now: {', '.join(each.form.available_choices)}.**")
    cells = [f"`{each.name}`", each.type_text + unit, _default(each.default), " ".join(notes)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _condition(condition: Condition) -> str:
    name = condition.key.partition(".")[2]
    if but := exceptions(condition):
        return f"`{name}` other than " + " or ".join(map(_toml, but))
    return f"`{name}` " + " or ".join(_toml(value) for value in condition.values)


def _default(value: object) -> str:
    return "" if value is None or value in ([], {}) else f"`{_toml(value)}`"


def _toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _older_names() -> str:
    rows = [f"- `{older}`: `{key}`" for older, key in OLDER_NAMES.items()]
    values = ['- `finetuning_type = "qlora"`: lora with `quantization_bit = 4`']
    values.append('- `quantization_method = "bitsandbytes"`: `bnb`')
    return "\n".join(["## Older names that are understood\n", *rows, *values]) + "\n"


def _secrets() -> str:
    rows = [f"- `{name}`: `{variable}`" for name, variable in SECRETS.items()]
    return "\n".join(["## Secrets\n", "Never in a preset; set the environment variable instead.\n", *rows]) + "\n"


def main() -> int:
    """Write the page, or compare it."""
    page = reference_page()
    if "--check" in sys.argv[1:]:
        current = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
        if current != page:
            print(f"{PAGE} is out of date: run `make docs`", file=sys.stderr)
        return int(current != page)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
