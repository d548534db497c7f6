"""Loading a base model as the recipe asks: precision, attention, positions, few bits, place. Not for its tokenizer, not
for adapters.
"""

from __future__ import annotations

import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from trainer.config import Recipe, resolve_model_path
from trainer.data.model_folder import find_model_folder, recipe_hub_model, recipe_model_folder
from trainer.data.remote_code import runs_code
from trainer.errors import UserError
from trainer.run.messages import Say, words

from .attention import choose_attention
from .kernels import apply_liger_kernels
from .loading_record import LoadingRecord
from .precision import upcast_norms
from .quantization import Quantization, check_stored, loading_configuration, quantize_with_hqq
from .reward_head import model_kind
from .rope import Rope, stretched_rope

_ATTENTION = {"disabled": "eager"}


def compute_dtype(recipe: Recipe) -> torch.dtype:
    """The precision of the frozen weights and of the arithmetic: bf16 or fp16 when asked for, else float32."""
    if recipe.train.bf16 or recipe.method.pure_bf16:
        return torch.bfloat16
    return torch.float16 if recipe.train.fp16 else torch.float32


def attention_name(recipe: Recipe) -> str:
    """The attention of transformers that needs the memory of the recipe's, whatever the model and the machine."""
    return _ATTENTION.get(recipe.model.flash_attn, "sdpa")


def base_model_path(recipe: Recipe) -> str:
    """The folder with config and tokenizer of the base model, fetched from its hub when they are not here.

    Raises:
        UserError: when there is none, or it cannot be fetched.
    """
    model = recipe.model
    found = find_model_folder(
        model.model_name_or_path,
        cache_dir=model.cache_dir,
        revision=model.model_revision,
        hub=model.model_hub,
        download=True,
    )
    return str(found)


def base_model_name(recipe: Recipe) -> str:
    """What checkpoints call the base model: its folder, or its name on the hub, which holds on any machine."""
    on_hub = recipe_hub_model(recipe)
    if on_hub is None:
        return resolve_model_path(str(recipe.model.model_name_or_path))
    return on_hub.name if on_hub.hub == "huggingface" and not on_hub.revision else str(on_hub)


def runs_model_code(recipe: Recipe) -> bool:
    """Whether Python code of the base model may run: where it is asked for, and the user has agreed to these files.

    Raises:
        UserError: when the model cannot be used without its code, or that code was not agreed to.
    """
    name = str(recipe_hub_model(recipe) or recipe.model.model_name_or_path)
    return runs_code(Path(base_model_path(recipe)), name=name, trust=recipe.model.trust_remote_code)


def load_model(recipe: Recipe, say: Say) -> Any:
    """The base model in `compute_dtype`, not yet prepared for a method; what was chosen is told through `say`.

    Raises:
        UserError: when the folder or hub id cannot be loaded, with the loader's own reason, or when what the recipe
            asks for is not to be had with this model or on this machine.
    """
    from_scratch = recipe.model.train_from_scratch
    folder = base_model_path(recipe) if from_scratch else str(recipe_model_folder(recipe))
    dtype = compute_dtype(recipe)
    trust = runs_model_code(recipe)
    config = read_config(folder, trust=trust)
    stored = None if from_scratch else check_stored(config, recipe, say)
    _check_experts(recipe, config)
    kind = model_kind(recipe, config)
    rope = stretched_rope(recipe, config, say) or _rope_of_adapter(recipe, config, say)
    if rope is not None:
        rope.apply(config)
    attention = choose_attention(recipe, config, dtype)
    say("info", attention.said)
    quantization = Quantization.of(recipe)
    if quantization is not None:
        say("info", words("run_quantized", how=quantization.said(), dtype=str(dtype).removeprefix("torch.")))
    if from_scratch:
        say("info", words("run_from_scratch"))
        model = _random_weights(folder, config, dtype, attention.name, kind, trust=trust)
    else:
        in_bits = quantization is not None or stored is not None
        place = Place(_one_device()) if in_bits else Place()
        model = load_weights(folder, config, dtype, attention.name, quantization, place, kind=kind, trust=trust)
    upcast_norms(model, recipe)
    if recipe.model.enable_liger_kernel:
        apply_liger_kernels(model, say)
    if (on_hub := recipe_hub_model(recipe)) is not None:
        # Adapters write it down as their base; the folder of a cache means nothing elsewhere.
        model.name_or_path = model.config._name_or_path = on_hub.name
    return model


