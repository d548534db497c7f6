"""Finds the folder of a model: a path, the shipped demo model, or the Hugging Face cache. Not for loading weights."""

from __future__ import annotations

from pathlib import Path

from trainer.config import resolve_model_path
from trainer.data.registry import near_match
from trainer.errors import UserError
from trainer.paths import hugging_face_cache

_SHIPPED = "shipped:"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


def find_model_folder(
    name: str | None, *, cache_dir: str | None = None, revision: str | None = None, download: bool = False
) -> Path:
    """The folder that holds the tokenizer of the model `name`.

    `shipped:demo_model` is the folder beside the shipped data. A hub id is looked for in the Hugging Face cache; with
    `download`, its tokenizer files (not the weights) are fetched when they are not there.

    Raises: UserError when there is no such folder (with a near match among its neighbours) or no such cached model.
    """
    if not name:
        hint = "Set model_name_or_path to a model folder or a hub id"
        raise UserError("no model is chosen", field="model_name_or_path", hint=hint)
    folder = Path(resolve_model_path(name))
    if folder.is_dir():
        return folder
    if name.startswith(_SHIPPED) or not _looks_like_hub_id(name):
        raise UserError(
            "the model folder does not exist",
            field="model_name_or_path",
            value=name,
            hint=_neighbour(folder) or "Check the path, or give a hub id (owner/name)",
        )
    cached = _cached_snapshot(name, cache_dir, revision)
    if cached is not None:
        return cached
    if download:
        return _download(name, cache_dir, revision)
    raise UserError(
        "neither a folder nor a model in the Hugging Face cache",
        field="model_name_or_path",
        value=name,
        hint=_neighbour(folder) or "It will be downloaded when the training starts, if the hub can be reached",
    )


def is_hub_id(name: str | None) -> bool:
    """Whether `name` can only be a model of the hub: no such folder here, and of the form owner/name."""
    return bool(name) and not Path(str(name)).expanduser().exists() and _looks_like_hub_id(str(name))


def _looks_like_hub_id(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "/", "~", _SHIPPED)) and not name.endswith("/")


def _neighbour(folder: Path) -> str:
    """A hint that names the folder or file of almost the same name beside the one that is missing."""
    parent = folder.parent
    while not parent.is_dir() and parent != parent.parent:
        folder, parent = parent, parent.parent
    try:
        names = tuple(path.name for path in parent.iterdir() if path.is_dir())
    except OSError:
        return ""
    match = near_match(folder.name, names)
    return f"{match} (in {parent})" if match else ""


def _cached_snapshot(name: str, cache_dir: str | None, revision: str | None) -> Path | None:
    """The newest known snapshot in the cache's own layout; read by hand, because importing the hub client is slow."""
    base = (Path(cache_dir).expanduser() if cache_dir else hugging_face_cache()) / f"models--{name.replace('/', '--')}"
    reference = base / "refs" / (revision or "main")
    commit = reference.read_text().strip() if reference.is_file() else revision
    snapshot = base / "snapshots" / (commit or "")
    return snapshot if commit and (snapshot / "tokenizer.json").is_file() else None


def _download(name: str, cache_dir: str | None, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        patterns = [*_TOKENIZER_FILES, "additional_chat_templates/*", "config.json"]
        return Path(snapshot_download(name, revision=revision, cache_dir=cache_dir, allow_patterns=patterns))
    except Exception as error:
        # The client raises a dozen types (network, missing repository, gated, offline mode); each ends the same way.
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = "Check the name and the network, or download the model and give its folder"
        message = f"cannot be fetched from the hub ({first})"
        raise UserError(message, field="model_name_or_path", value=name, hint=hint) from error
