"""Whether a model folder holds a whole model: config.json and safetensors. Reads heads of files, not the weights.

Not for the tokenizer (`tokenizer`), and not for whether the architecture is known: transformers tells that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trainer.errors import UserError

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_LONGEST_HEADER = 100 << 20  # bytes; what safetensors itself accepts
_POINTER = b"version https://git-lfs"
_AGAIN = "Download or copy it again"


def check_model_files(folder: Path, *, weights_may_follow: bool = False) -> None:
    """Looks at the files that transformers will load; `weights_may_follow` is for a cached part of a hub model.

    Raises: UserError with the file, and what to do.
    """
    if not (folder / "config.json").exists() and (folder / "adapter_config.json").is_file():
        raise _is_adapter(folder)
    config = _read_object(folder / "config.json", "Copy config.json from the base model")
    if not isinstance(config.get("model_type"), str):
        hint = "It is not the config.json of a model; copy the one of the base model"
        raise UserError("has no model_type", file=folder / "config.json", hint=hint)
    if (folder / _WEIGHTS).exists():
        _check_safetensors(folder / _WEIGHTS)
    elif (folder / _INDEX).exists():
        _check_index(folder / _INDEX)
    elif not weights_may_follow:
        raise _no_weights(folder)


def _is_adapter(folder: Path) -> UserError:
    try:
        base = json.loads((folder / "adapter_config.json").read_bytes())["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        base = None
    model = f"to {base}" if isinstance(base, str) and base else "to its base model"
    hint = f"Set adapter_name_or_path to this folder, and model_name_or_path {model}"
    return UserError("is an adapter, not a model", file=folder, field="model_name_or_path", hint=hint)


def _no_weights(folder: Path) -> UserError:
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    if others:
        hint = f"Copy {_INDEX} of the model there, or, where it is one file, call it {_WEIGHTS}"
        return UserError(f"has neither {_WEIGHTS} nor {_INDEX}, only {', '.join(others[:3])}", file=folder, hint=hint)
    pickles = sorted(path.name for path in folder.glob("*.bin"))
    if pickles:
        problem = f"has no safetensors, only {', '.join(pickles[:3])}: pickle files can run code and are not loaded"
        hint = "Take a version of the model that has safetensors, or convert it"
        return UserError(problem, file=folder, hint=hint)
    return UserError(f"has no weights ({_WEIGHTS})", file=folder, hint="Copy the model's *.safetensors there")


def _check_index(index: Path) -> None:
    files = _read_object(index, _AGAIN).get("weight_map")
    if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
        raise UserError("has no weight_map that names the files", file=index, hint=_AGAIN)
    names = sorted(set(files.values()))
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        shown = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        problem = f"names {len(names)} files, and {len(missing)} of them are missing: {shown}"
        raise UserError(problem, file=index, hint="Download or copy them")
    for name in names:
        _check_safetensors(index.parent / name)


def _check_safetensors(file: Path) -> None:
    """Whether the length in the head, and what the head says about the tensors, fit the size of the file."""
    try:
        with file.open("rb") as stream:
            size = file.stat().st_size
            start = stream.read(len(_POINTER))
            if start == _POINTER:
                raise UserError("is a Git LFS pointer, not the weights", file=file, hint="Run `git lfs pull` there")
            length = int.from_bytes(start[:8], "little")
            if size < 8 or length > min(size - 8, _LONGEST_HEADER):
                problem = f"is cut off, or no safetensors file: its head does not fit into its {size} bytes"
                raise UserError(problem, file=file, hint=_AGAIN)
            stream.seek(8)
            head = json.loads(stream.read(length))
            ends = [tensor["data_offsets"][1] for name, tensor in head.items() if name != "__metadata__"]
            expected = 8 + length + max(ends, default=0)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=file, hint="Check its permissions") from error
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise UserError("is no safetensors file: its head cannot be read", file=file, hint=_AGAIN) from error
    if expected != size:
        problem = f"has {size} bytes, and its head says {expected}"
        raise UserError(f"is cut off: it {problem}" if size < expected else problem, file=file, hint=_AGAIN)


def _read_object(file: Path, hint: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"the model folder has no {file.name}", file=file.parent, hint=hint) from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=file, hint="Check its permissions") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"not valid JSON ({error})", file=file, hint=hint) from error
    if not isinstance(content, dict):
        raise UserError("is not a JSON object", file=file, hint=hint)
    return content
