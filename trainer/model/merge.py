"""Merging a trained adapter into the weights, so that a plain model is left. Not for writing it to disk."""

from __future__ import annotations

from typing import Any

from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict

from trainer.errors import UserError


def merge_adapter(model: Any) -> Any:
    """The model without adapter that computes what `model` computes; `model` itself is used up.

    A quantized base is dequantized first: rounding the sum to few bits again would lose most of what was learned.

    Raises:
        UserError: when this kind of adapter cannot be merged.
    """
    name = model.active_adapter
    if getattr(model.get_base_model(), "quantization_method", None) is not None:
        model = _on_dequantized_base(model, name)
    try:
        return model.merge_and_unload(safe_merge=True)
    except (AttributeError, NotImplementedError, ValueError) as error:
        kind = model.peft_config[name].peft_type.value
        raise UserError(f"an adapter of kind {kind} cannot be merged into the weights: {error}") from error


def _on_dequantized_base(model: Any, name: str) -> Any:
    config, weights = model.peft_config[name], get_peft_model_state_dict(model, adapter_name=name)
    merged = PeftModel(model.unload().dequantize(), config, adapter_name=name)
    set_peft_model_state_dict(merged, weights, adapter_name=name)
    return merged
