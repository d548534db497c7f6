"""Quantized linear layers by their sizes: packed weights that are there all the time, and the copy in computing
precision that each pass makes of them. Not for loading them (`trainer.model.load`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from trainer.config import Recipe
from trainer.data.model_quantization import stored_quantization


@dataclass(frozen=True)
class Packing:
    """How many bytes a weight takes."""

    bits: float
    """Of the weight itself."""
    scales: float
    """Bytes of scale factors and zero points for each weight."""
    skipped: tuple[str, ...] = ("lm_head",)
    """Modules that stay as they are, by the end of their names."""

    def bytes(self, weights: int) -> int:
        """Of a matrix with this many weights."""
        return math.ceil(weights * (self.bits / 8 + self.scales))


def packing_of(recipe: Recipe, config: Any) -> Packing | None:
    """How the run would hold the base weights; None when they are not quantized."""
    whole = config.to_dict()
    if not recipe.model.train_from_scratch and (found := stored_quantization(whole)) is not None:
        inner = whole.get("text_config") or {}
        return _stored_packing(found.method, whole.get("quantization_config") or inner["quantization_config"])
    quantization = recipe.quantization
    bits = quantization.quantization_bit
    if bits is None:
        return None
    if quantization.quantization_method == "bnb" and bits == 4:
        # bitsandbytes: a scale in float32 for 64 weights; quantized again it takes a byte, with a float32 for 256.
        return Packing(4, (1 + 4 / 256) / 64 if quantization.double_quantization else 4 / 64)
    if quantization.quantization_method == "hqq":
        # A scale and a zero point in 16 bits for 64 weights.
        return Packing(bits, 4 / 64)
    # LLM.int8 and EETQ: a byte, and a scale for each row.
    return Packing(8, 0)


def _stored_packing(method: str, stored: dict[str, Any]) -> Packing | None:
    """The packing of a checkpoint that is quantized already."""
    skipped = (*(stored.get("modules_to_not_convert") or ()), "lm_head")
    if method in ("gptq", "awq"):
        bits, group = float(stored.get("bits", 4)), int(stored.get("group_size", 128))
        return Packing(bits, (2 + bits / 8) / group if group > 0 else 0, skipped)
    if method == "fbgemm_fp8":
        height, width = stored.get("weight_block_size") or (128, 128)
        return Packing(8, 4 / (height * width), skipped)
    if method in ("bitsandbytes", "bnb"):
        if not stored.get("load_in_4bit"):
            return Packing(8, 0, skipped)
        return Packing(4, (1 + 4 / 256) / 64 if stored.get("bnb_4bit_use_double_quant") else 4 / 64, skipped)
    # fp8 and mxfp4 are unpacked when they are loaded, so their weights count in full.
    return None


def pack_linear_layers(model: Any, packing: Packing) -> None:
    """Put packed layers in the place of the model's linear layers (on the meta device)."""
    tied = model.get_output_embeddings()
    for name, module in list(model.named_modules()):
        if type(module) is not torch.nn.Linear or module is tied:
            continue
        if any(name.endswith(skipped) for skipped in packing.skipped):
            continue
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, PackedLinear(module, packing))


def adapt_like_quantized(model: Any) -> None:
    """Let adapters take their input as PEFT's own layers for quantized bases do under a GPU's autocast: without a copy
    in their precision. They do not notice that of the CPU.
    """
    for module in model.modules():
        if isinstance(getattr(module, "base_layer", None), PackedLinear):
            module.cast_input_dtype_enabled = False


class PackedLinear(torch.nn.Linear):
    """Like bitsandbytes' layers as the allocator sees them.

    `weight` is the shape that others look at and takes no room; `packed` is what the memory holds.
    """

    def __init__(self, layer: torch.nn.Linear, packing: Packing) -> None:
        torch.nn.Module.__init__(self)
        self.in_features, self.out_features, self.bias = layer.in_features, layer.out_features, layer.bias
        self.eight_bit = packing.bits == 8
        size = packing.bytes(layer.weight.numel())
        self.weight = torch.nn.Parameter(torch.empty(size, dtype=torch.uint8, device="meta"), requires_grad=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out)."""
        shape = (self.out_features, self.in_features)
        result: torch.Tensor = _PackedProduct.apply(values, self.weight, shape, self.eight_bit)
        return result if self.bias is None else result + self.bias


class _PackedProduct(torch.autograd.Function):
    """bitsandbytes' MatMul4Bit and MatMul8bitLt: the weights are unpacked once in each direction."""

    @staticmethod
    def forward(
        context: Any, values: torch.Tensor, packed: torch.Tensor, shape: tuple[int, int], eight_bit: bool
    ) -> torch.Tensor:
        """Sizes of the forward pass; 8 bits keep the input for the backward pass, 4 bits do not."""
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else values.dtype
        values = values.to(dtype)
        context.save_for_backward(packed)
        # Not a saved tensor there either: it stays until the whole backward pass is over.
        context.values = values if eight_bit else None
        context.shape = shape
        weight = torch.empty(shape, dtype=dtype)
        return values @ weight.t()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        """Sizes of the backward pass."""
        weight = torch.empty(context.shape, dtype=gradient.dtype)
        return gradient @ weight, None, None, None
