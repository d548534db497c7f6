"""Merging a trained adapter into the weights, so that a plain model is left. Not for writing it to disk."""

from __future__ import annotations

from typing import Any

from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

from trainer.errors import UserError
from trainer.model.quantization import dequantized


def merge_adapter(model: Any) -> Any:
    """The model without adapter that computes what `model` computes; `model` itself is used up.

    A quantized base is dequantized first: rounding the sum to few bits again would lose most of what was learned.

    Raises:
        UserError: when this kind of adapter cannot be merged.
    """
    name = model.active_adapter
    kind = str(model.peft_config[name].peft_type.value).lower()
    if model.peft_config[name].is_prompt_learning:
        raise UserError(f"an adapter of {kind} changes no weights, so that it cannot be merged into them")
    try:
        if is_quantized(model.get_base_model()):
            model = _on_dequantized_base(model, name)
        return model.merge_and_unload(safe_merge=True, adapter_names=[name])
    except (NotImplementedError, ValueError, RuntimeError) as error:
        raise UserError(f"the adapter of {kind} cannot be merged into the weights: {error}") from error


def is_quantized(model: Any) -> bool:
    """Whether the weights of this model are held with few bits."""
    return getattr(model, "quantization_method", None) is not None


def _on_dequantized_base(model: Any, name: str) -> Any:
    config, weights = model.peft_config[name], get_peft_model_state_dict(model, adapter_name=name)
    merged = get_peft_model(dequantized(model.unload()), config, adapter_name=name)
    set_peft_model_state_dict(merged, weights, adapter_name=name)
    return merged
