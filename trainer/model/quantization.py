"""Base weights in few bits: bitsandbytes and HQQ while loading, and models that come quantized. Not for adapters."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from transformers import BitsAndBytesConfig

from trainer.config import Recipe
from trainer.data.model_quantization import StoredQuantization, stored_quantization
from trainer.errors import UserError
from trainer.run.messages import Say, words

_HQQ_GROUP = 64
_BITS = {"bnb": (4, 8), "hqq": (1, 2, 3, 4, 5, 6, 7, 8), "eetq": ()}


@dataclass(frozen=True)
class Quantization:
    """How the weights of a base model are quantized while it is loaded; a checkpoint remembers it."""

    method: Literal["bnb", "hqq", "eetq"]
    bits: int
    number_format: Literal["fp4", "nf4"]
    """Of 4-bit bitsandbytes."""
    double: bool
    """The scale factors of 4-bit bitsandbytes are quantized as well."""

    @staticmethod
    def of(recipe: Recipe) -> Quantization | None:
        """What the recipe's `[quantization]` asks for; None: weights as they are stored."""
        table = recipe.quantization
        if table.quantization_bit is None:
            return None
        return Quantization(
            table.quantization_method, table.quantization_bit, table.quantization_type, table.double_quantization
        )

    def as_json(self) -> dict[str, object]:
        """As it stands in a checkpoint's trimtab.json."""
        return asdict(self)

    def said(self) -> str:
        """In a few words."""
        if self.method != "bnb":
            return f"{self.method}, {self.bits} bits"
        if self.bits == 8:
            return "bitsandbytes, 8 bits"
        return f"bitsandbytes, 4 bits ({self.number_format}{', double' if self.double else ''})"


def loading_configuration(quantization: Quantization | None, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """What transformers quantizes by while it loads, with `dtype` to compute in; None where it does not.

    Raises:
        UserError: when the package is missing, or does not take so many bits.
    """
    if quantization is None:
        return None
    if quantization.bits not in _BITS[quantization.method]:
        raise UserError(
            f"{quantization.method} does not take so many bits"
            if _BITS[quantization.method]
            else "it is not available",
            field="quantization_bit",
            value=quantization.bits,
            hint="Use bnb with 4 or 8 bits.",
        )
    if quantization.method == "hqq":
        require_package("hqq", "quantization_method")
        return None
    prepare_bitsandbytes()
    if quantization.bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization.number_format,
        bnb_4bit_use_double_quant=quantization.double,
        bnb_4bit_compute_dtype=dtype,
    )


def prepare_bitsandbytes() -> None:
    """Import bitsandbytes and make it right for training on this machine; before any weight is loaded with it.

    On processors with AVX512-BF16, bitsandbytes 0.50 repacks 4-bit weights for inference in the first forward pass
    without gradients, and later backward passes then lose what flows through them, without an error: an evaluation in
    the middle of a run would spoil the rest of it. Its layers ask this function when they are made.

    Raises:
        UserError: when it is not installed.
    """
    require_package("bitsandbytes", "quantization_method")
    import bitsandbytes.nn.modules as layers

    layers.has_avx512bf16 = lambda: False
    # 8-bit layers write a line for each call whose input is float32.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def quantize_with_hqq(model: Any, quantization: Quantization, dtype: torch.dtype) -> None:
    """Put HQQ layers in the place of the model's linear ones, but for the output head; its weights are loaded already.

    transformers 5 has HQQ's configuration but no longer the step that quantizes.
    """
    from hqq.core.quantize import BaseQuantizeConfig, HQQLinear

    head = model.get_output_embeddings()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear and child is not head:
                config = BaseQuantizeConfig(nbits=quantization.bits, group_size=_HQQ_GROUP)
                setattr(module, name, HQQLinear(child, config, compute_dtype=dtype, device=device))
    # transformers and PEFT look at this before they move or merge weights.
    model.quantization_method = "hqq"


def hqq_layers(model: Any) -> list[str]:
    """The names of the HQQ layers of a model, which are no linear layers in the eyes of PEFT."""
    return [name for name, module in model.named_modules() if type(module).__name__ == "HQQLinear"]


def dequantized(model: Any) -> Any:
    """The model with whole weights in the place of quantized ones; `model` itself is used up."""
    names = hqq_layers(model)
    if not names:
        return model.dequantize()
    for name in names:
        parent, _, last = name.rpartition(".")
        layer = model.get_submodule(name)
        weight = layer.dequantize()
        whole = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=layer.bias is not None, device="meta")
        whole.weight = torch.nn.Parameter(weight, requires_grad=False)
        if layer.bias is not None:
            whole.bias = torch.nn.Parameter(layer.bias, requires_grad=False)
        setattr(model.get_submodule(parent), last, whole)
    del model.quantization_method
    return model


def check_stored(config: Any, recipe: Recipe, say: Say) -> StoredQuantization | None:
    """Accept a model that comes quantized for adapters alone; tells it.

    Raises:
        UserError: when the method trains its weights, it shall be quantized again, or its package is missing.
    """
    stored = stored_quantization(config.to_dict())
    if stored is None:
        return None
    name, method = recipe.model.model_name_or_path, recipe.method.finetuning_type
    if method in ("full", "freeze"):
        raise UserError(
            f"{name} is quantized ({stored.method}), and quantized weights cannot be trained",
            field="finetuning_type",
            value=method,
            hint="Choose lora, or the model in 16 bits.",
        )
    if recipe.quantization.quantization_bit is not None:
        raise UserError(
            f"{name} is quantized already ({stored.method})",
            field="quantization_bit",
            value=recipe.quantization.quantization_bit,
            hint="Remove quantization_bit, or choose the model in 16 bits.",
        )
    text = "run_model_is_unpacked" if stored.unpacked else "run_model_is_quantized"
    say("info", words(text, method=stored.method))
    prepare_stored(stored, config)
    return stored


def prepare_stored(stored: StoredQuantization, config: Any) -> None:
    """Make ready what loads a model that comes quantized; `config` is what it will be built from.

    Raises:
        UserError: when a package is missing.
    """
    for package in stored.needs:
        require_package(package, "model_name_or_path")
    if stored.method == "bitsandbytes":
        prepare_bitsandbytes()
    if stored.unpacked:
        config.quantization_config["dequantize"] = True


def require_package(name: str, field: str) -> None:
    """Raises: UserError when an optional package is not installed."""
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        package = name.replace(".", "-").replace("_", "-")
        raise UserError(
            f"this needs the package {package}, which is not installed", field=field, hint=f"pip install {package}"
        )
