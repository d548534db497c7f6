"""Methods that train adapters."""

from tests.methods.case import MethodCase, case

_ATTENTION = "self_attn.{q_proj,k_proj,v_proj,o_proj}"
_LINEAR = f"layers.{{0,1}}.{{{_ATTENTION},mlp.{{gate_proj,up_proj,down_proj}}}}"
# The linear layers of each architecture: all that `lora_target = all` takes.
_ALL = {
    "llama": _LINEAR,
    "mistral": _LINEAR,
    "qwen2": _LINEAR,
    "qwen3": _LINEAR,
    "gemma3": _LINEAR,
    "phi3": "layers.{0,1}.{self_attn.{qkv_proj,o_proj},mlp.{gate_up_proj,down_proj}}",
}
_AB = "{lora_A,lora_B}"

ADAPTER_CASES: tuple[MethodCase, ...] = (
    *(
        case(f"lora {architecture}", f"{linear}.{_AB}", architecture=architecture, merges=True, lora_dropout=0.1)
        for architecture, linear in _ALL.items()
    ),
    # The experts of a layer are two tensors, wrapped one in the other.
    case(
        "lora qwen3_moe",
        f"layers.{{0,1}}.{{{_ATTENTION},mlp.gate,mlp.experts,mlp.experts.base_layer}}.{_AB}",
        architecture="qwen3_moe",
        merges=True,
    ),
)
