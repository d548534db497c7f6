"""Presets: TOML files that build upon each other: found, loaded, saved, deleted. The text of one is `preset_text`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.config.file_kinds import is_llamafactory
from trainer.config.finding import Finding
from trainer.config.overrides import apply_overrides
from trainer.config.parameter import parameter, parameters
from trainer.config.preset_text import UNSET, PresetText, Values, read_preset_text
from trainer.config.problems import PresetErrors
from trainer.config.recipe import Recipe
from trainer.config.spellings import translate_values
from trainer.config.validation import Origin, validated, validated_in_part
from trainer.errors import UserError
from trainer.paths import shipped_folder, user_presets_folder


@dataclass(frozen=True)
class Change:
    """A value that differs between two presets, or from the default."""

    key: str
    before: object
    after: object


@dataclass(frozen=True)
class Preset:
    """A preset with all that it builds upon."""

    name: str
    path: Path
    extends: tuple[str, ...]
    """Names of the presets below it, the nearest first."""
    values: Values
    """What is set in the file, in those below it and by overrides; defaults are not in it."""
    recipe: Recipe
    description: str
    findings: tuple[Finding, ...] = ()
    """What is to be said about a LLaMA-Factory file that was read as a preset."""

    def changed_from(self, other: Preset | None) -> tuple[Change, ...]:
        """What differs from another preset; from all defaults when there is none."""
        before = other.recipe if other is not None else Recipe()
        keys = [each.key for each in parameters()]
        changes = [Change(key, before.value(key), self.recipe.value(key)) for key in keys]
        passed = sorted({*before.trainer, *self.recipe.trainer})
        own = self.recipe.trainer
        changes += [Change(f"trainer.{name}", before.trainer.get(name), own.get(name)) for name in passed]
        return tuple(change for change in changes if change.before != change.after)


@dataclass(frozen=True)
class PresetInfo:
    """A line of the list of presets."""

    name: str
    path: Path
    shipped: bool
    description: str
    stage: str
    error: str | None
    """Why it cannot be loaded; None when it can."""
    parts: tuple[str, ...] = ()
    """The stages of its parts, of a pipeline; `stage` is the last of them."""

    @property
    def stages(self) -> str:
        """The stage, or those of a pipeline in their order."""
        return "→".join(self.parts) or self.stage


def load_preset(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Preset:
    """A preset by name (yours before the shipped ones) or path, with `key=value` overrides laid over it.

    A `.yaml`, `.yml` or `.json` file is read as LLaMA-Factory's, with its defaults where ours differ.

    Raises:
        UserError: it is missing (with a near match) or broken (line and column).
        PresetErrors: it has unknown keys or wrong values; all of them.
    """
    path = find_preset(str(name_or_path))
    if is_llamafactory(path):
        # Only who reads such a file pays for the import.
        from trainer.config.llamafactory.convert import import_file

        made = import_file(path)
        origins = {key: Origin(path, line) for key, line in made.lines.items()}
        read = _Read(path.stem, path, (), made.values, origins, "", tuple(made.findings))
        return _with_overrides(read, overrides, list(made.problems), whole=True)
    chain, missing = _chain(path)
    problems = [problem for text in chain for problem in text.problems]
    values, origins = _merged(chain)
    name = path.stem if path.name != "recipe.toml" else path.parent.name
    below = tuple(text.path.stem for text in chain[1:])
    read = _Read(name, path, below, values, origins, chain[0].description, ())
    problems = [*([missing] if missing else []), *problems]
    # Without what it builds upon, everything would seem to be missing.
    return _with_overrides(read, overrides, problems, whole=not missing)


def find_preset(name_or_path: str) -> Path:
    """The file of a preset, by name (yours before the shipped ones) or path. Raises: UserError, with a near match."""
    return _find(name_or_path)


@dataclass(frozen=True)
class _Read:
    """What stands in a preset and all below it, before it is checked."""

    name: str
    path: Path
    extends: tuple[str, ...]
    values: Values
    origins: dict[str, Origin]
    description: str
    findings: tuple[Finding, ...]


def _with_overrides(read: _Read, overrides: Sequence[str], problems: list[UserError], *, whole: bool) -> Preset:
    """The checked preset; `whole`: enough of it is there to be shown beside its mistakes."""
    changed = apply_overrides(read.values, ())
    for override in overrides:
        try:
            changed = apply_overrides(changed, [override])
        except UserError as error:
            problems.append(error)
    translate_values(changed)
    kept = {key: origin for key, origin in read.origins.items() if _same(read.values, changed, key)}
    recipe, wrong = validated_in_part(changed, kept)
    preset = Preset(
        name=read.name,
        path=read.path,
        extends=read.extends,
        values={table: content for table, content in changed.items() if content},
        recipe=recipe,
        description=read.description,
        findings=read.findings,
    )
    if problems := [*problems, *wrong]:
        raise PresetErrors(problems, preset if whole else None)
    return preset


def list_presets() -> list[PresetInfo]:
    """All presets by name; yours first. A shipped one that yours hides is left out."""
    mine = sorted(user_presets_folder().glob("*.toml"))
    hidden = {path.stem for path in mine}
    shipped = [path for path in sorted(shipped_folder("presets").glob("*.toml")) if path.stem not in hidden]
    return [_info(path, shipped=False) for path in mine] + [_info(path, shipped=True) for path in shipped]


def save_preset(
    name: str, values: Mapping[str, Mapping[str, object]], *, extends: str | None = None, description: str = ""
) -> Path:
    """Write a preset of yours; where it exists, its comments and order are kept and what is not in `values` goes.

    None as a value means: unset here what the preset below sets.

    Raises:
        UserError: the name is no file name, a value is wrong, it would extend itself, or the disk refuses.
    """
    # tomlkit takes 60 ms to import, and most starts write nothing.
    from trainer.config.preset_writing import write_preset

    _check_name(name)
    path = (user_presets_folder() / f"{name}.toml").resolve()
    if extends is not None and path in _paths_below(_find(extends, beside=path)):
        raise UserError(f"{extends!r} builds upon {name!r}, so that {name!r} cannot build upon it", field="extends")
    set_values = {
        table: {name: value for name, value in content.items() if value is not None}
        for table, content in values.items()
    }
    validated(set_values, {})
    written: Values = {table: dict(content) for table, content in set_values.items()}
    if extends is not None:
        for table, content in values.items():
            nulls = [name for name, value in content.items() if value is None and parameter(f"{table}.{name}").optional]
            written[table].update(dict.fromkeys(nulls, UNSET))
    write_preset(path, written, extends=extends, description=description)
    return path


def delete_preset(name: str) -> None:
    """Remove a preset of yours.

    Raises:
        UserError: there is none of that name, it is shipped, or others build upon it.
    """
    _check_name(name)
    path = user_presets_folder() / f"{name}.toml"
    if not path.is_file():
        shipped = (shipped_folder("presets") / f"{name}.toml").is_file()
        reason = "comes with trimtab and stays" if shipped else "is no preset of yours"
        raise UserError(f"{name!r} {reason}", hint=None if shipped else _near_preset(name))
    for each in list_presets():
        if not each.shipped and each.name != name and _extends(each.path) == name:
            raise UserError(f"{each.name!r} builds upon {name!r}", hint=f"Delete {each.name!r} first.")
    path.unlink()


def _info(path: Path, *, shipped: bool) -> PresetInfo:
    # It reads presets itself.
    from trainer.config.pipeline import is_pipeline, pipeline_description, read_pipeline

    try:
        if is_pipeline(path):
            stages = tuple(part.recipe.method.stage for part in read_pipeline(path))
            return PresetInfo(path.stem, path, shipped, pipeline_description(path), stages[-1], None, stages)
        preset = load_preset(path)
    except UserError as error:
        return PresetInfo(path.stem, path, shipped, "", "", str(error))
    return PresetInfo(path.stem, path, shipped, preset.description, preset.recipe.method.stage, None)


def _find(name: str, *, beside: Path | None = None) -> Path:
    """The file of a name or path; names are also looked up beside the file that mentions them."""
    if name.endswith(".toml") or "/" in name or is_llamafactory(Path(name)):
        given = Path(name).expanduser()
        path = given if given.is_absolute() or beside is None else beside.parent / given
        if path.is_dir() and (path / "recipe.toml").is_file():
            path = path / "recipe.toml"
        if beside is not None and is_llamafactory(path):
            hint = f"Make a preset of it first: `trimtab import {name}`."
            raise UserError("a preset cannot build upon a LLaMA-Factory file", file=path, hint=hint)
        if path.is_dir():
            raise UserError("this is a folder, not a preset", file=path, hint="Name a .toml file in it.")
        if not path.is_file():
            raise UserError("no such preset file", file=path, hint=_near_preset(path.stem))
        return path.resolve()
    folders = [user_presets_folder(), shipped_folder("presets")]
    if beside is not None:
        folders.insert(0, beside.parent)
    for folder in folders:
        path = folder / f"{name}.toml"
        # A preset of yours may hide a shipped one of the same name and build upon that.
        if path.is_file() and path.resolve() != beside:
            return path.resolve()
    raise UserError(f"there is no preset {name!r}", hint=_near_preset(name))


def _near_preset(name: str) -> str:
    folders = (user_presets_folder(), shipped_folder("presets"))
    names = sorted({path.stem for folder in folders for path in folder.glob("*.toml")})
    near = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {near[0]!r}?" if near else "`trimtab presets` lists all."


def _paths_below(path: Path) -> list[Path]:
    """The file of a preset and those of all that it builds upon. Raises: UserError when one of them is broken."""
    chain, missing = _chain(path)
    for problem in (*([missing] if missing else []), *(each for text in chain for each in text.problems)):
        raise problem
    return [text.path for text in chain]


def _chain(path: Path) -> tuple[list[PresetText], UserError | None]:
    """The preset and all that it builds upon, itself first; and what is wrong where the chain ends too early.

    Raises:
        UserError: a file cannot be read or is no TOML.
    """
    chain = [read_preset_text(path)]
    while (below := chain[-1].extends) is not None:
        last = chain[-1]
        line = _line_of_extends(last.path)
        try:
            found = _find(below, beside=last.path)
        except UserError as error:
            return chain, UserError(
                error.message, file=last.path, line=line, field="extends", value=below, hint=error.hint
            )
        if found in [each.path for each in chain]:
            names = " -> ".join([*(each.path.stem for each in chain), found.stem])
            circle = f"presets build upon each other in a circle: {names}"
            return chain, UserError(circle, file=last.path, line=line, field="extends")
        chain.append(read_preset_text(found))
    return chain, None


def _merged(chain: list[PresetText]) -> tuple[Values, dict[str, Origin]]:
    """The values of a chain, the lowest preset first, and where each was set last."""
    values: Values = {}
    origins: dict[str, Origin] = {}
    for text in reversed(chain):
        own: Values = {table: dict(content) for table, content in text.values.items()}
        translate_values(own)
        for key, value in [(f"{table}.{name}", value) for table in own for name, value in own[table].items()]:
            table, _, name = key.partition(".")
            origins[key] = Origin(text.path, text.lines.get(key))
            if value == UNSET and table != "trainer" and parameter(key).optional:
                values.get(table, {}).pop(name, None)
            else:
                values.setdefault(table, {})[name] = value
    return values, origins


def _line_of_extends(path: Path) -> int | None:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.lstrip().startswith("extends")), None)


def _extends(path: Path) -> str | None:
    try:
        return read_preset_text(path).extends
    except UserError:
        return None


def _same(before: Values, after: Values, key: str) -> bool:
    table, _, name = key.partition(".")
    return name in after.get(table, {}) and before[table][name] is after[table][name]


def _check_name(name: str) -> None:
    if not name or name.startswith(".") or any(mark in name for mark in "/\\\0") or name != name.strip():
        raise UserError("is no name for a preset", field=repr(name), hint="Use letters, digits, - and _.")
