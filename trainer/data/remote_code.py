"""Python code that comes with a model: what there is, and whether the user has agreed to these very files.

Not for running it: transformers does, when the loader lets it. A consent is kept by the digest of all files, so that
code that has changed is asked about again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from trainer.config import Finding
from trainer.data.findings import finding
from trainer.errors import UserError
from trainer.paths import data_folder

_CONFIGS = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
_MOST_FILES = 1000


@dataclass(frozen=True)
class CodeFile:
    """One file of code in a model's folder."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ModelCode:
    """The code of a model, and where its configuration asks for it."""

    folder: Path
    files: tuple[CodeFile, ...]
    named_in: tuple[str, ...]
    """Lines such as `config.json: AutoConfig = configuration_own.OwnConfig`."""
    elsewhere: tuple[str, ...]
    """Other repositories that the configuration takes code from; they are never fetched."""
    is_needed: bool
    """Whether transformers itself does not know this kind of model."""

    @property
    def digest(self) -> str:
        """The SHA-256 over names and digests of all files."""
        lines = (f"{file.name} {file.sha256}" for file in self.files)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def model_code(folder: Path) -> ModelCode | None:
    """The code that the configuration of a model asks for; None where it asks for none.

    Raises: UserError when a file cannot be read.
    """
    named = list(_named(folder))
    if not named:
        return None
    elsewhere = sorted({value.partition("--")[0] for _, _, value in named if "--" in value})
    lines = tuple(f"{config}: {kind} = {value}" for config, kind, value in named)
    model_type = _object(folder / "config.json").get("model_type")
    return ModelCode(folder, tuple(_files(folder)), lines, tuple(elsewhere), not _is_known(str(model_type)))


def runs_code(folder: Path, *, name: str, trust: bool | None) -> bool:
    """Whether transformers may run the code in the folder of the model `name`.

    `trust` is the recipe's `trust_remote_code`; None stands for who has no recipe and runs only what must be run.

    Raises: UserError when the model cannot be used without its code, or the code that is asked for was not agreed to.
    """
    found = code_finding(folder, name=name, trust=trust)
    if found is not None:
        raise UserError(found.text, field="trust_remote_code")
    code = model_code(folder)
    return code is not None and (code.is_needed if trust is None else trust)


def code_finding(folder: Path, *, name: str, trust: bool | None) -> Finding | None:
    """What stands against using a model because of its code; None when nothing does."""
    code = model_code(folder)
    if code is None or (not trust and not code.is_needed):
        return None
    fields = ("model.trust_remote_code", "model.model_name_or_path")
    if code.elsewhere:
        return finding("model_code_elsewhere", "error", *fields, model=name, place=", ".join(code.elsewhere))
    agreed = has_consent(code)
    if agreed and trust is not False:
        return None
    count = len(code.files)
    if agreed:
        change = {"model.trust_remote_code": True}
        return finding("model_code_off", "error", *fields, change=change, model=name, count=count)
    if code.is_needed:
        kind = "model_code_changed" if agreed_before(name, folder) else "model_code_unknown"
        return finding(kind, "error", *fields, model=name, count=count)
    change = {"model.trust_remote_code": False}
    return finding("model_code_not_needed", "error", *fields, change=change, model=name, count=count)


def has_consent(code: ModelCode) -> bool:
    """Whether the user has agreed to exactly this code."""
    return any(consent["digest"] == code.digest for consent in _consents())


def give_consent(code: ModelCode, name: str) -> None:
    """Remember that the user agrees to this code, whatever model it lies beside.

    Raises: UserError when it cannot be written down.
    """
    files = [file.name for file in code.files]
    kept = [consent for consent in _consents() if consent["digest"] != code.digest]
    _write([*kept, {"digest": code.digest, "model": name, "files": files, "time": time.time()}])


def withdraw_consent(code: ModelCode) -> bool:
    """Forget a consent; False where there was none. Raises: UserError."""
    consents = _consents()
    kept = [consent for consent in consents if consent["digest"] != code.digest]
    if len(kept) < len(consents):
        _write(kept)
    return len(kept) < len(consents)


def consents_file() -> Path:
    """Where consents are kept."""
    return data_folder() / "trusted-code.json"


def agreed_before(name: str, place: Path) -> bool:
    """Whether the user has agreed to other code of that name, or at that place."""
    return any(consent.get("model") in (name, str(place.resolve())) for consent in _consents())


def _consents() -> list[dict[str, Any]]:
    stated = _object(consents_file()).get("consents")
    return [item for item in stated if isinstance(item, dict) and "digest" in item] if isinstance(stated, list) else []


def _write(consents: list[dict[str, Any]]) -> None:
    file = consents_file()
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"format": 1, "consents": consents}, indent=1) + "\n", encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", file=file, hint="Check its folder") from error


def _named(folder: Path) -> Iterator[tuple[str, str, str]]:
    """File, class of transformers, and the code that stands for it."""
    for config in _CONFIGS:
        stated = _object(folder / config).get("auto_map")
        # An older form of tokenizer_config.json has the classes alone, without their kind.
        pairs = stated.items() if isinstance(stated, dict) else [("AutoTokenizer", stated)] if stated else []
        for kind, value in pairs:
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, str):
                    yield config, str(kind), each


def _files(folder: Path) -> Iterator[CodeFile]:
    paths = sorted(path for path in folder.rglob("*.py") if path.is_file())
    if len(paths) > _MOST_FILES:
        hint = "Give a folder that holds the model and nothing else"
        raise UserError(f"holds more than {_MOST_FILES} Python files", file=folder, hint=hint)
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(error.strerror or str(error), file=path, hint="Check its permissions") from error
        yield CodeFile(path.relative_to(folder).as_posix(), len(content), hashlib.sha256(content).hexdigest())


def _object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}  # what is wrong with it is told where it is loaded
    return content if isinstance(content, dict) else {}


@cache
def _is_known(model_type: str) -> bool:
    """Whether the installed transformers has this kind of model; read from its source, because importing it is slow."""
    package = importlib.util.find_spec("transformers")
    if package is None or package.origin is None:
        return False
    entry = re.compile(rf"[\"']{re.escape(model_type)}[\"']\s*,\s*[\"']\w+Config[\"']")
    files = (Path(package.origin).parent / "models" / "auto").glob("*auto*.py")
    return any(entry.search(file.read_text(encoding="utf-8")) for file in files)
