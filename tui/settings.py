"""What the cockpit remembers about its user: language, theme, the run last seen. Not for anything a run needs."""

from __future__ import annotations

import os
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from trainer import paths


@dataclass(frozen=True)
class Settings:
    """`settings.toml` in the config folder. Empty text means: not chosen."""

    language: str = ""
    theme: str = "trimtab"
    last_run: str = ""


def file() -> Path:
    """Where the settings lie."""
    return paths.config_folder() / "settings.toml"


def load() -> Settings:
    """The stored settings; defaults for all that is missing or cannot be read."""
    try:
        stored = tomllib.loads(file().read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return Settings()
    known = {field.name for field in fields(Settings)}
    return Settings(**{key: value for key, value in stored.items() if key in known and isinstance(value, str)})


def change(*, language: str | None = None, theme: str | None = None, last_run: str | None = None) -> Settings:
    """Store what is given and keep the rest; a folder that cannot be written is no reason to stop."""
    import tomlkit  # not above: reading needs it not, and the first frame waits for every import

    given = {"language": language, "theme": theme, "last_run": last_run}
    changed = replace(load(), **{key: value for key, value in given.items() if value is not None})
    target = file()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        document = tomlkit.parse(target.read_text(encoding="utf-8")) if target.is_file() else tomlkit.document()
        document.update(asdict(changed))
        staged = target.with_name(f".{target.name}.{os.getpid()}")
        staged.write_text(tomlkit.dumps(document), encoding="utf-8")
        staged.replace(target)
    except (OSError, ValueError):
        pass
    return changed
