"""Adapters: a new one from the recipe, a trained one to go on with or to use, and several upon each other.

Training, chat and merging all load adapters here, so that a chain of them means the same everywhere.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, TaskType, get_peft_model, set_peft_model_state_dict
from peft.utils import load_peft_weights

from trainer.config import Recipe, resolve_model_path
from trainer.config.adapter_settings import PARAMETERS_OF_SETTINGS
from trainer.data.model_folder import recipe_hub_model, recipe_model_folder
from trainer.errors import UserError
from trainer.model import pissa
from trainer.model.adapter_config import adapter_config, is_blueprint
from trainer.model.load import first_line
from trainer.model.loftq import start_from_what_was_lost
from trainer.model.merge import is_quantized, merge_adapter
from trainer.model.reward_head import is_reward_model, with_place_for_head
from trainer.model.spread import is_spread_out, put_adapter_on_spread_model
from trainer.run.messages import Say, words

MERGED = "merged_adapters"
"""The entry of a checkpoint's `trimtab.json` with the adapters that were merged into its base before training."""


def add_adapter(model: Any, recipe: Recipe, say: Say) -> Any:
    """The model with the adapter that the recipe trains: a new one, or the last of those that it names.

    Raises:
        UserError: when the adapter does not fit the model, or one cannot be loaded.
    """
    given = list(recipe.model.adapter_name_or_path)
    if continues_adapter(recipe):
        model = load_adapters(model, given, trainable=True, keep_half=recipe.method.pure_bf16)
        kind = kind_of(model)
        if kind != recipe.method.finetuning_type:
            hint = f"Set finetuning_type = {kind}, or create_new_adapter."
            raise UserError(f"this adapter is one of {kind}", field="adapter_name_or_path", value=given[-1], hint=hint)
        if kind == "adalora":
            raise UserError(
                "an adalora adapter has given up ranks and cannot be trained on",
                field="adapter_name_or_path",
                value=given[-1],
                hint="Set create_new_adapter = true: it is merged, and a new one trained.",
            )
        say("info", words("run_adapter_settings_hold", path=given[-1], settings=settings_of(model)))
    else:
        model = _new_adapter(merge_adapters(model, given), recipe)
    for config in model.peft_config.values():
        # A hub's name is there already; a folder has to be found from elsewhere too.
        config.base_model_name_or_path = lasting_name(config.base_model_name_or_path or "")
        if recipe_hub_model(recipe) is not None:
            config.revision = recipe.model.model_revision
    return model


def continues_adapter(recipe: Recipe) -> bool:
    """Whether the recipe goes on with a trained adapter instead of a new one."""
    table = recipe.oft if recipe.method.finetuning_type == "oft" else recipe.lora
    return bool(recipe.model.adapter_name_or_path) and not table.create_new_adapter


def merged_adapters(recipe: Recipe) -> list[str]:
    """The adapters that are merged into the base before the recipe's adapter is trained, in their order."""
    chain = adapter_chain(recipe.model.adapter_name_or_path)
    return chain[:-1] if continues_adapter(recipe) else chain


def adapter_chain(names: Sequence[str]) -> list[str]:
    """The adapters in the order in which they lie upon each other, each after those that it was trained on."""
    chain: list[str] = []
    for name in map(lasting_name, names):
        below = [each for each in _trained_on(name) if each not in chain]
        chain += [*below, *([name] if name not in chain else [])]
    return chain


def load_adapters(model: Any, names: Sequence[str], *, trainable: bool, keep_half: bool = False) -> Any:
    """The model with the last of the adapters on it; the others, and those that each was trained on, merged into it.

    `keep_half`: weights in 16 bits stay so; otherwise they become float32, which trains better.

    Raises:
        UserError: when one cannot be loaded, does not fit, or cannot be merged.
    """
    chain = adapter_chain(names)
    model = _merged(model, chain[:-1])
    return _load(model, chain[-1], trainable=trainable, keep_half=keep_half) if chain else model


def merge_adapters(model: Any, names: Sequence[str]) -> Any:
    """The model with all these adapters merged into it, those that each was trained on included.

    Raises:
        UserError: as `load_adapters`.
    """
    return _merged(model, adapter_chain(names))


def kind_of(model: Any) -> str:
    """The kind of the adapter that is on the model, by its name as a `finetuning_type`."""
    return str(model.peft_config["default"].peft_type.value).lower()


