"""Loading what the user wants to talk to: a base model, or a checkpoint of a run with its untuned base beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, GenerationConfig

from trainer.config import resolve_model_path
from trainer.data.model_folder import whole_model_folder
from trainer.data.model_kind import holds_reward_model
from trainer.data.remote_code import runs_code
from trainer.errors import UserError
from trainer.model.adapters import adapter_chain, load_adapters
from trainer.model.loading_record import LoadingRecord
from trainer.model.spread import main_device
from trainer.model.vocabulary import fit_vocabulary

from .placing import load_base


@dataclass
class LoadedModel:
    """A tuned model and the way to its base: the same weights without the adapter, or a second model."""

    name: str
    model: Any
    tokenizer: Any
    base_path: str | None
    has_adapter: bool
    record: LoadingRecord
    """How its weights were loaded, and how it generates."""
    _base: Any = field(default=None)

    @property
    def has_base(self) -> bool:
        """Whether there is an untuned base to compare with."""
        return self.has_adapter or self.base_path is not None

    @property
    def device(self) -> torch.device:
        """Where a prompt has to be."""
        return main_device()

    def tuned(self) -> tuple[Any, AbstractContextManager[Any]]:
        """The tuned model, and the context to generate in."""
        return self.model, nullcontext()

    def untuned(self) -> tuple[Any, AbstractContextManager[Any]]:
        """The base model, and the context to generate in; loaded at the first call where it is a model of its own."""
        if self.has_adapter:
            return self.model, self.model.disable_adapter()
        if self.base_path is None:
            return self.model, nullcontext()
        if self._base is None:
            self._base = load_base(self.base_path, self.record)
            fit_vocabulary(self._base, self.tokenizer)
            # It is sent the tuned model's template, and must stop where that one's answers end.
            self._base.generation_config = self.model.generation_config
        return self._base, nullcontext()


def load_for_chat(model: str, adapter: str | None = None, settings: Mapping[str, Any] | None = None) -> LoadedModel:
    """Load a model folder, a hub id, or a checkpoint folder of a run (adapter or whole model).

    The base of an adapter is loaded as it was in training; `settings` (`infer_dtype`, `quantization_bit`, ...) go
    before that.

    Raises:
        UserError: when something is missing or cannot be read.
    """
    path = Path(resolve_model_path(model)).expanduser()
    if adapter is None and (path / "adapter_config.json").is_file():
        adapter, model = str(path), base_of(path)
    tuned = Path(adapter) if adapter is not None else path
    if holds_reward_model(tuned):
        raise UserError(
            "this is a reward model: it gives answers a number and writes none itself",
            file=tuned,
            hint="Ask it for numbers: the Score screen, or `trimtab score`.",
        )
    details = checkpoint_details(path)
    base = None if adapter is not None else details.get("base_model")
    name = str(Path(adapter).name if adapter else path.name or model)
    tokenizer_home = adapter if adapter and (Path(adapter) / "tokenizer.json").is_file() else model
    home = whole_model_folder(tokenizer_home)
    trust = runs_code(home, name=tokenizer_home, trust=None)
    tokenizer = AutoTokenizer.from_pretrained(str(home), trust_remote_code=trust)
    record = LoadingRecord.of_checkpoint(Path(adapter) if adapter else path).with_settings(settings or {})
    weights = load_base(model, record)
    fit_vocabulary(weights, tokenizer, adapter_chain([adapter] if adapter is not None else []))
    if adapter is not None:
        # With those that it was trained on, merged into the base.
        weights = load_adapters(weights, [adapter], trainable=False).eval()
        if (Path(adapter) / "generation_config.json").is_file():
            # Where answers end in the template that it was trained with.
            weights.generation_config = GenerationConfig.from_pretrained(adapter)
    if tokenizer.chat_template is None:
        raise UserError(
            "this model has no chat template, so it cannot be chatted with",
            file=path,
            hint="Choose a chat model, or a checkpoint that was trained with a named template.",
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return LoadedModel(name, weights, tokenizer, str(base) if base else None, adapter is not None, record)


def checkpoint_details(path: Path) -> dict[str, Any]:
    """What a run wrote about a checkpoint; nothing for other folders."""
    return _json(path / "trimtab.json")


def _json(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def base_of(path: Path) -> str:
    """The name of the model that the adapter in a folder belongs to.

    Raises:
        UserError: when it does not say.
    """
    base = checkpoint_details(path).get("base_model")
    if not base:
        base = _json(path / "adapter_config.json").get("base_model_name_or_path")
    if not base:
        raise UserError("the adapter does not name its base model", file=path / "adapter_config.json")
    return str(base)
