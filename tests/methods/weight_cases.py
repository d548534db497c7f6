"""Methods that train weights of the model itself: full and freeze."""

from tests.methods.case import MethodCase, case

_ATTENTION = "self_attn.{q_proj,k_proj,v_proj,o_proj}"
_MLP = "mlp.{gate_proj,up_proj,down_proj}"
_EXPERTS = "mlp.{gate,experts.{gate_up_proj,down_proj}}"
_NORMS = "{input_layernorm,post_attention_layernorm}"
_LLAMA = f"{{{_ATTENTION},{_MLP},{_NORMS}}}"
_QWEN3 = f"{{{_LLAMA},self_attn.{{q_norm,k_norm}}}}"
# What each architecture has in a layer.
_LAYER = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": f"{{{_LLAMA},self_attn.{{q_proj,k_proj,v_proj}}.bias}}",
    "qwen3": _QWEN3,
    "gemma3": f"{{{_QWEN3},{{pre_feedforward_layernorm,post_feedforward_layernorm}}}}",
    "phi3": f"{{self_attn.{{qkv_proj,o_proj}},mlp.{{gate_up_proj,down_proj}},{_NORMS}}}",
    "qwen3_moe": f"{{{_ATTENTION},self_attn.{{q_norm,k_norm}},{_EXPERTS},{_NORMS}}}",
}

WEIGHT_CASES: tuple[MethodCase, ...] = (
    *(
        case(
            f"full {architecture}",
            f"embed_tokens norm layers.{{0,1}}.{layer}",
            architecture=architecture,
            finetuning_type="full",
        )
        for architecture, layer in _LAYER.items()
    ),
    case(
        "full, untied",
        f"embed_tokens lm_head norm layers.{{0,1}}.{_LLAMA}",
        architecture="llama",
        tied=False,
        finetuning_type="full",
    ),
    # Chatted with in float32.
    case(
        "full, pure_bf16",
        f"embed_tokens norm layers.{{0,1}}.{_QWEN3}",
        finetuning_type="full",
        pure_bf16=True,
        tolerance=0.05,
    ),
    case("freeze last", f"layers.1.{_QWEN3}", finetuning_type="freeze", freeze_trainable_layers=1),
    case("freeze first", f"layers.0.{_QWEN3}", finetuning_type="freeze", freeze_trainable_layers=-1),
    case(
        "freeze modules",
        f"layers.{{0,1}}.{_MLP}",
        finetuning_type="freeze",
        freeze_trainable_modules=["mlp"],
        architecture="mistral",
    ),
    case(
        "freeze extra modules",
        f"layers.1.{_LLAMA} norm lm_head",
        finetuning_type="freeze",
        freeze_trainable_layers=1,
        freeze_extra_modules=["norm", "lm_head"],
        architecture="llama",
        tied=False,
    ),
    # Of four blocks the second and the fourth are new.
    case(
        "llama pro, freeze",
        f"layers.{{1,3}}.{_QWEN3}",
        added_blocks=2,
        learning_rate=3e-3,
        finetuning_type="freeze",
        use_llama_pro=True,
    ),
    case(
        "llama pro, freeze gemma3",
        f"layers.2.{_LAYER['gemma3']}",
        added_blocks=1,
        architecture="gemma3",
        finetuning_type="freeze",
        use_llama_pro=True,
    ),
)
