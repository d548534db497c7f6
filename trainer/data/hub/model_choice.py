"""Which files of a model's repository are needed: config, tokenizer, templates, safetensors. Not for fetching them.

Never pickles, and nothing twice: no copies in other formats, no original weights beside converted ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from trainer.config.model_names import HubModel
from trainer.data.hub.place import RemoteFile
from trainer.errors import UserError

INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"
ADAPTER = "adapter_config.json"
_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_SMALL = re.compile(
    r"config\.json|generation_config\.json|adapter_config\.json|"
    r"(?:processor|preprocessor|video_preprocessor|image_processor)_config\.json|"
    r"tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(?:json|txt)|"
    r"merges\.txt|tekken\.json|[\w.-]+\.tiktoken|(?:tokenizer|spiece|sentencepiece)[\w.]*\.model|"
    r"chat_template\.(?:jinja|json)|additional_chat_templates/[^/]+\.jinja|"
    rf"{re.escape(INDEX)}|[\w.-]+\.py"
)
_PICKLES = re.compile(r"[^/]+\.(?:bin|pt|pth|ckpt)")


def small_files(files: Iterable[RemoteFile]) -> list[RemoteFile]:
    """All that is needed but the weights."""
    return [file for file in files if _SMALL.fullmatch(file.name)]


def weight_files(model: HubModel, files: Sequence[RemoteFile], index: bytes | None) -> list[RemoteFile]:
    """The safetensors that transformers loads; `index` is the content of the index, where there is one.

    Raises: UserError when there are none, or the repository lacks some.
    """
    by_name = {file.name: file for file in files}
    if WEIGHTS in by_name:
        return [by_name[WEIGHTS]]
    if index is not None:
        names = _names(index)
        missing = [name for name in names if name not in by_name]
        if names and not missing:
            return [by_name[name] for name in names]
        problem = f"{model}: its {INDEX} names no files" if not names else f"{model} lacks {', '.join(missing[:3])}"
        raise UserError(problem, field="model_name_or_path", hint="Choose another revision, or another copy of it")
    if ADAPTER in by_name and _ADAPTER_WEIGHTS in by_name:
        return [by_name[_ADAPTER_WEIGHTS]]
    raise _no_weights(model, by_name)


def _names(index: bytes) -> list[str]:
    try:
        stated = json.loads(index)["weight_map"].values()
        return sorted({name for name in stated if isinstance(name, str)})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def _no_weights(model: HubModel, names: Iterable[str]) -> UserError:
    field = "model_name_or_path"
    pickles = sorted(name for name in names if _PICKLES.fullmatch(name))
    if pickles:
        problem = f"{model} has no safetensors, only {', '.join(pickles[:3])}: pickle files can run code"
        return UserError(problem, field=field, hint="Choose a copy of the model that has safetensors")
    others = sorted({name.rpartition(".")[2] for name in names if name.endswith((".gguf", ".onnx", ".h5", ".msgpack"))})
    shown = f" (only .{', .'.join(others)})" if others else ""
    return UserError(f"{model} has no safetensors{shown}", field=field, hint="Choose the model's own repository")
