"""An imported file as the text of a preset: grouped by table, comments kept, what was left out named at the end."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.config.finding import Finding
from trainer.config.llamafactory.convert import Imported
from trainer.config.parameter import tables

_LEFT_OUT = (
    "import_overwrite",
    "import_gone",
    "import_fixed",
    "import_foreign",
    "import_secret",
    "import_inner_secret",
    "import_board_model",
    "import_board_known_model",
    "import_board_unused",
)


def preset_text(made: Imported, description: str) -> str:
    """The TOML of a preset."""
    # tomlkit takes 60 ms to import, and most starts write nothing.
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment(f"Made from {made.path.name} by `trimtab import`."))
    document.add("description", tomlkit.item(description))
    for table in (*tables(), "trainer"):
        content = made.values.get(table)
        if content:
            document.add(tomlkit.nl())
            document.add(table, _table(made, table, content))
    below = [_bare(comment) for comment in made.source.below]
    below += [finding.text for finding in _left_out(made)]
    below += [f"Not understood: {problem.field} in line {problem.line}" for problem in made.problems]
    if below:
        document.add(tomlkit.nl())
    for line in below:
        document.add(tomlkit.comment(line))
    return tomlkit.dumps(document)


def _table(made: Imported, table: str, content: Mapping[str, object]) -> object:
    import tomlkit

    section = tomlkit.table()
    own = [name for name in content if f"{table}.{name}" in made.entries]
    for name in own:
        entry = made.entries[f"{table}.{name}"]
        for comment in entry.above:
            section.add(tomlkit.comment(_bare(comment)))
        value = content[name]
        item = tomlkit.item(value)
        if isinstance(value, dict):
            item = tomlkit.inline_table()
            item.update(value)
        if entry.beside:
            item.comment(_bare(entry.beside))
        section.add(name, item)
    kept = [name for name in content if name not in own]
    if kept:
        section.add(tomlkit.comment("LLaMA-Factory's defaults, where trimtab's differ:"))
    for name in kept:
        section.add(name, tomlkit.item(content[name]))
    return section


def _bare(comment: str) -> str:
    """A comment without its mark, fit for a line of TOML."""
    text = comment.lstrip("#").strip()
    return "".join(mark if mark == "\t" or mark.isprintable() else " " for mark in text)


def _left_out(made: Imported) -> list[Finding]:
    return [finding for finding in made.findings if finding.id in _LEFT_OUT]