def settings_of(model: Any) -> str:
    """The settings of the adapter that is on the model, in PEFT's words: "r 8, lora_alpha 16, lora_dropout 0.0"."""
    config = model.peft_config["default"]
    names = (
        name for name in PARAMETERS_OF_SETTINGS[kind_of(model)] if name not in ("target_modules", "modules_to_save")
    )
    return ", ".join(f"{name} {getattr(config, name)}" for name in names)


def lasting_name(name: str) -> str:
    """A model or adapter as it can be found later from anywhere: a folder by its whole path, a hub id as it is."""
    path = Path(resolve_model_path(name))
    return str(path.resolve()) if name and path.is_dir() else name


def _trained_on(name: str) -> list[str]:
    file = Path(name) / "trimtab.json"
    details: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return [str(each) for each in details.get(MERGED, [])]


def _merged(model: Any, names: Sequence[str]) -> Any:
    for name in names:
        if is_quantized(model):
            raise UserError(
                "this adapter lies on others, which cannot be merged into a quantized base",
                field="adapter_name_or_path",
                value=name,
                hint="Remove quantization_bit, or merge them into the model first.",
            )
        model = merge_adapter(_load(model, name, trainable=False, keep_half=True))
    return model


def _load(model: Any, name: str, *, trainable: bool, keep_half: bool) -> Any:
    folder = Path(name)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            config = PeftConfig.from_pretrained(name)
            if pissa.is_on_changed_base(folder):
                loaded = _with_weights(model, *pissa.converted(folder), trainable=trainable, keep_half=keep_half)
            elif trainable and config.is_prompt_learning:
                # PEFT loads these for use alone.
                weights = load_peft_weights(name, device="cpu")
                loaded = _with_weights(model, config, weights, trainable=True, keep_half=keep_half)
            elif is_reward_model(model) and config.task_type != TaskType.SEQ_CLS:
                weights = load_peft_weights(name, device="cpu")
                config, weights = with_place_for_head(model, config, weights)
                loaded = _with_weights(model, config, weights, trainable=trainable, keep_half=keep_half)
            elif is_spread_out(model):
                loaded = put_adapter_on_spread_model(model, name)
            else:
                # Without is_trainable PEFT loads it frozen, and nothing would train, without an error.
                loaded = PeftModel.from_pretrained(
                    model, name, is_trainable=trainable, autocast_adapter_dtype=not keep_half
                )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        problem = f"the adapter cannot be loaded: {first_line(error)}"
        raise UserError(problem, field="adapter_name_or_path", value=name) from error
    if any("missing adapter keys" in str(each.message) for each in told):
        raise UserError(
            "the adapter does not fit this model: it has nothing for some of the layers",
            field="adapter_name_or_path",
            value=name,
            hint="Use it with the model that it was trained on.",
        )
    return loaded


def _with_weights(
    model: Any, config: PeftConfig, weights: dict[str, torch.Tensor], *, trainable: bool, keep_half: bool
) -> Any:
    config.inference_mode = not trainable
    loaded = get_peft_model(model, config, autocast_adapter_dtype=not keep_half)
    set_peft_model_state_dict(loaded, weights)
    return loaded


def _new_adapter(model: Any, recipe: Recipe) -> Any:
    method = recipe.method.finetuning_type
    config = adapter_config(recipe, model)
    try:
        model = get_peft_model(model, config, autocast_adapter_dtype=not recipe.method.pure_bf16)
    except (ValueError, TypeError, RuntimeError, NotImplementedError, OSError) as error:
        said = first_line(error)
        field = _field_of(said, recipe)
        raise UserError(
            f"{method} cannot be put on this model: {said}",
            field=field.partition(".")[2],
            value=recipe.value(field),
            # Of the experts of a mixture, which lie in one tensor, nothing can be dropped.
            hint="Set it to 0, or name layers in lora_target." if field == "lora.lora_dropout" else None,
        ) from error
    if method == "lora" and not is_blueprint(model):
        if recipe.lora.pissa_init:
            pissa.keep_start(model)
        if recipe.lora.loftq_init:
            start_from_what_was_lost(model, recipe_model_folder(recipe))
    return model


def _field_of(said: str, recipe: Recipe) -> str:
    """The key that PEFT's complaint is about: one that it names, else what was given to PEFT as it is."""
    keys = PARAMETERS_OF_SETTINGS[recipe.method.finetuning_type]
    named = (key for setting, key in keys.items() if re.search(rf"\b{setting}\b", said))
    return next(named, "method.adapter_kwargs" if recipe.method.adapter_kwargs else "method.finetuning_type")