@dataclass(frozen=True)
class Place:
    """Where weights go."""

    device_map: Any = None
    """None: into memory, to be moved by whoever loads them."""
    offload_folder: str | None = None
    """For what goes to the disk."""
    max_memory: dict[int | str, int] | None = None
    """Bytes by device that may be filled."""


def load_weights(
    name: str,
    config: Any,
    dtype: torch.dtype,
    attention: str | None,
    quantization: Quantization | None,
    place: Place = Place(),
    *,
    kind: Any = AutoModelForCausalLM,
    trust: bool = False,
) -> Any:
    """The model with the weights of a folder; `config` says how it is built, the auto class `kind` for what, and
    `trust` that its own code may run.

    Raises:
        UserError: when they cannot be loaded, with the loader's own reason.
    """
    how = loading_configuration(quantization, dtype)
    more = {} if how is None else {"quantization_config": how}
    whole_first = quantization is not None and quantization.method == "hqq"
    with _explained(name):
        model = kind.from_pretrained(
            name,
            config=config,
            dtype=dtype,
            attn_implementation=attention,
            device_map=None if whole_first else place.device_map,
            offload_folder=place.offload_folder,
            max_memory=place.max_memory,
            trust_remote_code=trust,
            **more,
        )
        if quantization is not None and whole_first:
            quantize_with_hqq(model, quantization, dtype)
    return model


def read_config(name: str, *, trust: bool = False) -> Any:
    """The configuration of a model in a folder; with `trust` its own code may run.

    Raises:
        UserError: when it cannot be read.
    """
    with _explained(name):
        return AutoConfig.from_pretrained(name, trust_remote_code=trust)


def first_line(error: Exception) -> str:
    """The first line of an error that says something; loaders write whole pages."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class _explained:
    """Turns whatever a loader raises into a UserError about the model `name`; the log has the whole story."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        # Broken weights and configurations raise a dozen kinds of errors.
        if not isinstance(error, Exception) or isinstance(error, (torch.OutOfMemoryError, UserError)):
            return
        traceback.print_exception(error)
        raise UserError(
            f"the model cannot be loaded: {first_line(error)}",
            field="model_name_or_path",
            value=self._name,
            hint="Give a folder with config.json and safetensors that fit, or a hub id that can be reached.",
        ) from error


def _random_weights(folder: str, config: Any, dtype: torch.dtype, attention: str, kind: Any, *, trust: bool) -> Any:
    """The model with random weights, and the stop tokens of the one whose configuration it has."""
    with _explained(folder):
        model = kind.from_config(config, dtype=dtype, attn_implementation=attention, trust_remote_code=trust)
    if not model.can_generate():
        return model
    # Most models have such a file; without one the configuration says where answers end.
    with suppress(OSError):
        model.generation_config = GenerationConfig.from_pretrained(folder)
    return model


def _one_device() -> dict[str, Any]:
    """All of the model on the device that trains: quantized weights cannot be moved as others are."""
    return {"": torch.cuda.current_device() if torch.cuda.is_available() else "cpu"}


def _check_experts(recipe: Recipe, config: Any) -> None:
    """Raises: UserError when `moe_aux_loss_coef` is set for a model without experts to balance."""
    text = config.get_text_config()
    if recipe.model.moe_aux_loss_coef and not hasattr(text, "output_router_logits"):
        raise UserError(
            f"this model ({text.model_type}) is no mixture of experts that reports how it chooses them",
            field="moe_aux_loss_coef",
            value=recipe.model.moe_aux_loss_coef,
            hint="Remove moe_aux_loss_coef.",
        )


def _rope_of_adapter(recipe: Recipe, config: Any, say: Say) -> Rope | None:
    """The positions with which the adapter was trained that is trained on; None when they are the model's own."""
    for adapter in reversed(recipe.model.adapter_name_or_path):
        rope = LoadingRecord.of_checkpoint(Path(adapter).expanduser()).rope
        if rope is not None:
            if rope.is_that_of(config):
                return None
            say("info", words("run_rope_of_adapter", path=adapter))
            return rope
    return None
