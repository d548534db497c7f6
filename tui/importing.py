"""Making a preset of a LLaMA-Factory file, for the command line and the Presets screen. Not for what its keys mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainer.config import Finding
from trainer.errors import UserError
from trainer.paths import user_presets_folder
from trainer.run.files import write_whole
from tui.locale import text


@dataclass(frozen=True)
class ImportedPreset:
    """What was written, and what there is to say about it."""

    path: Path
    content: str
    findings: tuple[Finding, ...]
    problems: tuple[UserError, ...]
    """What was not understood; the rest was written."""


def preset_place(file: Path) -> Path:
    """Where the preset of a file goes when nobody says otherwise: among the user's own, under the file's name."""
    return user_presets_folder() / f"{file.stem}.toml"


def import_as_preset(file: Path, target: Path, *, replace: bool) -> ImportedPreset:
    """Read a LLaMA-Factory file and write the preset.

    Raises: UserError when the file cannot be read or is broken, or `target` is there and not to be replaced.
    """
    from trainer.config.llamafactory import is_llamafactory, preset_text, readable_import

    if not is_llamafactory(file):
        raise UserError(text("command_line.import_ending"), file=file)
    made, problems = readable_import(file)
    content = preset_text(made, text("command_line.import_description", name=file.name))
    write_text(target, content, replace=replace)
    return ImportedPreset(target, content, tuple(made.findings), tuple(problems))


def write_text(target: Path, content: str, *, replace: bool) -> None:
    """Write a file whole.

    Raises: UserError when it is there and not to be replaced, or the disk refuses.
    """
    if target.exists() and not replace:
        raise UserError(text("command_line.file_exists"), file=target, hint=text("command_line.file_exists_hint"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content.encode("utf-8"))
    except OSError as error:
        raise UserError(str(error.strerror), file=target) from error
