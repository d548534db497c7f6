"""The model of a recipe with shapes and number formats but no numbers, of any number of layers. Not for measuring it.

It goes through the same preparation as the real one: the method's choice of weights, their precision, the adapters.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from peft import PeftConfig, TaskType, get_peft_model
from transformers import AutoConfig
from trl.trainer.utils import add_fused_lm_head

from trainer.config import Recipe
from trainer.data.model_folder import find_model_folder
from trainer.errors import UserError
from trainer.model.load import attention_name, compute_dtype, first_line, runs_model_code
from trainer.model.memory.quantized import adapt_like_quantized, pack_linear_layers, packing_of
from trainer.model.precision import upcast_norms
from trainer.model.prepare import prepare_model
from trainer.model.reward_head import is_reward_model, model_kind
from trainer.model.vocabulary import finish_adapter, grow_vocabulary
from trainer.run.messages import silent


def read_config(recipe: Recipe, *, download: bool = False) -> Any:
    """The configuration of the recipe's model; its weights need not be there.

    `download`: the configuration of a model of a hub may be fetched.

    Raises:
        UserError: when there is none, or this transformers does not know the architecture.
    """
    model = recipe.model
    folder = find_model_folder(
        model.model_name_or_path,
        cache_dir=model.cache_dir,
        revision=model.model_revision,
        hub=model.model_hub,
        download=download,
    )
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=runs_model_code(recipe))
    except UserError:
        raise
    except Exception as error:  # what is wrong with a configuration is told in a dozen kinds of errors
        raise UserError(
            f"the model's configuration cannot be read: {first_line(error)}", field="model_name_or_path"
        ) from error


def layer_count(config: Any) -> int:
    """How many layers the language model has."""
    return int(config.get_text_config().num_hidden_layers)


def layer_kinds(config: Any) -> list[str]:
    """The kind of each layer: models mix full and sliding attention."""
    kinds = getattr(config.get_text_config(), "layer_types", None)
    return list(kinds) if kinds else ["one"] * layer_count(config)


def with_layers(config: Any, kinds: list[str]) -> Any:
    """A copy of `config` for a model of layers of these kinds."""
    changed = copy.deepcopy(config)
    text = changed.get_text_config()
    text.num_hidden_layers = len(kinds)
    if getattr(text, "layer_types", None):
        text.layer_types = kinds
    return changed


def build_blueprint(recipe: Recipe, config: Any, *, checkpointing: bool, is_gpu: bool) -> Any:
    """The model on torch's meta device, prepared as for training.

    Raises:
        UserError: when the method does not fit this model.
    """
    config._attn_implementation = attention_name(recipe)
    packing = packing_of(recipe, config)
    with torch.device("meta"):
        model = model_kind(recipe, config).from_config(
            config, dtype=compute_dtype(recipe), trust_remote_code=runs_model_code(recipe)
        )
        grow_vocabulary(model, recipe, silent)
        if packing is not None:
            pack_linear_layers(model, packing)
        upcast_norms(model, recipe)
        if not is_reward_model(model):
            outputs = ("log_probs", "entropy", "is_top1")
            add_fused_lm_head(model, cast_lm_head_to_fp32=recipe.model.upcast_lmhead_output, outputs=outputs)
        model = _prepared(model, recipe)
    if packing is not None and is_gpu:
        adapt_like_quantized(model)
    if recipe.method.pure_bf16:
        # PEFT gives adapters the precision of the base, but not on the meta device.
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.bfloat16)
    model.config.use_cache = False
    if checkpointing:
        kwargs = {"use_reentrant": recipe.model.use_reentrant_gc}
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=kwargs)
        if any(not parameter.requires_grad for parameter in model.parameters()):
            model.enable_input_require_grads()
    return model.train()


def _prepared(model: Any, recipe: Recipe) -> Any:
    """As `prepare_model`; an adapter to go on with is taken by its shape, because there are no weights to load."""
    adapters = list(recipe.model.adapter_name_or_path or [])
    if not adapters:
        return prepare_model(model, recipe, silent)
    settings = PeftConfig.from_pretrained(adapters[-1])
    if recipe.method.stage == "rm":
        # An adapter of a language model goes on as one of a reward model.
        settings.task_type = TaskType.SEQ_CLS
    model = get_peft_model(model, settings)
    finish_adapter(model)
    if not recipe.method.pure_bf16:
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.float32)
    return model


def materialize(model: Any) -> None:
    """Put empty tensors of the current (fake) mode in the place of meta ones; shared weights stay shared."""
    made: dict[int, torch.nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            if id(parameter) not in made:
                empty = torch.empty(parameter.shape, dtype=parameter.dtype)
                made[id(parameter)] = torch.nn.Parameter(empty, requires_grad=parameter.requires_grad)
            module._parameters[name] = made[id(parameter)]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
